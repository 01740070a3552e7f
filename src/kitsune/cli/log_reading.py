"""Reads the output of some servers of a rollout and hands it to a writer: once, or for as long as they run."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import click

from kitsune.cli.exits import Exit
from kitsune.cli.states import AT_WORK, look_of
from kitsune.cli.watch import say
from kitsune.errors import ServerAway, ServerUnavailable
from kitsune.models.progress import Progress, ServerProgress

if TYPE_CHECKING:
    from kitsune.models.plan import Plan
    from kitsune.service.fleet import Fleet
    from kitsune.service.running import RunningStep
    from kitsune.service.tailing import Choice, Printed, ServerTail

#: Servers whose output is read or followed together, at most.
MOST_SERVERS = 20
_LOOK_EVERY = 1.0
#: Servers for each second between two looks: large fleets are looked at less often.
_SERVERS_PER_SECOND = 400
#: A server that did not answer is asked again after so many seconds; meanwhile its heartbeats tell.
_ASK_AGAIN = 15.0
#: States of a server of which no output can come any more.
_GONE = frozenset(
    {"succeeded", "failed", "unreachable", "unknown", "cancelled", "skipped", "notStarted"}
)


class Writer(Protocol):
    """Takes output as it comes."""

    def write(self, printed: "Printed") -> None:
        """Write a piece."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for beside the choice of output."""

    follow: bool = False
    failed: bool = False
    attempt: int | None = None
    tail: int | None = None
    raw: bool = False


@dataclass(frozen=True)
class Target:
    """A server, and which of its output is wanted."""

    server_id: str
    choice: "Choice"


async def find_targets(
    fleet: "Fleet",
    rollout_id: str,
    plan: "Plan",
    server_id: str | None,
    *,
    choice: "Choice",
    asked: Asked,
) -> list[Target]:
    """Return whose output is wanted.

    Raises:
        UsageError: That would be more servers than can be shown together.
        NotFound: There is no such server.
    """
    if server_id is not None:
        await fleet.require_server(rollout_id, server_id)
        if not asked.failed:
            return [Target(server_id, choice)]
    if asked.failed:
        return await _failed(fleet, rollout_id, plan, choice, only=server_id)
    if not asked.follow and len(plan.servers) > MOST_SERVERS:
        raise click.UsageError(
            f"rollout {rollout_id!r} has {len(plan.servers):,} servers: name one, "
            f"as in `kitsune logs {rollout_id} {plan.servers[0]}`, or ask for --failed"
        )
    return [Target(server, choice) for server in plan.servers]


async def _failed(
    fleet: "Fleet", rollout_id: str, plan: "Plan", choice: "Choice", *, only: str | None
) -> list[Target]:
    names = [step.name for step in plan.steps]
    broken = [
        server
        for server in await states_of(fleet, rollout_id)
        if (server.error or server.failed_step)
        and server.state not in ("notStarted", "unreachable", "skipped")
        and only in (None, server.server_id)
    ]
    if len(broken) > MOST_SERVERS:
        say(f"{len(broken):,} servers failed; these are the first {MOST_SERVERS}")
    targets = []
    for server in broken[:MOST_SERVERS]:
        known = server.failed_step in names and choice.step_index is None
        index = names.index(server.failed_step or "") if known else choice.step_index
        phase = choice.phase or "execute"
        targets.append(Target(server.server_id, replace(choice, step_index=index, phase=phase)))
    return targets


async def states_of(fleet: "Fleet", rollout_id: str) -> Sequence[ServerProgress]:
    """Return how every server of a rollout stands, whether or not it has ended."""
    from kitsune.cli.events import progress_at_end
    from kitsune.service.outcomes import Finished

    look = await fleet.look(rollout_id)
    if look.open:
        return look.progress.servers if look.progress else []
    outcome = await fleet.outcome(rollout_id)
    if isinstance(outcome, Finished):
        return progress_at_end(None, outcome.result).servers
    last = await fleet.last_progress(rollout_id)
    return last.servers if last else []


