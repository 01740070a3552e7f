"""Numbers that may be written as a count or as a share of the fleet."""

import re
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from kitsune.models.problems import show_value

#: A count (`2`) or a share (`"25%"`).
Size = int | str
_PERCENT = re.compile(r"(0?[0-9]{1,2}(\.[0-9]{1,6})?|100(\.0{1,6})?)%")
#: Far beyond every fleet: what is larger is a slip, and would only fill screens.
LARGEST = 10**9
_PERCENT_SCHEMA = {"type": "string", "pattern": f"^{_PERCENT.pattern}$"}


def percent_of(text: str) -> float | None:
    """Return 25.0 for `"25%"`, None for anything that is not a percentage from 0 to 100."""
    return float(text[:-1]) if _PERCENT.fullmatch(text) else None


def _size(value: Any, *, least: int | None, refusal: str) -> Size:
    if isinstance(value, str) and percent_of(value) is not None:
        return value
    counts = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    if counts and (least is None or value >= least):
        return int(value)
    raise ValueError(refusal.format(value=show_value(value)))


def check_batch_size(value: Any) -> Size | list[Size]:
    """Return a batch size: a count from 1, a percentage, or a list of those.

    Raises:
        ValueError: Anything else, an empty list included.
    """
    refusal = 'not a batch size: {value} (write 2, "25%" or a list such as [1, 5, "25%"])'
    if isinstance(value, list):
        if not value:
            raise ValueError(refusal.format(value=show_value(value)))
        return [_size(entry, least=1, refusal=refusal) for entry in value]
    return _size(value, least=1, refusal=refusal)


def check_limit(value: Any) -> Size:
    """Return a limit of failures: a count, a negative number for no limit, or a percentage.

    Raises:
        ValueError: Anything else.
    """
    refusal = 'not a limit: {value} (write 2, "10%", or -1 for no limit)'
    return _size(value, least=None, refusal=refusal)


BatchSize = Annotated[
    int | str | list[int | str],
    PlainValidator(check_batch_size),
    PlainSerializer(lambda value: value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                _PERCENT_SCHEMA,
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {"anyOf": [{"type": "integer", "minimum": 1}, _PERCENT_SCHEMA]},
                },
            ]
        }
    ),
]


def check_unreachable_limit(value: Any) -> Size:
    """Return a limit of unreachable servers: a count or a percentage.

    Raises:
        ValueError: Anything else.
    """
    refusal = 'not a limit: {value} (write 2 or "10%")'
    return _size(value, least=0, refusal=refusal)


UnreachableLimit = Annotated[
    int | str,
    PlainValidator(check_unreachable_limit),
    PlainSerializer(lambda value: value),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, _PERCENT_SCHEMA]}),
]
FailureLimit = Annotated[
    int | str,
    PlainValidator(check_limit),
    PlainSerializer(lambda value: value),
    WithJsonSchema({"anyOf": [{"type": "integer"}, _PERCENT_SCHEMA]}),
]
