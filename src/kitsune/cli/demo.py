"""`kitsune demo`: a rollout that succeeds, then one that fails and is undone, on five servers of this machine."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitsune.cli.console import print_line, stdout_console
from kitsune.cli.exits import Exit

if TYPE_CHECKING:
    from kitsune.cli.interrupts import Interrupts
    from kitsune.embedded.local_fleet import LocalFleet

#: The plans name them too.
SERVERS = tuple(f"server-{number}" for number in range(1, 6))
PLANS = Path(__file__).parent / "demo_plans"


@click.command()
@click.option("--keep", is_flag=True, help="Keep everything running at the end, until Ctrl-C.")
def demo(*, keep: bool) -> Exit:
    """See a rollout succeed, then one fail and be undone.

    \b
    kitsune demo

    Starts Temporal and five local workers in a temporary folder, runs two plans on them with the commands
    that you would type, checks the files, and leaves nothing behind. Takes about a minute.
    """  # noqa: D301 - click's sign for "do not wrap"
    from kitsune.cli.interrupts import run_interruptibly

    ended: list[Exit] = []

    async def play(interrupts: "Interrupts") -> None:
        from kitsune.cli.temporary_folder import temporary_folder
        from kitsune.embedded.local_fleet import LocalFleet

        with temporary_folder("demo") as folder:
            fleet = LocalFleet(state=folder.path, servers=SERVERS, ui_port=0, in_memory=True)
            if not await _play_on(fleet, interrupts, keep=keep, ended=ended):
                folder.keep = True

    run_interruptibly(play)
    return ended[0] if ended else Exit.DETACHED


async def _play_on(
    fleet: "LocalFleet", interrupts: "Interrupts", *, keep: bool, ended: list[Exit]
) -> bool:
    """Start the fleet, tell the story and return whether all of it was as it should be."""
    from kitsune.cli.demo_story import Story, narrate

    story = Story(fleet)
    interrupts.first = lambda: narrate("Ending everything (Ctrl-C again: at once).")
    interrupts.further = story.kill
    for plan in PLANS.glob("*.yaml"):
        shutil.copy(plan, fleet.state)
    narrate("Kitsune demo: a good release and a bad one, on five servers of this machine.")
    narrate("Starting Temporal, an orchestration worker and five local workers.")
    async with fleet:
        await story.tell()
        ended.append(Exit.BUG if story.surprises else Exit.OK)
        if keep and not story.surprises:
            out = stdout_console()
            narrate("Everything keeps running until Ctrl-C. Type in another terminal:")
            print_line(out, f"  export TEMPORAL_ADDRESS={fleet.address}", style="cyan")
            print_line(out, "  kitsune list", style="cyan")
            out.file.flush()
            await fleet.supervise()
    return not story.surprises
