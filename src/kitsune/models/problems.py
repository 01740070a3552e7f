"""What is wrong with a plan: one problem per place, in words that an operator can act on."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import AliasChoices, BaseModel

from kitsune.models.base import WireModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

_SHOWN_VALUE = 80
_SHOWN_BITS = 200
_PIECE = 4  # characters of a secret that a message may not repeat
_OWN_WORDS = ("value_error", "assertion_error")
_PLAIN_KEY = re.compile(r"[^\W\d][\w-]{0,99}|\$schema")


class Problem(WireModel):
    """One thing that is wrong with a plan.

    Attributes:
        path: Where, as in `steps[2].params.duration`; empty for the plan as a whole.
        value: What stands there, as shown to people; None where something is missing or secret.
        message: What is wrong, with the value and what would work.
        hint: The nearest thing that is known, for a typo.
        at_key: The key itself is wrong, rather than its value.
        sensitive: What stands there is secret: nobody shows it, nor the line of the file that holds it.
    """

    path: str = ""
    value: str | None = None
    message: str
    hint: str | None = None
    at_key: bool = False
    sensitive: bool = False

    @property
    def text(self) -> str:
        """The problem in one line."""
        where = f"{self.path}: " if self.path else ""
        hint = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{where}{self.message}{hint}"


def show_value(value: Any) -> str:
    """Return a value for a message: short, on one line, `null` and `true` as people write them."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"a number of {value.bit_length():,} bits"  # Python refuses to write the longest
    text = repr(value[: _SHOWN_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 1] + "…"


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that a typo most likely meant, or None.

    Args:
        word: What was written; of a long one, only the beginning is looked at.
        known: What would work.
        cutoff: How alike they must be, from 0 to 1; capitals and underscores do not count.
    """
    by_folded = {_folded(name): name for name in sorted(known)}
    found = get_close_matches(_folded(word[:100]), list(by_folded), n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def _folded(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def join_path(location: Sequence[str | int], *, prefix: str = "") -> str:
    """Return `steps[2].params` for `("steps", 2, "params")`, and `env["a.b"]` for unusual keys."""
    path = prefix
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(part[:100])}]"
    return path


def parent_path(path: str) -> str:
    """Return the path of what holds a place: `steps[2]` for `steps[2].params`, empty for `steps`."""
    if path.endswith('"]'):
        opened = path.rfind('["')
        return path[: max(opened, 0)]
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def problems_from(
    error: ValidationError, model: type[BaseModel], *, raw: Any, prefix: str = ""
) -> list[Problem]:
    """Return pydantic's findings as problems, at most one of a kind for each place.

    Args:
        error: What pydantic found.
        model: The model that was validated; its keys give the hints.
        raw: What was validated.
        prefix: The path of the validated value within the plan.
    """
    found = [
        _problem(detail, model=model, raw=raw, prefix=prefix)
        for detail in error.errors(include_url=False)
    ]
    return list(dict.fromkeys(found))


def known_keys(model: type[BaseModel], location: Sequence[str | int] = ()) -> list[str]:
    """Return the keys that may be written at a place inside a model, sorted; empty where any may."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            field = _field_of(found, part)
            found = _model_within(field.annotation) if field else None
    if found is None:
        return []
    return sorted(keys_of(name, field)[0] for name, field in found.model_fields.items())


def sensitive_keys(model: type[BaseModel]) -> list[str]:
    """Return every key under which a value that must not be shown may be written, at the top of a model."""
    fields = model.model_fields.items()
    return [key for name, field in fields if _hides(field) for key in keys_of(name, field)]


def _hides(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("sensitive"))


def keys_of(name: str, field: FieldInfo) -> list[str]:
    """Return the keys under which a field may be written, the usual one first, old names after it."""
    accepted = field.validation_alias or field.alias or name
    if isinstance(accepted, AliasChoices):
        return [choice for choice in accepted.choices if isinstance(choice, str)] or [name]
    return [accepted] if isinstance(accepted, str) else [name]


def _field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if key in keys_of(name, field):
            return field
    return None


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_within(argument) for argument in get_args(annotation))
    return next((found for found in inner if found is not None), None)


def _is_sensitive(model: type[BaseModel], location: Sequence[str | int]) -> bool:
    """Say whether a place lies in a field whose content must not be shown."""
    found: type[BaseModel] | None = model
    for part in location:
        field = _field_of(found, part) if found is not None and isinstance(part, str) else None
        if field is None:
            continue
        if _hides(field):
            return True
        found = _model_within(field.annotation)
    return False


