"""What steps print, as it comes: from heartbeats where those say it all, else from the server's disk."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kitsune.models.logs import PAGE_BYTES, LogEntry, LogPage, Stream
from kitsune.models.results import StepOutcome
from kitsune.service.running import RunningStep, Tail
from kitsune.service.server_reading import ServerReading

#: Identifies an output stream: phase, step index, execution, stream.
_Key = tuple[str, int | None, int, str]


@dataclass(frozen=True)
class Printed:
    """A piece of what a step has printed.

    Attributes:
        step_index: From 0, where it is known.
        phase: `execute` or `rollback`.
        skipped: Bytes before it that cannot be shown, or were left out.
    """

    server_id: str
    step: str
    step_index: int | None
    phase: str
    stream: Stream
    data: bytes
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whose output is wanted.

    Attributes:
        step_index: Of one step only.
        phase: `execute` or `rollback`; None: both.
        attempt: Which execution, from 1; None: the last.
        streams: Which streams.
    """

    step_index: int | None = None
    phase: str | None = None
    attempt: int | None = None
    streams: Sequence[Stream] = ("stdout", "stderr")

    def takes(self, phase: str, step_index: int | None) -> bool:
        """Return whether output of this step is wanted."""
        fits = self.step_index is None or step_index in (None, self.step_index)
        return fits and self.phase in (None, phase)


class ServerTail:
    """Remembers how much of a server's output was seen, and returns what is new."""

    def __init__(
        self, fleet: ServerReading, rollout_id: str, server_id: str, choice: Choice
    ) -> None:
        self.server_id = server_id
        self._fleet, self._rollout_id, self._choice = fleet, rollout_id, choice
        self._seen: dict[_Key, int] = {}
        self._begun: dict[tuple[str, int | None], datetime | None] = {}
        self._asked_at: tuple[str, int] | None = None

    async def read(self) -> AsyncIterator[Printed]:
        """Yield everything on the server's disk that was not seen yet.

        Raises:
            ServerAway: Its local worker does not answer; nothing was marked as seen then that was not yielded.
        """
        for entry in await self._entries():
            async for printed in self._read_entry(entry):
                yield printed

    async def read_end(self, lines: int) -> AsyncIterator[Printed]:
        """Yield the last lines of every stream, as far as one page of each holds them.

        Raises:
            ServerAway: Its local worker does not answer.
        """
        for entry in await self._entries():
            for stream in self._streams(entry):
                page = await self._page(entry, stream, -PAGE_BYTES)
                self._seen[self._key(entry, stream)] = page.next_offset
                if data := _last_lines(page.content, lines):
                    yield _printed(entry, page, data, skipped=0)

    async def follow(self, running: RunningStep | None) -> AsyncIterator[Printed]:
        """Yield what is new, by the last heartbeat of the running step; asks the server where that does not tell all.

        Raises:
            ServerAway: It had to be asked, and does not answer.
        """
        here = (running.step, running.execution) if running else None
        told = None if here is None or here != self._asked_at else self._told(running)
        if told is not None:
            for printed in told:
                yield printed
            return
        async for printed in self.read():
            yield printed
        self._asked_at = here

    def heard(self, running: RunningStep) -> Iterator[Printed]:
        """Yield what the last heartbeat of a server that cannot be asked tells."""
        for stream, tail in self._tails(running):
            key = (running.phase, running.index, running.execution, stream)
            seen = self._seen.get(key, 0)
            if tail.end <= seen:
                continue
            self._seen[key] = tail.end
            data = tail.data[max(0, seen - tail.start) :]
            yield Printed(
                self.server_id,
                running.name,
                running.index,
                running.phase,
                stream,
                data,
                skipped=max(0, tail.start - seen),
            )

    def _told(self, running: RunningStep | None) -> list[Printed] | None:
        """Return what a heartbeat tells that is new, or None where it leaves something out."""
        if running is None:
            return None
        for stream, tail in self._tails(running):
            seen = self._seen.get((running.phase, running.index, running.execution, stream), 0)
            if tail.end < seen or (tail.end > seen and tail.start > seen):
                return None
        return list(self.heard(running))

    def _tails(self, running: RunningStep) -> Iterator[tuple[Stream, Tail]]:
        if self._choice.takes(running.phase, running.index):
            for stream in self._choice.streams:
                if stream in running.tails:
                    yield stream, running.tails[stream]

    async def _entries(self) -> list[LogEntry]:
        """Return the steps whose output is wanted, in the order in which they began, each with its last run only."""
        listed = await self._fleet.list_logs(self._rollout_id, self.server_id)
        last = {
            (entry.phase, entry.step_index, entry.step): entry
            for entry in listed.entries
            if self._choice.takes(entry.phase, entry.step_index)
        }
        for entry in last.values():
            self._forget_older(entry)
        return sorted(last.values(), key=listed.entries.index)

    async def _read_entry(self, entry: LogEntry) -> AsyncIterator[Printed]:
        for stream in self._streams(entry):
            key = self._key(entry, stream)
            while True:
                seen = self._seen.get(key, 0)
                page = await self._page(entry, stream, seen)
                self._seen[key] = max(seen, page.next_offset)
                if page.content or page.skipped:
                    yield _printed(entry, page, page.content, skipped=page.skipped)
                if not page.more or page.next_offset <= seen:
                    break

    def _streams(self, entry: LogEntry) -> Iterator[Stream]:
        """Yield the streams of which there may be more than was seen."""
        for stream in self._choice.streams:
            size = entry.stdout if stream == "stdout" else entry.stderr
            other = self._choice.attempt not in (None, entry.executions)
            if other or (size or 0) > self._seen.get(self._key(entry, stream), 0):
                yield stream

    async def _page(self, entry: LogEntry, stream: Stream, offset: int) -> LogPage:
        return await self._fleet.read_log(
            self._rollout_id,
            self.server_id,
            step=entry.step if entry.step_index is None else entry.step_index,
            stream=stream,
            phase=entry.phase,
            attempt=self._choice.attempt,
            offset=offset,
        )

    def _key(self, entry: LogEntry, stream: Stream) -> _Key:
        attempt = self._choice.attempt or entry.executions
        return entry.phase, entry.step_index, attempt, stream

    def _forget_older(self, entry: LogEntry) -> None:
        """Forget what was seen of a step that an operator has had run again since: it begins anew."""
        step = entry.phase, entry.step_index
        if self._begun.setdefault(step, entry.started_at) != entry.started_at:
            self._begun[step] = entry.started_at
            for key in [key for key in self._seen if key[:2] == step]:
                del self._seen[key]


def _printed(entry: LogEntry, page: LogPage, data: bytes, *, skipped: int) -> Printed:
    return Printed(
        page.server_id,
        entry.step,
        entry.step_index,
        entry.phase,
        "stderr" if page.stream == "stderr" else "stdout",
        data,
        skipped,
    )


def _last_lines(data: bytes, count: int) -> bytes:
    """Return the last lines of some bytes; a line that is not ended yet counts as one."""
    return b"".join(data.splitlines(keepends=True)[-count:])


def known_without(
    server_id: str, steps: Sequence[StepOutcome], choice: Choice
) -> Iterator[Printed]:
    """Yield what Temporal has kept of a server's output, for when the server itself is away."""
    for step in steps:
        if not choice.takes("execute", step.index):
            continue
        for stream in choice.streams:
            kept = step.outputs.get(stream)
            text = str(kept.get("text") or "") if isinstance(kept, dict) else ""
            if text:
                yield Printed(server_id, step.name, step.index, "execute", stream, text.encode())
