"""The part of the facade that reads from servers: what they did for a rollout, and what their steps have printed."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client

from kitsune import names
from kitsune.errors import NotFound, ServerAway
from kitsune.models.logs import PAGE_BYTES, LogList, LogListRequest, LogPage, LogRequest, Stream
from kitsune.models.plan import Plan
from kitsune.models.problems import nearest
from kitsune.models.results import ServerResult, StepOutcome
from kitsune.rollout.check_groups import ServerCheck
from kitsune.rollout.steps import resolve_steps
from kitsune.service.asking import PATIENCE
from kitsune.service.comparing import compare
from kitsune.service.inventory import Inventory, take_inventory
from kitsune.service.listing import RolloutRow
from kitsune.service.logs import ask_for_list, ask_for_log, page_from_steps
from kitsune.service.outcomes import Finished, Outcome
from kitsune.service.presence import Absence, find_absent
from kitsune.service.server_steps import ServerLook


@dataclass(frozen=True)
class _Run:
    """Whose operations a rollout's servers know, and what it does with them: `execute` or `rollback`."""

    rollout_id: str
    run_id: str
    phase: str


class ServerReading(ABC):
    """Reads from servers; what it needs to know of rollouts, the facade knows."""

    _client: Client

    @abstractmethod
    async def find(self, rollout_id: str) -> RolloutRow:
        """Return what Temporal knows of a rollout."""

    @abstractmethod
    async def outcome(self, rollout_id: str) -> Outcome:
        """Return how a rollout ended."""

    @abstractmethod
    async def plan_of(self, rollout_id: str) -> Plan:
        """Return the plan that a rollout was started with."""

    @abstractmethod
    async def server_look(self, rollout_id: str, server_id: str) -> ServerLook | None:
        """Return what a rollout did on a server so far."""

    @abstractmethod
    def _plain_errors(self, rollout_id: str | None = None) -> AbstractContextManager[None]: ...

    async def inventory(self, *, now: datetime, ask: bool = False) -> Inventory:
        """Return every server that Temporal knows of, those that are away as well.

        Args:
            now: The time.
            ask: Ask each server that is there for its step types.
        """
        with self._plain_errors():
            return await take_inventory(self._client, now=now, ask=ask)

    async def absent(self, server_ids: Sequence[str], *, now: datetime) -> list[Absence]:
        """Return which of these servers nobody serves now; takes a second where there are any.

        Args:
            server_ids: Whom to look for.
            now: The time.
        """
        with self._plain_errors():
            return await find_absent(self._client, server_ids, now=now)

    async def server_result(self, rollout_id: str, server_id: str) -> ServerResult | None:
        """Return what a server did for a rollout, step by step; None where it has not ended, or nobody knows."""
        if listed := await self._listed(rollout_id, server_id):
            return listed
        look = await self.server_look(rollout_id, server_id)
        return look.result if look else None

    async def known_steps(self, rollout_id: str, server_id: str) -> Sequence[StepOutcome]:
        """Return the steps that have ended on a server, as far as Temporal knows them, without asking the server."""
        if listed := await self._listed(rollout_id, server_id):
            return listed.steps_executed
        look = await self.server_look(rollout_id, server_id)
        return look.steps if look else ()

    async def _listed(self, rollout_id: str, server_id: str) -> ServerResult | None:
        """Return a server's result where an ended rollout lists it."""
        if (await self.find(rollout_id)).open:
            return None
        outcome = await self.outcome(rollout_id)
        listed = outcome.result.results if isinstance(outcome, Finished) else []
        return next((result for result in listed if result.server_id == server_id), None)

    async def read_log(
        self,
        rollout_id: str,
        server_id: str,
        *,
        step: str | int | None = None,
        stream: Stream = "stdout",
        offset: int = 0,
        limit: int = PAGE_BYTES,
        phase: str | None = None,
        attempt: int | None = None,
        patience: timedelta = PATIENCE,
    ) -> LogPage:
        """Return a page of what a step has printed on a server.

        A local worker that is away does not raise: the page then holds what the rollout's result has kept, and says so.

        Args:
            rollout_id: Which rollout.
            server_id: One of its servers.
            step: Name of a step, or its index from 0; None: the one that began last.
            stream: `stdout` or `stderr`.
            offset: Byte to start at; below zero: so many bytes before the end.
            limit: Bytes wanted, 256 KiB at most.
            phase: `execute` or `rollback`; None: what the rollout does.
            attempt: Which execution, from 1; None: the last.
            patience: How long the local worker may take to take the question up.

        Raises:
            NotFound: The rollout has no such server.
            TooOld: The local worker, or Temporal, cannot be asked for logs.
        """
        run = await self._run_of(rollout_id)
        request = LogRequest(
            rollout_id=run.rollout_id,
            run_id=run.run_id,
            server_id=server_id,
            step=step if isinstance(step, str) else "",
            step_index=step if isinstance(step, int) else None,
            phase=phase or run.phase,
            attempt=attempt,
            stream=stream,
            offset=offset,
            limit=limit,
        )
        try:
            with self._plain_errors():
                return await ask_for_log(self._client, request, patience=patience)
        except ServerAway as away:
            await self.require_server(rollout_id, server_id)
            return page_from_steps(request, await self.known_steps(rollout_id, server_id), away)

    async def compare(
        self, plan: Plan, *, reveal: bool = False, patience: timedelta = PATIENCE
    ) -> AsyncIterator[ServerCheck]:
        """Yield what each server of a plan says that the plan would change there; nothing is touched.

        Args:
            plan: What to compare with.
            reveal: Show content as well that not everybody on a server may read.
            patience: How long a local worker may take to take a question up.
        """
        with self._plain_errors():
            async for check in compare(
                self._client, plan.servers, resolve_steps(plan), reveal=reveal, patience=patience
            ):
                yield check

    async def list_logs(
        self, rollout_id: str, server_id: str, *, patience: timedelta = PATIENCE
    ) -> LogList:
        """Return the steps that have begun on a server for a rollout, and which output there is of each.

        Raises:
            NotFound: The rollout has no such server.
            ServerAway: Its local worker does not answer.
            TooOld: The local worker, or Temporal, cannot be asked for logs.
        """
        run = await self._run_of(rollout_id)
        request = LogListRequest(rollout_id=run.rollout_id, run_id=run.run_id, server_id=server_id)
        try:
            with self._plain_errors():
                return await ask_for_list(self._client, request, patience=patience)
        except ServerAway:
            await self.require_server(rollout_id, server_id)
            raise

    async def _run_of(self, rollout_id: str) -> "_Run":
        """Return under which run servers know what they did: a rollback works on what another rollout did."""
        row = await self.find(rollout_id)
        if row.origin.startswith(f"{names.ROLLBACK} of "):
            undone = (await self.plan_of(rollout_id)).rollback_of
            if undone is not None:
                return _Run(undone.rollout_id, undone.run_id, "rollback")
        return _Run(rollout_id, row.run_id, "execute")

    async def require_server(self, rollout_id: str, server_id: str) -> None:
        """Do nothing for a server of the rollout.

        Raises:
            NotFound: It is none; the text says which one may be meant.
        """
        servers = (await self.plan_of(rollout_id)).servers
        if server_id in servers:
            return
        near = nearest(server_id, servers)
        hint = (
            f", did you mean {near!r}?" if near else f": `kitsune status {rollout_id}` lists them"
        )
        raise NotFound(f"rollout {rollout_id!r} has no server {server_id!r}{hint}")