def _problem(detail: Any, *, model: type[BaseModel], raw: Any, prefix: str) -> Problem:
    kind: str = detail["type"]
    location = _written_part(detail["loc"], raw, missing=kind == "missing")
    path = join_path(location, prefix=prefix)
    if kind == "missing":
        return Problem(path=path, message="required, but missing")
    if kind == "extra_forbidden":
        return _unknown_key(location, model=model, path=path)
    if _is_sensitive(model, location):
        return Problem(path=path, message=_without_value(kind, detail), sensitive=True)
    shown = show_value(detail.get("input"))
    value = shown if location else None
    if kind in _OWN_WORDS:
        return Problem(path=path, value=value, message=str(detail["ctx"]["error"]))
    if kind == "literal_error":
        choices = detail["ctx"]["expected"]
        hint = nearest(str(detail.get("input")), re.findall(r"'([^']+)'", choices))
        message = f"must be one of {choices}, not {shown}"
        return Problem(path=path, value=value, message=message, hint=hint)
    return Problem(path=path, value=value, message=_in_words(kind, detail, shown))


def _written_part(
    location: Sequence[str | int], raw: Any, *, missing: bool
) -> tuple[str | int, ...]:
    """Return a location without the names of union members that pydantic puts into it."""
    written: list[str | int] = []
    for part in location:
        inside = isinstance(raw, dict) and part in raw
        if not inside and not (
            isinstance(raw, list) and isinstance(part, int) and 0 <= part < len(raw)
        ):
            break
        raw = raw[part]
        written.append(part)
    return (*written, location[-1]) if missing else tuple(written)


def _unknown_key(location: Sequence[str | int], *, model: type[BaseModel], path: str) -> Problem:
    key, known = str(location[-1]), known_keys(model, location[:-1])
    hint = nearest(key, known)
    choices = f" (known: {', '.join(known)})" if known and not hint else ""
    secret = hint is not None and _is_sensitive(model, [*location[:-1], hint])
    message = f"unknown key {show_value(key)}{choices}"
    return Problem(path=path, message=message, hint=hint, at_key=True, sensitive=secret)


def _without_value(kind: str, detail: Any) -> str:
    """Return what is wrong with a secret: a validator's own words only where they give nothing away."""
    message = str(detail.get("ctx", {}).get("error", ""))
    if kind in _OWN_WORDS and not _gives_away(message, detail.get("input")):
        return message
    return f"{_wanted(kind) or 'not accepted'} (the value is secret and not shown)"


def _gives_away(message: str, value: Any) -> bool:
    """Say whether a message repeats a part of a value; keys of a mapping are no secret."""
    if isinstance(value, dict):
        return any(_gives_away(message, entry) for entry in value.values())
    if isinstance(value, list):
        return any(_gives_away(message, entry) for entry in value)
    secret = str(value)
    if len(secret) < _PIECE:
        return bool(secret) and secret in message
    return any(message[at : at + _PIECE] in secret for at in range(len(message) - _PIECE + 1))


def _wanted(kind: str) -> str | None:
    wanted = {
        "string_type": "a text",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "list_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "model_attributes_type": "a mapping",
    }.get(kind)
    return f"must be {wanted}" if wanted else None


def _in_words(kind: str, detail: Any, shown: str) -> str:
    wanted, limits = _wanted(kind), detail.get("ctx", {})
    if wanted:
        number = isinstance(detail.get("input"), int | float)
        advice = " (put it in quotes)" if kind == "string_type" and number else ""
        return f"{wanted}, not {shown}{advice}"
    if kind == "too_short":
        least = limits["min_length"]
        return f"must have at least {least} {'entry' if least == 1 else 'entries'}"
    if kind == "too_long":
        return f"must have at most {limits['max_length']} entries, not {limits['actual_length']}"
    if kind == "greater_than_equal":
        return f"must be at least {limits['ge']:g}, not {shown}"
    if kind == "less_than_equal":
        return f"must be at most {limits['le']:g}, not {shown}"
    text = re.sub(r"^(Input|Value|String|List|Dictionary) should ", "must ", detail["msg"])
    return f"{text[:1].lower()}{text[1:]}, not {shown}"
