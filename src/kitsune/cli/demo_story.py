"""The story that `kitsune demo` tells: it runs real commands, and checks everything that it says."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from kitsune.cli.console import glyphs, print_line, stdout_console
from kitsune.cli.exits import MEANINGS, Exit

if TYPE_CHECKING:
    from kitsune.embedded.local_fleet import LocalFleet
    from kitsune.embedded.local_processes import LocalProcess

_BROKEN_ON = "server-4"
#: What `history.txt` says on a server that took release 1.
_UPDATED = ("maintenance for release 1", "running release 1")
#: What it says once release 2 was there and was undone.
_UNDONE = (
    *_UPDATED,
    "maintenance for release 2",
    "running release 2",
    "maintenance for rollback",
    "back on release 1",
)


def narrate(text: str, *, style: str = "") -> None:
    """Print a sentence, wrapped at the terminal's width."""
    out = stdout_console()
    out.print(Text(text, style=style))
    out.file.flush()


class Story:
    """Two releases on a fleet; `surprises` holds whatever was not as it should be."""

    def __init__(self, fleet: "LocalFleet") -> None:
        self.surprises: list[str] = []
        self._fleet = fleet
        self._command: LocalProcess | None = None

    async def tell(self) -> None:
        """Tell it to its end, or to the first surprise."""
        out = stdout_console()
        print_line(out, f"  Temporal UI  {self._fleet.temporal.ui_url}")
        print_line(out, f"  folder       {self._fleet.state}")
        for chapter in (self._good_release, self._bad_release, self._memory):
            print_line(out)
            await chapter()
            if self.surprises:
                break
        print_line(out)
        self._sum_up()

    def kill(self) -> None:
        """End every process at once."""
        if self._command:
            self._command.kill()
        self._fleet.kill()

    async def _good_release(self) -> None:
        narrate("1. Release 1: server-1 first, then two servers at a time.", style="bold")
        await self._run("run", "release-1.yaml", "--yes", expected=Exit.OK)
        narrate("The servers' own files say:")
        for server in self._fleet.servers:
            self._check_files(server, [_UPDATED])

    async def _bad_release(self) -> None:
        narrate(
            f"2. Release 2 has a bug, and {_BROKEN_ON} finds it. The rollout stops there, and every "
            "server goes back to release 1.",
            style="bold",
        )
        await self._run("run", "release-2.yaml", "--yes", expected=Exit.STOPPED)
        narrate("The servers' own files say:")
        last_to_start = self._fleet.servers[-1]
        for server in self._fleet.servers:
            # The last one starts together with the broken one, so it is undone, or just not reached.
            self._check_files(server, [_UNDONE, _UPDATED] if server == last_to_start else [_UNDONE])

    async def _memory(self) -> None:
        narrate("3. Both rollouts are on record.", style="bold")
        await self._run("list", expected=Exit.OK)

    async def _run(self, *arguments: str, expected: Exit) -> None:
        """Run a command as a person would, on this terminal, and compare its exit code."""
        from kitsune.embedded.local_fleet import KITSUNE, client_environment
        from kitsune.embedded.local_processes import LocalProcess, clean_environment

        line = " ".join(("kitsune", *arguments))
        narrate(f"$ {line}", style="bold cyan")
        self._command = LocalProcess(
            line,
            [*KITSUNE, *arguments],
            env=clean_environment(**client_environment(self._fleet.address)),
            cwd=self._fleet.state,
            own_session=False,
        )
        try:
            code = await self._command.wait()
        finally:
            await self._command.stop()
        if code != expected:
            self.surprises.append(f"`{line}` ended with exit code {code}, not {expected.value}")
        elif code:
            narrate(f"Its exit code is {code}: {MEANINGS[expected]}.")

    def _check_files(self, server: str, histories: list[tuple[str, ...]]) -> None:
        """Show what the files of a server say, and compare it."""
        out = stdout_console()
        folder = self._fleet.files_of(server)
        release = _read(folder / "release.txt")
        history = _read(folder / "history.txt").splitlines()
        went = [line.split()[-1] for line in history if line.startswith(("running", "back"))]
        path = f" {glyphs(out).arrow} ".join(went)
        print_line(out, f"  {server}: {release.strip() or 'nothing'} (releases: {path})")
        if release != "release 1\n" or tuple(history) not in histories:
            self.surprises.append(f"{server} has {release!r} after {history!r}")

    def _sum_up(self) -> None:
        out = stdout_console()
        signs = glyphs(out)
        if self.surprises:
            narrate("This is not as it should be:", style="bold red")
            for surprise in self.surprises:
                print_line(out, f"  {signs.failed} {surprise}")
        else:
            for claim in (
                "Release 1 reached all five servers.",
                f"Release 2 failed on {_BROKEN_ON}, and the rollout stopped.",
                "Every server is back on release 1, byte for byte.",
            ):
                narrate(f"{signs.ok} {claim}", style="bold")
        out.file.flush()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
