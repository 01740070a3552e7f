"""The embedded Temporal server: one process, SQLite, for development, demonstrations and tests."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from kitsune.embedded.folder_lock import FolderLock, make_folder
from kitsune.embedded.local_processes import (
    LocalProcess,
    clean_environment,
    ended_text,
    last_lines,
    open_log,
    read_log,
)
from kitsune.embedded.ports import LOOPBACK, free_port, require_port
from kitsune.embedded.temporal_command import server_command
from kitsune.errors import EmbeddedServerError

#: The namespace that the server makes by itself.
NAMESPACE: Final = "default"
#: What the server prints when it listens, before its address.
_LISTENING = "Temporal Server:"
_START_TRIES = 5
#: Bytes of disk below which a full disk is worth a remark: an empty database takes three million.
_ROOM = 10_000_000
_LOOK_EVERY = 0.05


class EmbeddedServer:
    """A Temporal server as a child process: `async with EmbeddedServer() as server: server.address`.

    Args:
        folder: Where its database and its lock live; None keeps everything in memory.
        port: Of the frontend; 0 takes a free one.
        ui_port: Of Temporal UI; 0 takes a free one, None starts no UI.
        log: File that its output is appended to; by default `temporal.log` in the folder, or nowhere.
        settings: Dynamic configuration over `temporal_command.SETTINGS`, values as JSON.
        ready_within: How long it may take to answer.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        port: int = 0,
        ui_port: int | None = None,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        ready_within: timedelta = timedelta(seconds=30),
    ) -> None:
        self.folder, self.port, self.ui_port = folder, port, ui_port
        self._wanted_port, self._wanted_ui_port = port, ui_port
        self._log_path = log or (folder / "temporal.log" if folder else None)
        self._settings = settings or {}
        self._ready_within = ready_within
        self._lock = FolderLock(folder / "temporal.lock") if folder else None
        self._log: BinaryIO | None = None
        self._log_start = 0
        self._process: LocalProcess | None = None

    @property
    def address(self) -> str:
        """Where its frontend listens, as `host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Temporal UI's address, or None when there is no UI."""
        return f"http://{LOOPBACK}:{self.ui_port}" if self.ui_port else None

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it was not started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exit_code if self._process else None

    async def __aenter__(self) -> Self:
        """Start it and wait until it answers."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it answers; on any error nothing is left running.

        Raises:
            EmbeddedServerError: No binary, folder in use, port taken, died, or silent for too long.
        """
        try:
            if self.folder and self._lock:
                make_folder(self.folder)
                await self._lock.take()
            self._log = open_log(self._log_path) if self._log_path else tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
            await self._start_process()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it: SIGTERM, after ten seconds SIGKILL. Does nothing when it has ended."""
        if self.folder is None:
            self.kill()  # it would take a second to save nothing
        try:
            if self._process:
                await self._process.stop()
        finally:
            if self._log:
                self._log.close()
                self._log = None
            if self._lock:
                self._lock.release()

    def kill(self) -> None:
        """End it at once; `stop` still closes what is open."""
        if self._process:
            self._process.kill()

    def death_text(self) -> str:
        """Return how it ended and what it said last."""
        code = self.exit_code
        how = "does not answer" if code is None else f"ended with {ended_text(code)}"
        said = last_lines(self._log, start=self._log_start) if self._log else ""
        return f"Temporal {how}{self._room_text()}" + (f"; its last words:{said}" if said else "")

    def _room_text(self) -> str:
        if not self.folder:
            return ""
        free = shutil.disk_usage(self.folder).free
        return f" ({free // 1024} KiB are free in {str(self.folder)!r})" if free < _ROOM else ""

    async def _start_process(self) -> None:
        for tries_left in reversed(range(_START_TRIES)):
            self._choose_ports()
            self._spawn()
            if await self._answers():
                return
            # Somebody took a port between our look and the server's: look again.
            if "address already in use" not in self.death_text() or not tries_left:
                raise EmbeddedServerError(self.death_text())

    def _choose_ports(self) -> None:
        self.port = self._wanted_port or free_port()
        require_port(
            self.port, purpose="Temporal", remedy="give another one, or --port 0 for any free one"
        )
        if self._wanted_ui_port is not None:
            self.ui_port = self._wanted_ui_port or free_port()
            require_port(
                self.ui_port,
                purpose="Temporal UI",
                remedy="give --ui-port 0 for any free one, or --headless",
            )

    def _spawn(self) -> None:
        assert self._log is not None  # noqa: S101 - start() opens it
        self._log_start = self._log.seek(0, 2)
        self._process = LocalProcess(
            "temporal",
            server_command(
                port=self.port,
                ui_port=self.ui_port,
                database=self.folder / "temporal.db" if self.folder else None,
                settings=self._settings,
            ),
            env=clean_environment(),
            output=self._log,
            keep_open=(self._lock.fileno(),) if self._lock else (),
        )

    def _is_listening(self) -> bool:
        """Whether our own server has the port: another one there would answer just as well."""
        return self._log is not None and _LISTENING in read_log(self._log, start=self._log_start)

    async def _answers(self) -> bool:
        """Wait until the server answers (True), dies or has been silent for too long (False)."""
        try:
            async with asyncio.timeout(self._ready_within.total_seconds()):
                while self.exit_code is None:
                    if self._is_listening() and await _has_namespace(self.address):
                        return True
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            pass
        return False


async def _has_namespace(address: str) -> bool:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest  # noqa: PLC0415 - 0.4 s
    from temporalio.client import Client  # noqa: PLC0415 - 0.4 s
    from temporalio.service import RPCError  # noqa: PLC0415 - 0.4 s

    try:
        client = await Client.connect(address, namespace=NAMESPACE)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=NAMESPACE)
        )
    except (RuntimeError, RPCError):  # RuntimeError: nobody listens yet
        return False
    return True
