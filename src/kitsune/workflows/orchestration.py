"""One rollout: validate, ask, run batch after batch, stop where the rule says so, undo, report."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.plan import Plan
from kitsune.models.problems import Problem
from kitsune.models.progress import Phase, Progress, ProgressRequest
from kitsune.models.requests import (
    AbortRequest,
    HeldServer,
    PlanReference,
    ValidationReport,
    ValidationRequest,
)
from kitsune.models.results import (
    InvalidPlanDetails,
    RolloutResult,
    RolloutStatus,
    json_of,
)
from kitsune.models.shards import ShardReport
from kitsune.rollout.bounds import fit_rollout_result
from kitsune.rollout.limits import is_sharded, travels_by_reference
from kitsune.rollout.steps import bytes_of_steps
from kitsune.rollout.verdict import sentence_of, summarize
from kitsune.workflows.bugs import bug_of, watched
from kitsune.workflows.clock import wait_after
from kitsune.workflows.deadlines import Deadlines
from kitsune.workflows.notices import Notices
from kitsune.workflows.orders import Orders
from kitsune.workflows.reporting import details_of, memo_of, progress_of, steering_of
from kitsune.workflows.runner import DirectRunner, Runner
from kitsune.workflows.sharding import ShardedRunner
from kitsune.workflows.state import RolloutState

#: Problems named in the failure's message; all of them are in its details.
_PROBLEMS_IN_MESSAGE = 50
_VALIDATION = timedelta(seconds=30)
_RESERVED_ID = "the workflow id {!r} is one that holds a server: start the rollout under another id"


@workflow.defn(name=names.ORCHESTRATION_WORKFLOW)
class OrchestrationWorkflow:
    """Run a plan on every server, in the order that its strategy asks for."""

    def __init__(self) -> None:
        self._state: RolloutState | None = None
        self._runner: Runner | None = None
        self._orders = Orders(obey_stop=self._obey_stop, tell=self._tell)
        self._orders.listen()
        self._said: Any = None
        self._notices = Notices()
        self._broken: BaseException | None = None

    @workflow.run
    async def run(self, *arguments: Any) -> RolloutResult:
        """Return the result of a rollout that went to its end.

        Takes anything, so that a wrong input fails with words instead of hanging.

        Raises:
            ApplicationError: `InvalidPlan`, `RolloutStopped` or `RolloutAborted`, with the details in it.
        """
        body = asyncio.create_task(self._roll_out(arguments))
        while not body.done():
            try:
                await workflow.wait_condition(lambda: body.done() or self._broken is not None)
            except asyncio.CancelledError:
                order = AbortRequest(actor="temporal", reason="the workflow was cancelled")
                self._orders.abort(order)
            if self._broken is not None:
                raise self._broken
        return body.result()

    @workflow.query(name=names.QUERY_PROGRESS)
    def progress(self, request: ProgressRequest | None = None) -> Progress:
        """Return how far the rollout is, with one page of servers."""
        return progress_of(
            self._state, request or ProgressRequest(), rollout_id=workflow.info().workflow_id
        )

    @workflow.signal(name=names.SERVER_HELD)
    def server_held(self, held: HeldServer) -> None:
        """Note that a step failed on a server, which waits for an operator's word."""
        if self._state is not None:
            self._state.hold_server(held)
            self._tell()

    @workflow.signal(name=names.SHARD_REPORT)
    def shard_report(self, report: ShardReport) -> None:
        """Take what a shard of this rollout tells."""
        if isinstance(self._runner, ShardedRunner):
            self._runner.take(report)

    def _obey_stop(self) -> None:
        """Let nothing more start, and end what runs where the plan or an operator says so."""
        state = self._state
        if self._runner and state and state.stopped:
            self._runner.obey_stop()

    async def _roll_out(self, arguments: Sequence[Any]) -> RolloutResult:
        state = await self._accept(arguments)
        runner = self._runner = self._make_runner(state)
        self._deadlines = Deadlines(state, stop=self._stop, tell=self._tell)
        self._orders.begin(state, runner)
        watched(self._deadlines.watch_deadline(), self._break_with)
        watched(self._deadlines.watch_progress(), self._break_with)
        self._tell()
        problems = await runner.ask_all()
        if problems and not state.abort:
            await self._notices.refused(state)
            raise _refusal(problems)
        for batch in state.ledger.batches:
            await runner.run_batch(batch)
            if not runner.goes_on_after(batch):
                await wait_after(state, batch, tell=self._tell)
            await self._deadlines.pass_gate(batch)
        await runner.run_rest()
        await runner.undo()
        runner.close()
        return await self._finish()

    async def _accept(self, arguments: Sequence[Any]) -> RolloutState:
        report = await workflow.execute_activity(
            names.VALIDATE_PLAN,
            ValidationRequest(arguments=list(arguments)),
            result_type=ValidationReport,
            start_to_close_timeout=_VALIDATION,
            summary="validate the plan",
        )
        if report.problems:
            raise _refusal(report.problems)
        info = workflow.info()
        if info.workflow_id.startswith(names.server_execution_id("")):
            raise _refusal([Problem(message=_RESERVED_ID.format(info.workflow_id))])
        plan = Plan.model_validate(arguments[0])
        large = travels_by_reference(servers=len(plan.servers), steps_bytes=bytes_of_steps(plan))
        by_reference = large and workflow.patched("plan-by-reference")
        self._state = RolloutState(
            plan=plan,
            rollout_id=info.workflow_id,
            run_id=info.first_execution_run_id,
            started_at=workflow.now(),
            warnings=list(report.warnings),
            quick_types=report.quick_types,
            reference=PlanReference(workflow_id=info.workflow_id, run_id=info.run_id)
            if by_reference
            else None,
        )
        self._said = steering_of(self._state)
        workflow.upsert_memo(memo_of(self._state, word="running"))
        self._notices.begin(self._state, report.webhooks)
        return self._state

    def _make_runner(self, state: RolloutState) -> Runner:
        sharded = is_sharded(state.plan) and workflow.patched("shards")
        kind = ShardedRunner if sharded else DirectRunner
        return kind(state, tell=self._tell, break_with=self._break_with)

    def _break_with(self, error: BaseException) -> None:
        self._broken = self._broken or bug_of(error)

    def _stop(self, reason: str) -> None:
        state = self._accepted()
        state.ledger.stop(reason)
        state.changes += 1
        if not state.is_over:
            state.phase = Phase.STOPPING
            self._obey_stop()
        self._tell()

    async def _finish(self) -> RolloutResult:
        state = self._accepted()
        state.phase = Phase.DONE
        undone = state.plan.rollback_of
        result = fit_rollout_result(
            summarize(
                state.final_results(),
                rollout_id=state.rollout_id,
                name=state.plan.name,
                reason=state.ledger.stop_reason,
                actor=state.abort.actor if state.abort else None,
                aborted=state.abort is not None,
                started_at=state.started_at,
                ended_at=workflow.now(),
                warnings=state.warnings,
            ).model_copy(
                update={
                    "orders": state.orders,
                    "rollback_of": undone.rollout_id if undone else None,
                }
            )
        )
        workflow.upsert_memo(memo_of(state, word=result.status.value))
        workflow.set_current_details(details_of(state, result))
        await self._notices.end(state, result)
        kind = {
            RolloutStatus.STOPPED: names.FAILURE_ROLLOUT_STOPPED,
            RolloutStatus.ABORTED: names.FAILURE_ROLLOUT_ABORTED,
        }.get(result.status)
        if kind is None:
            return result
        raise ApplicationError(sentence_of(result), json_of(result), type=kind, non_retryable=True)

    def _tell(self) -> None:
        if self._state is None:
            return
        self._notices.changed(self._state)
        workflow.set_current_details(details_of(self._state))
        steering = steering_of(self._state)
        if steering != self._said:
            self._said = steering
            workflow.upsert_memo(memo_of(self._state, word="running"))

    def _accepted(self) -> RolloutState:
        if self._state is None:
            raise RuntimeError("the rollout has not been accepted yet")
        return self._state


def _refusal(problems: Sequence[Problem]) -> ApplicationError:
    shown = [problem.text for problem in problems[:_PROBLEMS_IN_MESSAGE]]
    if len(problems) > len(shown):
        shown.append(f"… and {len(problems) - len(shown)} more problems")
    return ApplicationError(
        "\n".join(shown),
        json_of(InvalidPlanDetails(problems=list(problems[:1000]))),
        type=names.FAILURE_INVALID_PLAN,
        non_retryable=True,
    )