@dataclass
class LogReading:
    """Output on its way from servers to a writer."""

    fleet: "Fleet"
    rollout_id: str
    targets: Sequence[Target]
    writer: Writer
    asked: Asked
    _away: dict[str, float] = field(default_factory=dict)
    _written: bool = False

    async def read(self) -> Exit:
        """Read everything there is; a server that is away makes the exit code 4."""
        for target in self.targets:
            tail = self._tail(target)
            try:
                await self._write(
                    tail.read_end(self.asked.tail) if self.asked.tail else tail.read()
                )
            except ServerAway as away:
                await self._write_known(target, away)
        if not self._written:
            say("there is no output" if self.targets else "no server has failed")
        return Exit.INCOMPLETE if self._away else Exit.OK

    async def follow(self) -> Exit:
        """Show output as it comes, until the server that was named, or the rollout, has ended."""
        tails = {target.server_id: self._tail(target) for target in self.targets}
        ended: set[str] = set()
        while True:
            try:
                look = await self.fleet.look(self.rollout_id)
                if look.progress:
                    await self._turn(look.progress, tails, ended)
                if not look.open or ended >= tails.keys():
                    await self._rest(tails, ended)
                    return Exit.INCOMPLETE if self._away else Exit.OK
            except ServerUnavailable as error:
                say(f"{error}; retrying")
                await asyncio.sleep(_LOOK_EVERY * 4)
            await asyncio.sleep(max(_LOOK_EVERY, len(tails) / _SERVERS_PER_SECOND))

    async def _turn(
        self, progress: Progress, tails: "dict[str, ServerTail]", ended: set[str]
    ) -> None:
        states = {server.server_id: server.state for server in progress.servers}
        busy = [server for server in tails if states.get(server) in AT_WORK]
        if len(busy) > MOST_SERVERS and not self._written:
            say(f"{len(busy):,} servers are at work; {MOST_SERVERS} are followed at a time")
        busy = busy[:MOST_SERVERS]
        steps = await self.fleet.running_steps(self.rollout_id, busy)
        for server in busy:
            await self._follow(tails[server], steps.get(server))
        for server in tails:
            state = states.get(server, "")
            if state in _GONE and server not in ended:
                ended.add(server)
                await self._follow(tails[server], None)
                if len(tails) == 1:
                    say(f"{server} {look_of(state).word}")

    async def _rest(self, tails: "dict[str, ServerTail]", ended: set[str]) -> None:
        for server in [server for server in tails if server not in ended][:MOST_SERVERS]:
            await self._follow(tails[server], None)

    async def _follow(self, tail: "ServerTail", running: "RunningStep | None") -> None:
        now = asyncio.get_running_loop().time()
        try:
            if running is None or self._away.get(tail.server_id, now) <= now:
                await self._write(tail.follow(running))
                self._away.pop(tail.server_id, None)
                return
        except ServerAway as away:
            if tail.server_id not in self._away:
                say(str(away))
            self._away[tail.server_id] = now + _ASK_AGAIN
        for printed in tail.heard(running) if running else ():
            self.writer.write(printed)

    async def _write(self, pieces: "AsyncIterator[Printed]") -> None:
        async for printed in pieces:
            self._written = True
            self.writer.write(printed)

    async def _write_known(self, target: Target, away: ServerAway) -> None:
        """Write what a rollout knows of a server that is away."""
        from kitsune.service.tailing import known_without

        self._away[target.server_id] = 0
        steps = await self.fleet.known_steps(self.rollout_id, target.server_id)
        known = list(known_without(target.server_id, steps, target.choice))
        if not known:  # perhaps a step that has not ended
            running = await self.fleet.running_steps(self.rollout_id, [target.server_id])
            step = running.get(target.server_id)
            known = list(self._tail(target).heard(step)) if step else []
        what = (
            "this is what the rollout knows of its output"
            if known
            else "nothing is known of its output"
        )
        say(f"{away}; {what}")
        for printed in known:
            self._written = True
            self.writer.write(printed)

    def _tail(self, target: Target) -> "ServerTail":
        from kitsune.service.tailing import ServerTail

        return ServerTail(self.fleet, self.rollout_id, target.server_id, target.choice)
