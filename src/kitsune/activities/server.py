"""Activities on a server's own queue: run a step, undo a step, say what this server can do."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.activities.plans import PlanReader
from kitsune.activities.telling import failure, heartbeats, not_begun, refuse, step_log
from kitsune.activities.wanted import Wanted
from kitsune.agent.journal import Entry, Operation
from kitsune.agent.operations import Verdict
from kitsune.agent.undo import UndoRecord
from kitsune.agent.work import Work
from kitsune.errors import (
    CancelledBefore,
    HandlerUnusable,
    JournalUnavailable,
    NotWanted,
    ProcessRemains,
    StepFailed,
)
from kitsune.handlers.base import RecordedProcess, StepContext, StepHandler, shown_params
from kitsune.handlers.validation import check_params
from kitsune.models.problems import Problem
from kitsune.models.requests import (
    LoadRequest,
    PlanReference,
    PreflightReport,
    PreflightRequest,
    ResolvedStep,
    StepList,
    StepRequest,
    UndoOutcome,
)
from kitsune.models.results import StepOutcome
from kitsune.rollout.steps import EXECUTIONS_WHERE_IDEMPOTENT, without_large_params
from kitsune.version import __version__

logger = logging.getLogger("kitsune.agent")

_LOST = (
    "this step began on this server, but its journal does not know it: the state folder was lost or changed, "
    "or another host answers under this server id; undo it by hand"
)
_GONE = "the undo record that this step kept is gone or another one: undo it by hand"


@dataclass(frozen=True)
class _Told:
    """What a handler tells while it runs: progress for whoever looks, outputs in case it is ended."""

    progress: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


class ServerActivities:
    """The activities of one server."""

    def __init__(
        self,
        agent: Agent,
        plans: PlanReader,
        wanted: Wanted | None = None,
    ) -> None:
        """Take an agent, and what asks whether a delivery still counts; without it, nobody asks."""
        self._agent = agent
        self._plans = plans
        self._confirm = wanted.confirm if wanted else None

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [self.execute_step, self.rollback_step, self.preflight, self.load_steps]

    @activity.defn(name=names.EXECUTE_STEP)
    async def execute_step(self, request: StepRequest) -> StepOutcome:
        """Run a step once, however often it is handed out.

        Raises:
            ApplicationError: `StepFailed`; non-retryable with the outcome as its detail when it is final.
        """
        handler, params = await self._prepare(request)
        operation = _operation(request, phase="execute")
        told = _Told()
        make_context = partial(self._context, handler, request, operation, told)

        async def execute(attempt: int, record_process: Any) -> Mapping[str, Any]:
            step_log(request).info("execution %d starts: %s", attempt, shown_params(params))
            context = make_context(attempt=attempt, record_process=record_process)
            return await handler.execute(params, context)

        async def resume(entry: Entry, record_process: Any) -> Mapping[str, Any]:
            step_log(request).info("execution %d goes on", entry.executions)
            context = make_context(attempt=entry.executions, record_process=record_process)
            return await handler.resume(params, _resumed(context, entry))

        confirm = self._confirm and partial(self._confirm, cancelled=request.cancelled)
        work = _work(handler, request.step, execute, told, resume=resume, confirm=confirm)
        verdict = await self._settled(operation, work, told)
        outcome = verdict.outcome
        if outcome.success:
            step_log(request).info("succeeded")
        else:
            step_log(request).warning("%s: %s", outcome.status, outcome.error)
        if outcome.success or outcome.status == "cancelled":
            return outcome
        raise failure(outcome, final=verdict.final)

    @activity.defn(name=names.ROLLBACK_STEP)
    async def rollback_step(self, request: StepRequest) -> UndoOutcome:
        """Undo what a step did here, once; nothing where it never started.

        Raises:
            ApplicationError: `StepFailed`; non-retryable when it is final.
        """
        done = await self._what_was_done(request)
        if done is None:
            if request.begun:
                refuse(request, _LOST)
            self._agent.tally.undone(request.step.type, "nothingToUndo")
            return UndoOutcome(undone="nothingToUndo", detail="the step never started here")
        handler, params = await self._prepare(request)
        if handler.reversible_with(params) == "none":
            self._agent.tally.undone(request.step.type, "cannotBeUndone")
            return UndoOutcome(
                undone="cannotBeUndone", detail=f"{request.step.type} has no rollback"
            )
        operation = _operation(request, phase="rollback")
        if await self._was_rolled_back(request, operation):
            return UndoOutcome(undone="rolledBack")
        told = _Told()
        make_context = partial(self._context, handler, request, operation, told)

        async def kept_record() -> UndoRecord | None:
            record = await asyncio.to_thread(self._agent.undo.load, done.id)
            kept = done.outcome.outputs.get("undo") if done.outcome else None
            if kept is not None and (record is None or record.sha256 != kept):
                raise StepFailed(_GONE, permanent=True)
            return record

        async def undo(attempt: int, record_process: Any) -> Mapping[str, Any]:
            step_log(request).info("rollback %d starts", attempt)
            record = await kept_record()
            await self._agent.journal.mark_undone(done.id)
            context = make_context(attempt=attempt, record_process=record_process)
            await handler.rollback(params, record, context)
            return {}

        async def resume(entry: Entry, record_process: Any) -> Mapping[str, Any]:
            step_log(request).info("rollback %d goes on", entry.executions)
            record = await kept_record()
            await self._agent.journal.mark_undone(done.id)
            context = make_context(attempt=entry.executions, record_process=record_process)
            await handler.resume_rollback(params, record, _resumed(context, entry))
            return {}

        work = _work(handler, request.step, undo, told, resume=resume, confirm=self._confirm)
        verdict = await self._settled(operation, work, told)
        if not verdict.outcome.success:
            step_log(request).error(
                "rollback %s: %s", verdict.outcome.status, verdict.outcome.error
            )
            raise failure(verdict.outcome, final=verdict.final)
        step_log(request).info("rolled back")
        return UndoOutcome(undone="rolledBack")

    @activity.defn(name=names.PREFLIGHT)
    async def preflight(self, request: PreflightRequest) -> PreflightReport:
        """Say that this server is there, and what it finds wrong with the steps."""
        problems, missing = [], []
        refusals = set[str]()
        steps = await self._steps(request.plan) if request.plan else request.steps
        for step in steps:
            if fault := self._agent.registry.faults.get(step.type):
                refusals.add("handler")
                problems.append(Problem(path=f"steps[{step.index}].type", message=fault))
                continue
            if step.type not in self._agent.registry.types:
                refusals.add("handler")
                missing.append(step.type)
                continue
            prefix = f"steps[{step.index}].params"
            if found := check_params(step.type, step.params, self._agent.registry, prefix):
                refusals.add("params")
                problems += found
        try:
            await self._agent.journal.check()
            await self._agent.runner.refuse_beside_survivors()
        except (JournalUnavailable, ProcessRemains) as error:
            refusals.add("journal" if isinstance(error, JournalUnavailable) else "survivors")
            problems.append(Problem(message=str(error)))
        for reason in sorted(refusals):
            self._agent.tally.refused(reason)
        return PreflightReport(
            server_id=self._agent.server_id,
            version=__version__,
            step_types=sorted(self._agent.registry.types),
            missing_types=sorted(set(missing)),
            problems=problems,
            clock=datetime.now(UTC),
            instance=self._agent.instance,
            host=socket.gethostname(),
        )

    @activity.defn(name=names.LOAD_STEPS)
    async def load_steps(self, request: LoadRequest) -> StepList:
        """Read the steps of a plan that is too large to be sent to every server.

        Raises:
            ApplicationError: `StepFailed`; non-retryable where the plan is gone.
        """
        return StepList(steps=without_large_params(await self._steps(request.plan)))

    async def _steps(self, plan: PlanReference) -> list[ResolvedStep]:
        try:
            return await self._plans.steps(plan)
        except (RPCError, ValueError) as error:
            gone = not isinstance(error, RPCError) or error.status is RPCStatusCode.NOT_FOUND
            raise ApplicationError(
                f"cannot read the plan of rollout {plan.workflow_id!r} from Temporal: {error}",
                type=names.FAILURE_STEP_FAILED,
                non_retryable=gone,
            ) from error

    async def _prepare(self, request: StepRequest) -> tuple[StepHandler[Any], BaseModel]:
        params = request.step.params
        if request.plan is not None:
            params = (await self._steps(request.plan))[request.step.index].params
        try:
            handler = self._agent.registry.require(request.step.type)
            return handler, handler.params_model.model_validate(params)
        except ValidationError:
            found = check_params(request.step.type, params, self._agent.registry, "params")
            refuse(request, "; ".join(problem.text for problem in found) or "bad params")
        except HandlerUnusable as error:
            refuse(request, str(error))

    async def _what_was_done(self, request: StepRequest) -> Entry | None:
        return await self._settle(request, _operation(request, phase="execute"))

    async def _settle(self, request: StepRequest, operation: Operation) -> Entry | None:
        try:
            async with heartbeats({}):
                return await self._agent.runner.settle(operation)
        except (JournalUnavailable, ProcessRemains) as error:
            refuse(request, str(error))

    async def _was_rolled_back(self, request: StepRequest, operation: Operation) -> bool:
        """Return whether a rollback that an operator wants again has succeeded before; end what is left of it."""
        for generation in range(operation.generation):
            entry = await self._settle(request, replace(operation, generation=generation))
            if entry and entry.state == "finished" and entry.outcome and entry.outcome.success:
                return True
        return False

    def _context(
        self,
        handler: StepHandler[Any],
        request: StepRequest,
        operation: Operation,
        told: _Told,
        *,
        attempt: int,
        record_process: Any,
    ) -> StepContext:
        spool = self._spool(operation) / str(attempt)
        if handler.spools:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        return StepContext(
            rollout_id=request.rollout_id,
            server_id=request.server_id,
            step_name=request.step.name,
            operation_id=operation.id,
            attempt=attempt,
            timeout=request.step.timeout,
            spool=spool,
            undo=self._agent.undo.keeper(operation.id),
            log=step_log(request),
            output_limit=request.output_limit,
            refuse_conflicts=request.refuse_conflicts,
            report=told.progress.update,
            leave_outputs=told.outputs.update,
            record_process=record_process,
            letting_go=lambda: self._agent.runner.lets_go(operation),
        )

    async def _settled(self, operation: Operation, work: Work, told: _Told) -> Verdict:
        """Run an operation while telling Temporal that it is alive; end it when an operator says so."""
        try:
            # Its cleaning up may take longer than a heartbeat may stay away.
            async with heartbeats(told.progress):
                return await self._until_told(operation, work)
        except (JournalUnavailable, ProcessRemains) as error:
            raise failure(not_begun(operation, work, error), final=True) from error
        except CancelledBefore as error:
            outcome = not_begun(operation, work, error)
            if not activity.info().is_local:
                raise failure(outcome, final=False) from error
            return Verdict(outcome.model_copy(update={"status": "cancelled"}), final=True)
        except NotWanted as error:
            logger.warning("%s of %s: %s", operation.step_name, operation.rollout_id, error)
            raise failure(not_begun(operation, work, error), final=False) from error
        finally:
            self._tidy(self._spool(operation))

    async def _until_told(self, operation: Operation, work: Work) -> Verdict:
        runner = self._agent.runner
        try:
            return await runner.run(operation, work)
        except asyncio.CancelledError:
            why = activity.cancellation_details()
            if why is None or not (why.cancel_requested or why.worker_shutdown):
                # A lost connection looks like this too: the step goes on, and the next delivery attaches to it.
                raise
            verdict = await runner.cancel(operation, stopping=not why.cancel_requested)
            if verdict is None:
                raise
            return verdict

    @staticmethod
    def _tidy(folder: Path) -> None:
        with contextlib.suppress(OSError):  # most steps have none
            for empty in (*folder.iterdir(), folder):
                with contextlib.suppress(OSError):  # what a step has left there stays
                    empty.rmdir()

    def _spool(self, operation: Operation) -> Path:
        return self._agent.state / "operations" / operation.id


def _operation(request: StepRequest, *, phase: str) -> Operation:
    handed_out_for = activity.info().schedule_to_close_timeout
    return Operation(
        rollout_id=request.rollout_id,
        run_id=request.run_id,
        server_id=request.server_id,
        step_index=request.step.index,
        step_name=request.step.name,
        phase=phase,
        generation=request.rollback_generation if phase == "rollback" else request.generation,
        step_type=request.step.type,
        deliverable_until=datetime.now(UTC) + handed_out_for if handed_out_for else None,
    )


def _work(
    handler: StepHandler[Any],
    step: ResolvedStep,
    execute: Callable[[int, Any], Coroutine[Any, Any, Mapping[str, Any]]],
    told: _Told,
    *,
    resume: Callable[[Entry, Any], Coroutine[Any, Any, Mapping[str, Any]]],
    confirm: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Work:
    default = EXECUTIONS_WHERE_IDEMPOTENT if handler.idempotent else 1
    return Work(
        execute=execute,
        executions=step.maximum_attempts or default,
        idempotent=handler.idempotent,
        timeout=step.timeout,
        step_type=step.type,
        left=told.outputs,
        confirm=confirm,
        resume=resume if handler.survives else None,
    )


def _resumed(context: StepContext, entry: Entry) -> StepContext:
    if entry.pid is None or entry.boot_id is None:
        return context
    return replace(context, process=RecordedProcess(entry.boot_id, entry.pid, entry.pid_start))
