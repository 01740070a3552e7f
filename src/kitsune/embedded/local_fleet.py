"""A whole Kitsune on this machine: Temporal, an orchestration worker and local workers, each a process."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Never, Self

from kitsune.embedded.folder_lock import make_folder
from kitsune.embedded.local_workers import NO_QUEUE, LocalWorker
from kitsune.embedded.pollers import unserved_queues
from kitsune.embedded.ports import LOOPBACK, free_port, is_served, require_port
from kitsune.embedded.server import NAMESPACE, EmbeddedServer
from kitsune.errors import EmbeddedServerError
from kitsune.names import ENV_SERVER_ID, ENV_STATE_DIR, ORCHESTRATOR_QUEUE

#: How our own commands are started; `-P` keeps a folder named kitsune in the working folder out of the way.
KITSUNE: Final = (sys.executable, "-P", "-m", "kitsune")
_ORCHESTRATION_WORKER = "orchestration-worker"
_DASHBOARD = "dashboard"
_LOOK_EVERY = 0.1
#: A worker of the last start may still hold its folder for a moment; what ends thrice will not get ready.
_DEATHS_AT_START = 3


def client_environment(address: str) -> dict[str, str]:
    """Return the variables that lead `temporalio.envconfig` to a local server, past any profile file."""
    return {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        "TEMPORAL_CONFIG_FILE": "/dev/null",
    }


class LocalFleet:
    """Temporal, one orchestration worker and local workers: `async with LocalFleet(...) as fleet`.

    Inside the block all of them are polling; after it all of them have ended, workers first.

    Args:
        state: Folder of everything: `temporal/`, `servers/ID/` (state of local workers), `files/ID/` (their working
            folders, each like a disk of its own) and `logs/`.
        servers: Ids of the local workers.
        port: Of Temporal; 0 takes a free one.
        ui_port: Of Temporal UI; 0 takes a free one, None starts no UI.
        dashboard_port: Of the dashboard; 0 takes a free one, None starts none.
        in_memory: Keep Temporal's data in memory, not under `state`.
        say: Takes news for people, one or more lines.
        kitsune: The program that runs workers.
        ready_within: How long the workers may take until they poll.
    """

    def __init__(
        self,
        *,
        state: Path,
        servers: Sequence[str],
        port: int = 0,
        ui_port: int | None = None,
        dashboard_port: int | None = None,
        in_memory: bool = False,
        say: Callable[[str], None] = lambda _news: None,
        kitsune: Sequence[str] = KITSUNE,
        ready_within: timedelta = timedelta(seconds=60),
    ) -> None:
        self.state = state.absolute()
        self.servers = tuple(servers)
        self.logs = self.state / "logs"
        self.temporal = EmbeddedServer(
            folder=None if in_memory else self.state / "temporal",
            port=port,
            ui_port=ui_port,
            log=self.logs / "temporal.log",
        )
        self.workers: list[LocalWorker] = []
        self._dashboard_port = dashboard_port
        self._say, self._kitsune, self._ready_within = say, tuple(kitsune), ready_within

    @property
    def address(self) -> str:
        """Where Temporal listens."""
        return self.temporal.address

    @property
    def dashboard_url(self) -> str | None:
        """The dashboard's address, or None when there is none."""
        return f"http://{LOOPBACK}:{self._dashboard_port}" if self._dashboard_port else None

    def files_of(self, server_id: str) -> Path:
        """Return the working folder of a local worker."""
        return self.state / "files" / server_id

    async def __aenter__(self) -> Self:
        """Start everything and wait until every worker polls; on any error nothing is left running.

        Raises:
            EmbeddedServerError: Something could not be started or does not get ready.
        """
        try:
            for folder in (self.state, self.logs):
                make_folder(folder)
            await self.temporal.start()
            self._start_workers()
            await self._wait_until_polling()
            await self._wait_for_dashboard()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        await self.stop()

    async def supervise(self) -> Never:
        """Start workers again when they end; ends only by an error or by being cancelled.

        Raises:
            EmbeddedServerError: Temporal ended, or a worker cannot be started any more.
        """
        while True:
            self._require_temporal()
            self._start_dead_workers()
            await asyncio.sleep(_LOOK_EVERY)

    async def stop(self) -> None:
        """End local workers, then the orchestration worker, then Temporal; does nothing twice."""
        orchestration = [worker for worker in self.workers if worker.queue == ORCHESTRATOR_QUEUE]
        local = [worker for worker in self.workers if worker.queue != ORCHESTRATOR_QUEUE]
        try:
            for group in (local, orchestration):
                await asyncio.gather(*(worker.stop() for worker in group))
            await self.temporal.stop()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End every process at once; `stop` still has to follow."""
        for worker in self.workers:
            worker.kill()
        self.temporal.kill()

    def _start_workers(self) -> None:
        if self._dashboard_port is not None:
            self._dashboard_port = require_port(
                self._dashboard_port or free_port(),
                purpose="the dashboard",
                remedy="give another --dashboard-port, 0 for any free one, or --no-dashboard",
            )
        dashboard = [] if self._dashboard_port is None else [_DASHBOARD]
        for name in (_ORCHESTRATION_WORKER, *self.servers, *dashboard):
            worker = self._worker(name)
            make_folder(worker.folder)
            self.workers.append(worker)
            worker.start(now=_now())

    def _worker(self, name: str) -> LocalWorker:
        environment = client_environment(self.address)
        command = [*self._kitsune, _ORCHESTRATION_WORKER, "--address", self.address]
        queue, folder = ORCHESTRATOR_QUEUE, self.state
        if name == _DASHBOARD:
            command = [*self._kitsune, _DASHBOARD, "--port", str(self._dashboard_port)]
            command += ["--address", self.address]
            queue = NO_QUEUE
        elif name != _ORCHESTRATION_WORKER:
            command = [
                *self._kitsune,
                "local-worker",
                "--server-id",
                name,
                "--address",
                self.address,
            ]
            queue, folder = name, self.files_of(name)
            environment[ENV_SERVER_ID] = name
            environment[ENV_STATE_DIR] = str(self.state / "servers" / name)
        return LocalWorker(
            name=name,
            queue=queue,
            command=command,
            environment=environment,
            folder=folder,
            log=self.logs / f"{name}.log",
        )

    async def _wait_until_polling(self) -> None:
        from temporalio.client import Client  # noqa: PLC0415 - 0.4 s
        from temporalio.service import RPCError  # noqa: PLC0415 - 0.4 s

        client = await Client.connect(self.address, namespace=NAMESPACE)
        waiting = [worker.queue for worker in self.workers if worker.queue != NO_QUEUE]
        try:
            async with asyncio.timeout(self._ready_within.total_seconds()):
                while waiting:
                    self._require_temporal()
                    self._start_dead_workers(give_up_after=_DEATHS_AT_START)
                    with suppress(RPCError):  # Temporal is busy, or has just ended: we look again
                        waiting = await unserved_queues(client, waiting)
                    await asyncio.sleep(_LOOK_EVERY if waiting else 0)
        except TimeoutError:
            silent = next(worker for worker in self.workers if worker.queue == waiting[0])
            raise EmbeddedServerError(silent.death_text()) from None

    async def _wait_for_dashboard(self) -> None:
        dashboard = next((one for one in self.workers if one.name == _DASHBOARD), None)
        if dashboard is None:
            return
        try:
            async with asyncio.timeout(self._ready_within.total_seconds()):
                while not is_served(self._dashboard_port or 0):
                    self._start_dead_workers(give_up_after=_DEATHS_AT_START)
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise EmbeddedServerError(dashboard.death_text()) from None

    def _start_dead_workers(self, *, give_up_after: int | None = None) -> None:
        for worker in self.workers:
            worker.look_after(now=_now(), say=self._say, give_up_after=give_up_after)

    def _require_temporal(self) -> None:
        if self.temporal.exit_code is not None:
            raise EmbeddedServerError(self.temporal.death_text())


def _now() -> float:
    return asyncio.get_running_loop().time()
