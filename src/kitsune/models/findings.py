"""What pydantic finds wrong, in the words of a plan."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from pydantic import AliasChoices, BaseModel

from kitsune.models.problems import Problem, join_path, nearest, show_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

_PIECE = 4  # characters of a secret that a message may not repeat
_OWN_WORDS = ("value_error", "assertion_error")


def problems_from(
    error: ValidationError,
    model: type[BaseModel],
    *,
    raw: Any,
    prefix: str = "",
    around: Mapping[str, type[BaseModel]] | None = None,
) -> list[Problem]:
    """Return pydantic's findings as problems, at most one of a kind for each place.

    Args:
        error: What pydantic found.
        model: The model that was validated; its keys give the hints.
        raw: What was validated.
        prefix: The path of the validated value within the plan.
        around: What the value stands in, innermost first: what people call it -> its model.
    """
    found = []
    for detail in error.errors(include_url=False):
        outside = _belongs_outside(detail, prefix, around) if around else None
        found.append(outside or _problem(detail, model=model, raw=raw, prefix=prefix))
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
        return _unknown_key(location, model=model, path=path, prefix=prefix)
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


def _unknown_key(
    location: Sequence[str | int], *, model: type[BaseModel], path: str, prefix: str
) -> Problem:
    key, known = str(location[-1]), known_keys(model, location[:-1])
    hint = nearest(key, known)
    places = () if hint else _places(model).get(key, ())
    elsewhere = {join_path(above, prefix=prefix): field for above, field in places}
    choices = f" (known: {', '.join(known)})" if known and not hint else ""
    if elsewhere:
        choices = f" (it belongs to {' or '.join(place or 'the top level' for place in elsewhere)})"
    secret = hint is not None and _is_sensitive(model, [*location[:-1], hint])
    secret = secret or any(_hides(field) for field in elsewhere.values())
    message = f"unknown key {show_value(key)}{choices}"
    return Problem(path=path, message=message, hint=hint, at_key=True, sensitive=secret)


def _belongs_outside(
    detail: Any, prefix: str, around: Mapping[str, type[BaseModel]]
) -> Problem | None:
    """Return the problem of a key that was written too deep, as `timeout` within params; None for any other."""
    if detail["type"] != "extra_forbidden" or len(detail["loc"]) != 1:
        return None
    key = str(detail["loc"][0])
    for name, model in around.items():
        meant = nearest(key, known_keys(model), cutoff=1.0) or key
        places = [join_path(above) for above, _ in _places(model).get(meant, ())]
        if places:
            where = name if "" in places else f"{' or '.join(places)} of {name}"
            written = f" (as {show_value(meant)})" if meant != key else ""
            message = f"unknown key {show_value(key)}: it belongs to {where}{written}"
            return Problem(path=join_path((key,), prefix=prefix), message=message, at_key=True)
    return None


@cache
def _places(model: type[BaseModel]) -> dict[str, list[tuple[tuple[str, ...], FieldInfo]]]:
    """Return where inside a model each key may be written, for keys that were written at the wrong place."""
    found: dict[str, list[tuple[tuple[str, ...], FieldInfo]]] = {}
    for key, above, field in _walk(model, ()):
        found.setdefault(key, []).append((above, field))
    return found


def _walk(
    model: type[BaseModel], above: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        for key in keys_of(name, field):
            yield key, above, field
    for name, field in model.model_fields.items():
        inner = _model_within(field.annotation)
        if inner not in (None, model) and not _hides(field):
            yield from _walk(inner, (*above, keys_of(name, field)[0]))


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
