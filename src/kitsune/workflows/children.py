"""Starting, watching and ending the child workflows that hold servers."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import RetryPolicy
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
from kitsune.models.durations import format_duration
from kitsune.models.requests import (
    AwayServer,
    HolderReport,
    HolderRequest,
    ServerRequest,
    TerminateRequest,
    WatchReport,
    WatchRequest,
)
from kitsune.models.results import ServerResult, ServerStatus
from kitsune.rollout.bounds import shorten
from kitsune.workflows.state import RolloutState

#: The orchestrator's own activities: short ones, and those that wait (they heartbeat).
_SHORT = timedelta(seconds=30)
#: Holds a server where nobody was there to find out who does.
_SOMEBODY = "of another plan"
_FOR_EVER = timedelta(days=3650)
_HEARTBEAT = timedelta(seconds=45)
#: Pause where a server that had looked away was back by the time it was looked at again.
_LOOK_AGAIN = timedelta(seconds=5)
_SERVER_FAILURES = frozenset(
    {names.FAILURE_SERVER_FAILED, names.FAILURE_SERVER_CANCELLED, names.FAILURE_ROLLBACK_FAILED}
)


class ServerTaken(Exception):
    """Another rollout kept the server for longer than this one would wait."""


class StoppedMeanwhile(Exception):
    """The rollout stopped before the server was started."""


@dataclass
class Children:
    """The child workflows of one orchestration; at most one per server, under the server's own id."""

    state: RolloutState
    _handles: dict[str, ChildWorkflowHandle[Any, Any]] = field(default_factory=dict)
    _waits: dict[str, ActivityHandle[HolderReport]] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)
    _watch: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._starting = asyncio.Semaphore(self.state.starts_at_once)

    async def execute(self, server: str) -> ServerResult:
        """Run the plan on a server and return how it ended, whatever happened.

        Raises:
            ServerTaken: Another rollout holds it.
            StoppedMeanwhile: The rollout stopped before this server could start.
        """
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

    def stop_waiting(self) -> None:
        """Give up waiting for servers that other rollouts hold."""
        for handle in list(self._waits.values()):
            handle.cancel()

    def close(self) -> None:
        """End the watch; nothing is in flight any more."""
        if self._watch is not None:
            self._watch.cancel()

    def _cancel(self, server: str) -> None:
        if server not in self._cancelled:
            self._cancelled.add(server)
            self._handles[server].cancel()

    async def _run(self, kind: str, server: str, *, yields_to_stop: bool) -> ServerResult:
        handle = await self._start(kind, server, yields_to_stop=yields_to_stop)
        self._handles[server] = handle
        self.state.waiting_for.pop(server, None)
        self.state.started.setdefault(server, workflow.now())
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_servers())
        self._cancelled.discard(server)
        if yields_to_stop and self._must_cancel():
            self._cancel(server)
        try:
            result = await _end_of(handle)
        except ChildWorkflowError as error:
            result = self._result_of(error, server)
        except ValueError as error:
            result = _bare(
                server, ServerStatus.UNKNOWN, f"its local worker answered nonsense: {error}"
            )
        finally:
            del self._handles[server]
        return result.model_copy(
            update={
                "server_id": server,
                "success": result.success and result.status is ServerStatus.SUCCEEDED,
                "error": shorten(result.error),
            }
        )

    def _must_cancel(self) -> bool:
        cancels = (
            self.state.plan.rollout_strategy.on_stop == "cancel" or self.state.abort is not None
        )
        return self.state.stopped and cancels

    async def _start(
        self, kind: str, server: str, *, yields_to_stop: bool
    ) -> ChildWorkflowHandle[Any, Any]:
        deadline = workflow.now() + self.state.plan.busy.timeout
        while True:
            async with self._starting:
                if yields_to_stop and self.state.stopped:
                    raise StoppedMeanwhile
                try:
                    return await self._start_child(kind, self.state.request_for(server))
                except WorkflowAlreadyStartedError:
                    pass
            await self._wait_for(
                server, patience=deadline - workflow.now(), yields_to_stop=yields_to_stop
            )

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

    async def _wait_for(self, server: str, *, patience: timedelta, yields_to_stop: bool) -> None:
        """Return when a taken server is free.

        Raises:
            ServerTaken: It stays taken.
        """
        busy = self.state.plan.busy
        waits = busy.policy == "wait" and patience > timedelta(0)
        holder = await self._holder(server, timeout=timedelta(0), yields_to_stop=yields_to_stop)
        if holder is not None and waits:
            self.state.waiting_for[server] = holder
            holder = await self._holder(server, timeout=patience, yields_to_stop=yields_to_stop)
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

    async def _watch_servers(self) -> None:
        """Close the children of servers whose agent stays away: nobody else can end them."""
        while True:
            report: WatchReport = await workflow.execute_activity(
                names.WATCH_SERVERS,
                WatchRequest(
                    rollout_id=workflow.info().workflow_id,
                    timeout=self.state.plan.unreachable.timeout,
                ),
                result_type=WatchReport,
                start_to_close_timeout=_FOR_EVER,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
                cancellation_type=ActivityCancellationType.TRY_CANCEL,
                summary="watch the servers in flight",
            )
            lost = [away for away in report.away if away.server_id in self._handles]
            closed = await asyncio.gather(*(self._give_up(away) for away in lost))
            if not any(closed):
                await workflow.sleep(_LOOK_AGAIN)

    async def _give_up(self, away: AwayServer) -> bool:
        self.state.away[away.server_id] = away
        closed: bool = await workflow.execute_activity(
            names.TERMINATE_SERVER,
            TerminateRequest(
                server_id=away.server_id,
                rollout_id=workflow.info().workflow_id,
                since=away.since,
                failing=away.failing,
                reason=f"given up by rollout {self.state.rollout_id}: {away.detail}",
            ),
            result_type=bool,
            start_to_close_timeout=_SHORT,
            summary=f"give up {away.server_id}"[:200],
        )
        if not closed:
            self.state.away.pop(away.server_id, None)
        return closed

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
