"""A plan file that has been read: its data, and where each part of it stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kitsune.models.printable import safe
from kitsune.models.problems import Problem, parent_path
from kitsune.planfile.builder import Builder, Spot
from kitsune.planfile.json_text import read_json
from kitsune.planfile.source import Place, Source, read_source


@dataclass(frozen=True)
class Located:
    """A problem, and where in a file it is.

    Attributes:
        problem: What is wrong.
        file: The file as the operator named it.
        place: Line and column, or None for a plan as a whole.
        excerpt: The line and a caret, or None where there is no place or something secret stands there.
    """

    problem: Problem
    file: str
    place: Place | None = None
    excerpt: str | None = None

    @property
    def text(self) -> str:
        """The problem as `file:line:column: path: message`, with the line below; safe to print."""
        where = f":{self.place.line}:{self.place.column}" if self.place else ""
        line = f"{safe(self.file)}{where}: {safe(self.problem.text)}"
        return f"{line}\n{self.excerpt}" if self.excerpt else line


@dataclass(frozen=True)
class Document:
    """A plan file's content.

    Attributes:
        source: The text.
        data: What it says, as plain data.
        spots: Path -> where it stands.
        problems: What a plan file may not say, whatever it means, with offsets.
        blind: Paths below which nothing can be said, because of those problems.
    """

    source: Source
    data: Any
    spots: dict[str, Spot]
    problems: tuple[tuple[Problem, int], ...] = ()
    blind: frozenset[str] = frozenset()

    def place_of(self, path: str, *, key: bool = False) -> Place:
        """Return where something stands, or what would hold it where it is missing."""
        while path and path not in self.spots:
            path, key = parent_path(path), False
        spot = self.spots[path]
        return self.source.place(spot.key if key and spot.key is not None else spot.value)

    def locate(self, problems: Iterable[Problem], *, secrets: Iterable[str] = ()) -> list[Located]:
        """Return the file's own problems and a plan's, from top to bottom, each with its place.

        Args:
            problems: What is wrong with the plan.
            secrets: Paths of values that must not be shown: no line that holds one is.
        """
        lines = self._lines_of(tuple(secrets))
        own = [
            self._at(problem, self.source.place(offset), secret_lines=lines)
            for problem, offset in self.problems
        ]
        seen = [problem for problem in problems if not self._is_blind(problem.path)]
        found = own + [
            self._at(problem, self.place_of(problem.path, key=problem.at_key), secret_lines=lines)
            for problem in seen
            if problem.path
        ]
        found.sort(key=lambda located: _order(located.place))
        return found + [Located(problem, self.source.name) for problem in seen if not problem.path]

    def _at(self, problem: Problem, place: Place, *, secret_lines: set[int]) -> Located:
        hidden = problem.sensitive or place.line in secret_lines
        excerpt = None if hidden else self.source.excerpt(place)
        return Located(problem, self.source.name, place, excerpt)

    def _lines_of(self, secrets: tuple[str, ...]) -> set[int]:
        return {
            self.source.place(spot.value).line
            for path, spot in self.spots.items()
            if path.startswith(secrets)
        }

    def _is_blind(self, path: str) -> bool:
        while path:
            if path in self.blind:
                return True
            path = parent_path(path)
        return "" in self.blind


def read_document(path: str) -> Document:
    """Read a plan file, or standard input for `-`.

    Raises:
        PlanUnreadable: It cannot be read at all; says where and why.
    """
    return parse_document(read_source(path))


def parse_document(source: Source) -> Document:
    """Read a plan's text: JSON where the file's name or its first character says so, else YAML.

    Raises:
        PlanUnreadable: Neither YAML nor JSON; says where and why.
    """
    built = _read(source)
    return Document(
        source=source,
        data=built.data,
        spots=built.spots,
        problems=tuple(built.problems),
        blind=frozenset(built.blind),
    )


def _read(source: Source) -> Builder:
    name = source.name.lower()
    yaml = name.endswith((".yaml", ".yml"))
    if name.endswith(".json") or (not yaml and source.text.lstrip()[:1] == "{"):
        return read_json(source)
    from kitsune.planfile.yaml_text import read_yaml  # noqa: PLC0415 - a tenth of a second that JSON need not pay

    return read_yaml(source)


def _order(place: Place | None) -> tuple[int, int]:
    return (place.line, place.column) if place else (0, 0)
