"""The plan on one server; runs on the server's own queue."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.requests import Decision, ResolvedStep, ServerCourse, ServerRequest
from kitsune.models.results import ServerResult, ServerStatus, StepOutcome, json_of
from kitsune.rollout.bounds import fit_outcomes, fit_server_result
from kitsune.rollout.undo import how_undone
from kitsune.workflows.guidance import Guidance
from kitsune.workflows.steps import run_step, runs_locally, undo_steps, with_steps

#: Bytes of outcomes that one run hands to the next: with a plan of 1 MiB they stay below the 2 MB of a payload.
_CARRIED_BYTES = 400_000


@dataclass
class _Course:
    """How the steps went.

    Attributes:
        undoes: Whether what was done has to be undone here and now.
        remark: What a person decided, for the result.
    """

    outcomes: list[StepOutcome] = field(default_factory=list)
    status: ServerStatus = ServerStatus.SUCCEEDED
    undoes: bool = False
    remark: str = ""


@workflow.defn(name=names.SERVER_EXECUTION_WORKFLOW)
class ServerExecutionWorkflow:
    """Run the steps in order; undo them where a required one fails, or ask what becomes of the server."""

    def __init__(self) -> None:
        self._guidance = Guidance()

    @workflow.signal(name=names.PAUSE)
    def pause(self, _: Any = None) -> None:
        """Hold before the next step; what runs goes on, and so does an undo."""
        self._guidance.paused = True

    @workflow.signal(name=names.RESUME)
    def resume(self, _: Any = None) -> None:
        """Go on."""
        self._guidance.paused = False

    @workflow.signal(name=names.DECIDE)
    def decide(self, decision: Decision) -> None:
        """Take the answer to a hold."""
        self._guidance.decision = decision

    @workflow.run
    async def run(self, request: ServerRequest) -> ServerResult:
        """Return the result of a server on which the plan succeeded.

        Raises:
            ApplicationError: `ServerFailed` or `ServerCancelled`, with the ServerResult as its detail.
        """
        before = request.course
        started_at = before.started_at if before else workflow.now()
        self._guidance.paused = self._guidance.paused or (before is not None and before.paused)
        as_given, request = request, await with_steps(request)
        course = await self._run_steps(
            request, lambda course, step: self._continue(as_given, course, step, started_at)
        )
        status, outcomes = course.status, course.outcomes
        broken = next((outcome for outcome in reversed(outcomes) if not outcome.success), None)
        error = None
        if broken and status is ServerStatus.FAILED:
            error = f"step {broken.name!r}: {broken.error}{course.remark}"
        if course.undoes:
            outcomes = await undo_steps(request, outcomes)
        undo = how_undone(outcomes)
        result = ServerResult(
            server_id=request.server_id,
            success=status is ServerStatus.SUCCEEDED,
            error=error,
            steps_executed=outcomes,
            status=status,
            rolled_back=undo.rolled_back,
            rollback_failed=undo.rollback_failed,
            started_at=started_at,
            ended_at=workflow.now(),
        )
        result = fit_server_result(result, request.result_limit)
        if status is ServerStatus.SUCCEEDED:
            return result
        kind = (
            names.FAILURE_SERVER_FAILED
            if status is ServerStatus.FAILED
            else names.FAILURE_SERVER_CANCELLED
        )
        raise ApplicationError(
            result.error or status.value, json_of(result), type=kind, non_retryable=True
        )

    async def _run_steps(
        self, request: ServerRequest, between: Callable[[_Course, ResolvedStep], None]
    ) -> _Course:
        """Run steps until one ends the plan here; every step that started has its outcome in the course."""
        course = _course_so_far(request)
        first = request.course.next_step if request.course else request.first_step
        for step in request.steps[first:]:
            await self._guidance.until_resumed()
            if workflow.cancellation_reason() is not None and not runs_locally(request, step):
                course.status = ServerStatus.CANCELLED
                return course
            if step.index > first:
                between(course, step)
            _describe(request, f"step {step.index + 1} of {len(request.steps)}: {step.name}")
            outcome = await run_step(request, step)
            course.outcomes.append(outcome)
            if not outcome.success and step.stops_server and outcome.status != "cancelled":
                outcome = await self._after_failure(request, step, course)
            if outcome.status == "cancelled":
                course.status = ServerStatus.CANCELLED
                return course
            if not outcome.success and step.stops_server:
                course.status = ServerStatus.FAILED
                return course
        return course

    def _continue(
        self, as_given: ServerRequest, course: _Course, step: ResolvedStep, started_at: datetime
    ) -> None:
        """Go on in a new run, with a history of its own, where Temporal says that this one has become long."""
        suggested = workflow.info().is_continue_as_new_suggested()
        if not suggested or not workflow.patched("server-continues-as-new"):
            return
        so_far = ServerCourse(
            outcomes=fit_outcomes(course.outcomes, _CARRIED_BYTES),
            next_step=step.index,
            started_at=started_at,
            paused=self._guidance.paused,
        )
        workflow.continue_as_new(as_given.model_copy(update={"course": so_far}))

    async def _after_failure(
        self, request: ServerRequest, step: ResolvedStep, course: _Course
    ) -> StepOutcome:
        """Return the failed step's last outcome, when nobody wants it tried again; say what is undone."""
        course.undoes = request.undo_on_failure
        if course.outcomes[-1].status == "interrupted" and _is_aborted():
            course.undoes = False
            return course.outcomes[-1]
        while request.on_failure == "ask":
            failed = course.outcomes[-1]
            _describe(request, f"held: step {step.name!r} failed, retry, skip or rollback?")
            verb = await self._guidance.decide(request, failed)
            if verb != names.RETRY:
                gone = verb is None and workflow.cancellation_reason() is None
                course.undoes = request.undo_on_failure if gone else verb == names.ROLLBACK
                course.remark = _REMARKS.get(verb or "", "")
                break
            await self._guidance.until_resumed()
            if workflow.cancellation_reason() is not None:
                course.undoes = False
                break
            _describe(request, f"step {step.index + 1} of {len(request.steps)}: {step.name}, again")
            again = await run_step(request, step, generation=failed.generation + 1)
            course.outcomes[-1] = again
            if again.success or again.status == "cancelled":
                course.undoes = False
                break
        return course.outcomes[-1]


def _is_aborted() -> bool:
    """Return whether the rollout wanted the step to end: where that could not be done, nobody asked for an undo."""
    return workflow.cancellation_reason() is not None and workflow.patched("aborted-interruption")


def _course_so_far(request: ServerRequest) -> _Course:
    carried = request.course.outcomes if request.course else []
    return _Course(outcomes=[StepOutcome.model_validate(outcome) for outcome in carried])


_REMARKS = {
    names.SKIP: "; left as it is, as an operator said",
    names.ROLLBACK: "; rolled back, as an operator said",
}


def _describe(request: ServerRequest, doing: str) -> None:
    workflow.set_current_details(
        f"**{request.server_id}**: {doing}\n\nrollout `{request.rollout_id}`"
    )
