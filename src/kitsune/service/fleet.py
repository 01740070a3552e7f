"""The one facade over a fleet's rollouts: everything that the command line and pages ask Temporal."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.errors import Conflict, KitsuneError, NotFound, PlanRefused
from kitsune.models.orders import (
    ApproveOrder,
    Order,
    PauseOrder,
    ResumeOrder,
    ServerOrder,
    SetOrder,
)
from kitsune.models.plan import Plan
from kitsune.models.progress import Progress, ProgressRequest
from kitsune.models.requests import AbortRequest
from kitsune.service.checks import Finding
from kitsune.service.doctor import examine
from kitsune.service.listing import (
    FleetRows,
    RolloutRow,
    list_rollouts,
    list_workers,
    rollout_row,
)
from kitsune.service.ordering import Accepted, Answer, give_order
from kitsune.service.outcomes import Outcome, outcome_of_failure, outcome_of_result
from kitsune.service.running import RunningStep, running_steps
from kitsune.service.server_reading import ServerReading
from kitsune.service.server_steps import ServerLook, server_look
from kitsune.service.starting import Origin, first_memo, same_plan, size_problem, summary_of
from kitsune.service.trouble import call_trouble, plain_errors

_CALL = timedelta(seconds=5)
#: A query that an orchestration worker has not answered by then is asked again later.
_QUERY = timedelta(seconds=3)
_PAGE = 500


class Started(StrEnum):
    """What became of a request to start a rollout."""

    STARTED = "started"
    ALREADY_RUNNING = "alreadyRunning"
    ALREADY_FINISHED = "alreadyFinished"


@dataclass(frozen=True)
class Look:
    """One look at a rollout.

    Attributes:
        open: Whether its workflow still runs.
        progress: None when it has ended, and when no orchestration worker answers although Temporal does.
    """

    open: bool
    progress: Progress | None


class Fleet(ServerReading):
    """What an operator can ask of a fleet.

    Every method raises `ServerUnavailable` when Temporal is away, and `NotFound` for an unknown rollout.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.address = client.service_client.config.target_host
        self.namespace = client.namespace

    async def start(
        self,
        plan_wire: dict[str, Any],
        *,
        rollout_id: str,
        origin: Origin | None = None,
        actor: str = "",
    ) -> Started:
        """Start a rollout; its id is an idempotency token.

        Args:
            plan_wire: The plan, as JSON.
            rollout_id: Its id.
            origin: The rollout that it follows.
            actor: Who starts it; where that is empty, whom `origin` names.

        Raises:
            PlanRefused: The plan is larger than Temporal takes.
            Conflict: The id belongs to another plan.
        """
        if problem := size_problem(plan_wire):
            raise PlanRefused([problem])
        with self._plain_errors():
            try:
                await self._client.start_workflow(
                    names.ORCHESTRATION_WORKFLOW,
                    plan_wire,
                    id=rollout_id,
                    task_queue=names.ORCHESTRATOR_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo=first_memo(plan_wire, origin=origin, actor=actor),
                    static_summary=summary_of(plan_wire),
                    rpc_timeout=_CALL,
                )
            except WorkflowAlreadyStartedError:
                return await self._joined(plan_wire, rollout_id=rollout_id)
        return Started.STARTED

    async def find(self, rollout_id: str) -> RolloutRow:
        """Return what Temporal knows of a rollout, without asking any worker."""
        with self._plain_errors(rollout_id):
            description = await self._handle(rollout_id).describe(rpc_timeout=_CALL)
            if description.workflow_type != names.ORCHESTRATION_WORKFLOW:
                raise NotFound(
                    f"{rollout_id!r} is not a rollout but a {description.workflow_type}: "
                    "`kitsune list` shows rollouts"
                )
            return await rollout_row(description)

    async def look(self, rollout_id: str) -> Look:
        """Return whether a rollout goes on, and its whole progress while it does."""
        try:
            progress = await self._progress(rollout_id, QueryRejectCondition.NOT_OPEN)
        except WorkflowQueryRejectedError:
            return Look(open=False, progress=None)
        except WorkflowQueryFailedError:
            return Look(open=True, progress=None)
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                raise self._trouble(error, rollout_id) from error
            # No orchestration worker answers; or Temporal does not, and then this raises too.
            return Look(open=(await self.find(rollout_id)).open, progress=None)
        return Look(open=True, progress=progress)

    async def last_progress(self, rollout_id: str) -> Progress | None:
        """Return the last progress of a rollout, ended or not; None when no orchestration worker answers."""
        try:
            return await self._progress(rollout_id, QueryRejectCondition.NONE)
        except (RPCError, WorkflowQueryFailedError):
            await self.find(rollout_id)
            return None

    async def outcome(self, rollout_id: str) -> Outcome:
        """Return how a rollout ended; waits for a moment where it has not."""
        with self._plain_errors(rollout_id):
            try:
                return outcome_of_result(await self._handle(rollout_id).result(rpc_timeout=_CALL))
            except WorkflowFailureError as error:
                return outcome_of_failure(error)

    async def rollouts(self, *, limit: int = 50, query: str | None = None) -> Sequence[RolloutRow]:
        """Return up to `limit` rollouts, newest first; `query` is a Temporal list filter."""
        with self._plain_errors():
            return await list_rollouts(self._client, limit=limit, query=query)

    async def abort(self, rollout_id: str, request: AbortRequest) -> Accepted:
        """Ask a rollout to start nothing more, to cancel what runs, and to undo it where `rollback` says so."""
        return (await self._order(rollout_id, names.ABORT, request)).accepted

    async def pause(self, rollout_id: str, order: PauseOrder) -> Answer:
        """Let a rollout start nothing more until it is resumed."""
        return await self._order(rollout_id, names.PAUSE, order)

    async def resume(self, rollout_id: str, order: ResumeOrder) -> Answer:
        """Let a paused rollout go on."""
        return await self._order(rollout_id, names.RESUME, order)

    async def approve(self, rollout_id: str, order: ApproveOrder) -> Answer:
        """Open the gate that the order names."""
        return await self._order(rollout_id, names.APPROVE, order)

    async def retry_server(self, rollout_id: str, order: ServerOrder) -> Answer:
        """Run the failed step of a held server again."""
        return await self._order(rollout_id, names.RETRY, order)

    async def skip_server(self, rollout_id: str, order: ServerOrder) -> Answer:
        """End a held server as failed, as it is."""
        return await self._order(rollout_id, names.SKIP, order)

    async def rollback_server(self, rollout_id: str, order: ServerOrder) -> Answer:
        """Undo a held server and end it as failed."""
        return await self._order(rollout_id, names.ROLLBACK, order)

    async def set_limits(self, rollout_id: str, order: SetOrder) -> Answer:
        """Change the limits of a rollout that runs."""
        return await self._order(rollout_id, names.SET, order)

    async def plan_of(self, rollout_id: str) -> Plan:
        """Return the plan that a rollout was started with.

        Raises:
            NotFound: It was started with something that is no plan.
        """
        with self._plain_errors(rollout_id):
            request = await self._request_of(rollout_id)
        try:
            return Plan.model_validate(request)
        except ValidationError as error:
            raise NotFound(f"rollout {rollout_id!r} has no plan that can be read") from error

    async def servers(self, *, now: datetime) -> FleetRows:
        """Return the workers that Temporal has heard of in the last minutes."""
        with self._plain_errors():
            return await list_workers(self._client, now=now)

    async def examine(
        self, server_ids: Sequence[str], *, now: Callable[[], datetime], timeout: timedelta
    ) -> list[Finding]:
        """Return what is well and what is not, with Temporal and with servers (none named: all known).

        Raises:
            ServerUnavailable: Temporal does not answer.
        """
        with self._plain_errors():
            return await examine(self._client, server_ids, now=now, timeout=timeout)

    async def running_steps(
        self, rollout_id: str, server_ids: Sequence[str]
    ) -> dict[str, RunningStep]:
        """Return what a few servers are doing just now; ask only for those that are shown."""
        return await running_steps(self._client, rollout_id=rollout_id, server_ids=server_ids)

    async def server_look(self, rollout_id: str, server_id: str) -> ServerLook | None:
        """Return what a rollout did on one server so far, step by step; None where nothing is known of it."""
        with self._plain_errors():
            return await server_look(self._client, rollout_id=rollout_id, server_id=server_id)

    async def _order(self, rollout_id: str, verb: str, order: Order) -> Answer:
        """Give an order.

        Raises:
            Conflict: The rollout has already ended, or refuses; the text says why.
        """
        with self._plain_errors(rollout_id):
            try:
                return await give_order(self._handle(rollout_id), verb, order)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    row = await self.find(rollout_id)
                    raise Conflict(
                        f"rollout {rollout_id!r} has already ended ({row.state}): there is nothing to {verb}"
                    ) from error
                raise

    def _handle(self, rollout_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(rollout_id)

    async def _progress(self, rollout_id: str, reject: QueryRejectCondition) -> Progress:
        """Return all pages of a rollout's progress as one."""
        pages: list[Progress] = []
        offset: int | None = 0
        while offset is not None:
            page: Progress = await self._handle(rollout_id).query(
                names.QUERY_PROGRESS,
                ProgressRequest(offset=offset, limit=_PAGE),
                result_type=Progress,
                reject_condition=reject,
                rpc_timeout=_QUERY,
            )
            pages.append(page)
            offset = page.next_offset
        servers = [server for page in pages for server in page.servers]
        return pages[-1].model_copy(update={"servers": servers, "next_offset": None})

    async def _joined(self, plan_wire: dict[str, Any], *, rollout_id: str) -> Started:
        """Return how the rollout that has this id goes, if it is the same one."""
        row = await self.find(rollout_id)
        if not same_plan(await self._request_of(rollout_id), plan_wire):
            raise Conflict(
                f"the id {rollout_id!r} belongs to another plan ({'running' if row.open else row.state}): "
                "choose another --id, or leave it out"
            )
        return Started.ALREADY_RUNNING if row.open else Started.ALREADY_FINISHED

    async def _request_of(self, rollout_id: str) -> Any:
        """Return the plan that a rollout was started with, from its first event."""
        history = await self._client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=self.namespace,
                execution=ExecutionId(workflow_id=rollout_id),
                maximum_page_size=1,
            ),
            timeout=_CALL,
        )
        started = history.history.events[0].workflow_execution_started_event_attributes
        arguments = await self._client.data_converter.decode(started.input.payloads)
        return arguments[0] if len(arguments) == 1 else arguments

    def _plain_errors(self, rollout_id: str | None = None) -> AbstractContextManager[None]:
        return plain_errors(address=self.address, namespace=self.namespace, rollout_id=rollout_id)

    def _trouble(self, error: RPCError, rollout_id: str) -> KitsuneError:
        return call_trouble(
            error, address=self.address, namespace=self.namespace, rollout_id=rollout_id
        )
