"""A worker of a local fleet: a process that is started again when it ends by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

from kitsune.embedded.local_processes import (
    LocalProcess,
    clean_environment,
    ended_text,
    last_lines,
    open_log,
)
from kitsune.errors import EmbeddedServerError

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: Seconds after which a worker counts as healthy, so that its next end is its first again.
_HEALTHY_AFTER = 60.0
#: A step that is running gets ten seconds of its worker; then the worker has to end.
_GRACE = timedelta(seconds=15)


#: The queue of what serves none.
NO_QUEUE: Final = ""


@dataclass(kw_only=True)
class LocalWorker:
    """One worker of the fleet, or the dashboard beside them.

    Attributes:
        name: `orchestration-worker`, `dashboard`, or the server id of a local worker.
        queue: The task queue that it serves, or `NO_QUEUE`.
        command: What runs it.
        environment: Over ours.
        folder: Its working folder.
        log: The file that its output is appended to.
        deaths: How often it has ended by itself.
    """

    name: str
    queue: str
    command: Sequence[str]
    environment: dict[str, str]
    folder: Path
    log: Path
    deaths: int = field(default=0, init=False)
    _process: LocalProcess | None = field(default=None, init=False)
    _output: BinaryIO | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)
    _started: float = field(default=0.0, init=False)
    _start_again: float | None = field(default=None, init=False)
    _pause: float = field(default=_FIRST_PAUSE, init=False)

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it was never started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs or was never started."""
        return self._process.exit_code if self._process else None

    def start(self, *, now: float) -> None:
        """Start its process.

        Raises:
            EmbeddedServerError: It cannot be started.
        """
        self.close()
        self._output = open_log(self.log)
        self._log_start = self._output.seek(0, 2)
        self._process = LocalProcess(
            self.name,
            self.command,
            env=clean_environment(**self.environment),
            cwd=self.folder,
            output=self._output,
        )
        self._started, self._start_again = now, None

    def look_after(
        self, *, now: float, say: Callable[[str], None], give_up_after: int | None = None
    ) -> None:
        """Notice that it ended, and start it again when its pause is over; pauses double up to 30 s.

        Raises:
            EmbeddedServerError: It cannot be started, or has ended `give_up_after` times.
        """
        if self._process is None or self._process.exit_code is None:
            return
        if self._start_again is None:
            self.deaths += 1
            if give_up_after and self.deaths >= give_up_after:
                raise EmbeddedServerError(self.death_text())
            if now - self._started > _HEALTHY_AFTER:
                self._pause = _FIRST_PAUSE
            say(f"{self.death_text()}\nstarting it again in {self._pause:.0f}s")
            self._start_again = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        elif now >= self._start_again:
            self.start(now=now)

    def death_text(self) -> str:
        """Return how it ended, where its log is, and its last words."""
        code = self.exit_code
        how = "does not poll" if code is None else f"ended with {ended_text(code)}"
        said = last_lines(self._output, start=self._log_start) if self._output else ""
        return f"{self.name} {how} (log: {self.log}){':' if said else ''}{said}"

    async def stop(self) -> None:
        """End it: SIGTERM, after fifteen seconds SIGKILL."""
        try:
            if self._process:
                await self._process.stop(grace=_GRACE)
        finally:
            self.close()

    def kill(self) -> None:
        """End it at once; `stop` still closes what is open."""
        if self._process:
            self._process.kill()

    def close(self) -> None:
        """Close our end of its log."""
        if self._output:
            self._output.close()
            self._output = None
