"""Finds step handlers: ours and those of plugins come the same way, by entry points."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel

from kitsune.errors import HandlerUnusable
from kitsune.handlers.base import StepHandler
from kitsune.names import HANDLER_GROUP

Handler = StepHandler[Any]


class HandlerRegistry:
    """The step types that this process can run, and what is wrong with those that it cannot.

    Attributes:
        types: Step types that work, sorted.
        faults: Step type -> why its handler is installed but cannot be used, in one sentence.
    """

    def __init__(
        self, handlers: Iterable[Handler] = (), *, faults: Mapping[str, str] | None = None
    ) -> None:
        """Hold these handlers.

        Raises:
            HandlerUnusable: Two of them have one type.
        """
        self._handlers: dict[str, Handler] = {}
        for handler in handlers:
            if handler.type in self._handlers:
                raise HandlerUnusable(f"two handlers of the step type {handler.type!r}: keep one")
            self._handlers[handler.type] = handler
        self.types = tuple(sorted(self._handlers))
        self.faults = dict(faults or {})

    def get(self, step_type: str) -> Handler | None:
        """Return the handler of a type, or None where there is none that works."""
        return self._handlers.get(step_type)

    def require(self, step_type: str) -> Handler:
        """Return the handler of a type.

        Raises:
            HandlerUnusable: There is none, or it cannot be used; says which, and why.
        """
        handler = self.get(step_type)
        if handler is None:
            known = ", ".join(self.types) or "none"
            missing = f"no handler for the step type {step_type!r} is installed (known: {known})"
            raise HandlerUnusable(self.faults.get(step_type, missing))
        return handler

    def __iter__(self) -> Iterator[Handler]:
        return (self._handlers[step_type] for step_type in self.types)

    def __len__(self) -> int:
        return len(self._handlers)


def load_handlers() -> HandlerRegistry:
    """Return every handler that is installed; one that cannot be used takes no other down."""
    return registry_of(entry_points(group=HANDLER_GROUP))


def registry_of(points: Iterable[EntryPoint]) -> HandlerRegistry:
    """Return a registry of what these entry points name."""
    by_type: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in points:
        by_type[point.name].append(point)
    handlers, faults = [], {}
    for step_type, claims in by_type.items():
        try:
            handlers.append(_load_only(claims))
        except HandlerUnusable as fault:
            faults[step_type] = f"the step type {step_type!r} cannot be used: {fault}"
    return HandlerRegistry(handlers, faults=faults)


def _load_only(claims: list[EntryPoint]) -> Handler:
    if len(claims) > 1:
        rivals = " and ".join(sorted(_distribution(point) for point in claims))
        raise HandlerUnusable(f"{rivals} both bring it: uninstall one")
    return _load(claims[0])


def _load(point: EntryPoint) -> Handler:
    where = f"{point.value} of {_distribution(point)}"
    try:
        loaded = point.load()
    except Exception as error:
        raise HandlerUnusable(
            f"{where} fails to import: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, StepHandler)):
        raise HandlerUnusable(f"{where} is not a StepHandler class")
    if getattr(loaded, "type", None) != point.name:
        own = getattr(loaded, "type", None)
        raise HandlerUnusable(f"{where} has type {own!r}: name the entry point like its type")
    model = getattr(loaded, "params_model", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise HandlerUnusable(f"{where} has no params_model (a pydantic model)")
    try:
        return loaded()
    except Exception as error:
        raise HandlerUnusable(f"{where} fails to start: {type(error).__name__}: {error}") from error


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
