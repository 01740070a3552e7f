"""Builds plain data from what a reader finds, and remembers where everything stood."""

from dataclasses import dataclass, field
from typing import Any

from kitsune.models.problems import Problem, join_path, show_value
from kitsune.planfile.source import Source
from kitsune.rollout.limits import MAX_DEPTH

#: Mappings, lists and values in one file; a plan of 2,000 servers and 1,000 usual steps has about 13,000.
MAX_NODES = 30_000


@dataclass(frozen=True)
class Spot:
    """Where a value stands, and the key before it, as offsets into the text."""

    value: int
    key: int | None = None


@dataclass
class _Frame:
    """A mapping or a list that is being read."""

    container: dict[str, Any] | list[Any]
    path: str
    offset: int
    dropped: bool
    key: str | None = None
    key_offset: int | None = None
    key_dropped: bool = False
    keys: dict[str, int] = field(default_factory=dict)


class Builder:
    """Takes what a reader finds, in order, and holds the result.

    Attributes:
        data: The data, once everything has been added.
        spots: Path -> where it stands.
        problems: What the file says in a way that a plan may not, with the offset of each.
        blind: Paths whose content is not known, because of one of those problems.
    """

    def __init__(self, source: Source) -> None:
        self.data: Any = None
        self.spots: dict[str, Spot] = {}
        self.problems: list[tuple[Problem, int]] = []
        self.blind: set[str] = set()
        self._source = source
        self._open: list[_Frame] = []
        self._nodes = 0

    @property
    def expects_key(self) -> bool:
        """Whether the next thing is a key of a mapping."""
        frame = self._open[-1] if self._open else None
        return frame is not None and isinstance(frame.container, dict) and frame.key is None

    @property
    def key_offset(self) -> int | None:
        """Where the key of the next value stands."""
        return self._open[-1].key_offset if self._open else None

    def open(self, container: dict[str, Any] | list[Any], offset: int) -> None:
        """Begin a mapping or a list.

        Raises:
            PlanUnreadable: Nested too deeply, or too much of everything.
        """
        path, dropped = self._add(container, offset)
        if len(self._open) >= MAX_DEPTH:
            raise self._source.unreadable(f"nested deeper than {MAX_DEPTH} levels", offset)
        self._open.append(_Frame(container, path, offset, dropped))

    def close(self) -> None:
        """End the innermost mapping or list."""
        self._open.pop()

    def key(self, key: str, offset: int, *, dropped: bool = False) -> None:
        """Name the next value; a dropped one is read and forgotten. A key that was there is a problem."""
        frame = self._open[-1]
        frame.key, frame.key_offset, frame.key_dropped = key, offset, dropped
        if dropped:
            return
        if key in frame.keys:
            frame.key_dropped = True
            first, again = (self._source.place(at).line for at in (frame.keys[key], offset))
            lines = f"line {first}" if first == again else f"line {first} and in line {again}"
            message = f"the key {show_value(key)} is written twice, in {lines}: keep one"
            self.refuse(message, offset)
        frame.keys.setdefault(key, offset)

    def value(self, value: Any, offset: int) -> None:
        """Add a value that holds no others."""
        self._add(value, offset)

    def refuse(self, message: str, offset: int) -> None:
        """Note something that a plan may not say, at the value that comes next."""
        if len(self.problems) < MAX_NODES and not self._dropping:
            problem = Problem(path=self._next_path(), message=message, at_key=True)
            self.problems.append((problem, offset))

    def hide_next(self) -> None:
        """Note that nothing is known about the value that comes next."""
        self.blind.add(self._next_path())

    def hide_mapping(self) -> None:
        """Note that not all is known about the mapping that is being read."""
        self.blind.add(self._open[-1].path)

    @property
    def _dropping(self) -> bool:
        return bool(self._open) and self._open[-1].dropped

    def _next_path(self) -> str:
        if not self._open:
            return ""
        frame = self._open[-1]
        if isinstance(frame.container, list):
            return join_path([len(frame.container)], prefix=frame.path)
        return frame.path if frame.key is None else join_path([frame.key], prefix=frame.path)

    def _add(self, value: Any, offset: int) -> tuple[str, bool]:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values: more than one plan can need"
            raise self._source.unreadable(message, offset)
        path = self._next_path()
        if not self._open:
            self.data = value
            self.spots[path] = Spot(offset)
            return path, False
        frame = self._open[-1]
        dropped = frame.dropped or frame.key_dropped
        if not dropped:
            self.spots.setdefault(path, Spot(offset, frame.key_offset))
            self._store(frame, value)
        frame.key, frame.key_offset, frame.key_dropped = None, None, False
        return path, dropped

    @staticmethod
    def _store(frame: _Frame, value: Any) -> None:
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif frame.key is not None:
            frame.container[frame.key] = value
