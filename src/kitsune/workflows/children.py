"""Starting, watching and ending the child workflows that hold servers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import (
    ActivityCancellationType,
    ActivityHandle,
    ChildWorkflowCancellationType,
    ChildWorkflowHandle,
    ParentClosePolicy,
)

from kitsune import names
from kitsune.models.base import WireModel
from kitsune.models.durations import format_duration
from kitsune.models.requests import (
    Decision,
    HolderReport,
    HolderRequest,
    ServerRequest,
)
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.bounds import shorten
from kitsune.rollout.limits import MAX_STARTING
from kitsune.rollout.targets import result_of_undo
from kitsune.workflows.clock import until_resumed
from kitsune.workflows.outbox import Outbox
from kitsune.workflows.silence import Watch
from kitsune.workflows.state import RolloutState

#: The orchestrator's own activities: short ones, and those that wait (they heartbeat).
_SHORT = timedelta(seconds=30)
#: Holds a server where nobody was there to find out who does.
_SOMEBODY = "of another plan"
_HEARTBEAT = timedelta(seconds=45)
_SERVER_FAILURES = frozenset(
    {names.FAILURE_SERVER_FAILED, names.FAILURE_SERVER_CANCELLED, names.FAILURE_ROLLBACK_FAILED}
)


class ServerTaken(Exception):
    """Another rollout kept the server for longer than this one would wait."""


class StoppedMeanwhile(Exception):
    """The rollout stopped before the server was started."""


@dataclass
class Children:
    """The child workflows of one orchestration; at most one per server, under the server's own id.

    Attributes:
        break_with: Called with a bug of ours.
    """

    state: RolloutState
    break_with: Callable[[BaseException], None]
    _handles: dict[str, ChildWorkflowHandle[Any, Any]] = field(default_factory=dict)
    _waits: dict[str, ActivityHandle[HolderReport]] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)
    _outboxes: dict[str, Outbox] = field(default_factory=dict)
    _pausable: dict[str, None] = field(default_factory=dict)
    _starting: asyncio.Semaphore | None = None
    _in_tens: bool = False

    def __post_init__(self) -> None:
        self._watch = Watch(self.state, lambda: self._handles)

    async def execute(self, server: str) -> ServerResult:
        """Run the plan on a server, or undo the other rollout there; return how it ended, whatever happened.

        Raises:
            ServerTaken: Another rollout holds it.
            StoppedMeanwhile: The rollout stopped before this server could start.
        """
        if self.state.plan.rollback_of:
            undo = await self._run(names.SERVER_ROLLBACK_WORKFLOW, server, yields_to_stop=True)
            return result_of_undo(undo)
        return await self._run(names.SERVER_EXECUTION_WORKFLOW, server, yields_to_stop=True)

    async def roll_back(self, server: str) -> ServerResult:
        """Undo the plan on a server and return how it ended, whatever happened.

        Raises:
            ServerTaken: Another rollout holds it.
        """
        return await self._run(names.SERVER_ROLLBACK_WORKFLOW, server, yields_to_stop=False)

    def cancel_running(self) -> None:
        """Ask every running server to stop after it has cleaned up."""
        for server in list(self._handles):
            self._cancel(server)
        self._watch.hurry()

    def hurry(self) -> None:
        """Wait less long for those who are silent, where the rollout has less patience by now."""
        self._watch.hurry()

    def tell_all(self, signal: str) -> None:
        """Tell every server that runs the plan to hold before its next step, or to go on."""
        for server in list(self._pausable):
            self._tell(server, signal)

    def decide(self, server: str, decision: Decision) -> None:
        """Tell a held server what becomes of it."""
        self._tell(server, names.DECIDE, decision)

    def stop_waiting(self) -> None:
        """Give up waiting for servers that other rollouts hold."""
        for handle in list(self._waits.values()):
            handle.cancel()

    def close(self) -> None:
        """End the watch; nothing is in flight any more."""
        self._watch.close()

    def _cancel(self, server: str) -> None:
        if server not in self._cancelled:
            self._cancelled.add(server)
            self._handles[server].cancel()

    async def _run(self, kind: str, server: str, *, yields_to_stop: bool) -> ServerResult:
        handle = await self._start(kind, server, yields_to_stop=yields_to_stop)
        self._handles[server] = handle
        self._outboxes[server] = Outbox(handle, self.break_with)
        self.state.waiting_for.pop(server, None)
        self.state.started.setdefault(server, workflow.now())
        self._watch.start()
        self._cancelled.discard(server)
        if yields_to_stop and self.state.cancels:
            self._cancel(server)
        if kind == names.SERVER_EXECUTION_WORKFLOW:
            self._pausable[server] = None
            if self.state.paused and not self.state.drain:
                self._tell(server, names.PAUSE)
        try:
            result = await _end_of(handle)
        except ChildWorkflowError as error:
            result = self._result_of(error, server)
        except ValueError as error:
            result = _bare(
                server, ServerStatus.UNKNOWN, f"its local worker answered nonsense: {error}"
            )
        finally:
            del self._handles[server], self._outboxes[server]
            self._pausable.pop(server, None)
        return result.model_copy(
            update={
                "server_id": server,
                "success": result.success and result.status is ServerStatus.SUCCEEDED,
                "error": shorten(result.error),
            }
        )

    def _tell(self, server: str, signal: str, *given: WireModel) -> None:
        if server in self._outboxes:
            self._outboxes[server].put(signal, *given)

    async def _start(
        self, kind: str, server: str, *, yields_to_stop: bool
    ) -> ChildWorkflowHandle[Any, Any]:
        clock = self.state.clock
        ends = clock.elapsed(workflow.now()) + self.state.plan.busy.timeout
        while True:
            if yields_to_stop:
                await until_resumed(self.state)
            async with self._turn():
                if yields_to_stop and self.state.stopped:
                    raise StoppedMeanwhile
                if yields_to_stop and self.state.paused and self._in_tens:
                    continue
                try:
                    return await self._start_child(kind, self.state.request_for(server))
                except WorkflowAlreadyStartedError:
                    pass
            await self._wait_for(server, ends=ends, yields_to_stop=yields_to_stop)

    def _turn(self) -> asyncio.Semaphore:
        """Return what lets only so many starts be under way at once."""
        if self._starting is None:
            many = len(self.state.plan.servers) > MAX_STARTING
            self._in_tens = many and workflow.patched("starts-in-tens")
            at_once = self.state.starts_at_once
            self._starting = asyncio.Semaphore(
                min(at_once, MAX_STARTING) if self._in_tens else at_once
            )
        return self._starting

    async def _start_child(
        self, kind: str, request: ServerRequest
    ) -> ChildWorkflowHandle[Any, Any]:
        verb = "roll back" if kind == names.SERVER_ROLLBACK_WORKFLOW else "run"
        return await workflow.start_child_workflow(
            kind,
            request,
            id=names.server_execution_id(request.server_id),
            task_queue=names.server_queue(request.server_id),
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{verb} {self.state.plan.name} on {request.server_id}"[:200],
        )

    async def _wait_for(self, server: str, *, ends: timedelta, yields_to_stop: bool) -> None:
        """Return when a taken server is free.

        Raises:
            ServerTaken: It stays taken until so much active time has passed.
        """
        busy, clock = self.state.plan.busy, self.state.clock
        left = ends - clock.elapsed(workflow.now())
        waits = busy.policy == "wait" and left > timedelta(0)
        holder = await self._holder(server, timeout=timedelta(0), yields_to_stop=yields_to_stop)
        while holder is not None and waits:
            self.state.waiting_for[server] = holder
            holder = await self._holder(server, timeout=left, yields_to_stop=yields_to_stop)
            left = ends - clock.elapsed(workflow.now())
            waits = left > timedelta(0)  # some is left where the rollout was paused meanwhile
            if self.state.paused:
                await until_resumed(self.state)
            if yields_to_stop and self.state.stopped:
                raise StoppedMeanwhile
        if holder is not None:
            waited = (
                f" for more than {format_duration(busy.timeout)}" if busy.policy == "wait" else ""
            )
            raise ServerTaken(
                f"held by rollout {holder!r}{waited}: wait for it or abort it, then run again"
            )

    async def _holder(self, server: str, *, timeout: timedelta, yields_to_stop: bool) -> str | None:
        handle = workflow.start_activity(
            names.AWAIT_SERVER_FREE,
            HolderRequest(server_id=server, timeout=timeout),
            result_type=HolderReport,
            start_to_close_timeout=timeout + _SHORT,
            schedule_to_close_timeout=timeout
            + _SHORT,  # not longer because an orchestrator restarted
            heartbeat_timeout=_HEARTBEAT,
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary=f"wait until {server} is free"[:200],
        )
        if yields_to_stop:
            self._waits[server] = handle
        try:
            report: HolderReport = await handle
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                raise StoppedMeanwhile from error
            if isinstance(error.cause, exceptions.TimeoutError):
                return _SOMEBODY
            raise
        finally:
            self._waits.pop(server, None)
        return report.holder

    def _result_of(self, error: ChildWorkflowError, server: str) -> ServerResult:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type in _SERVER_FAILURES and cause.details:
            try:
                return ServerResult.model_validate(cause.details[0])
            except ValueError:
                return _bare(
                    server,
                    ServerStatus.UNKNOWN,
                    f"it failed, with nonsense for details: {cause.message}",
                )
        away = self.state.away.get(server)
        if away is not None and isinstance(cause, TerminatedError):
            status = ServerStatus.UNKNOWN if away.step_started else ServerStatus.UNREACHABLE
            return _bare(server, status, away.detail)
        if isinstance(cause, CancelledError):
            return _bare(server, ServerStatus.CANCELLED, "cancelled before its first step")
        seen = f"{type(cause).__name__}: {cause}" if cause else str(error)
        return _bare(server, ServerStatus.UNKNOWN, f"its workflow was ended from outside ({seen})")


async def _end_of(handle: ChildWorkflowHandle[Any, Any]) -> ServerResult:
    """Return what a child returns; its success must be one."""
    result = ServerResult.model_validate(await handle)  # not by the SDK: nonsense would wedge us
    if result.status is not ServerStatus.SUCCEEDED and not result.rolled_back:
        raise ValueError(f"a success that is none: {result!r:.200}")
    return result


def _bare(server: str, status: ServerStatus, error: str) -> ServerResult:
    return ServerResult(
        server_id=server, success=False, status=status, error=error, ended_at=workflow.now()
    )
