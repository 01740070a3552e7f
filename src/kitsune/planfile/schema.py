"""The JSON Schema of plans, for editors: the same models that check a plan, with each handler's params."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from kitsune.handlers.registry import Handler, HandlerRegistry
from kitsune.models.durations import format_duration
from kitsune.models.findings import keys_of
from kitsune.models.plan import Plan

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:kitsune:plan"


class _Generator(GenerateJsonSchema):
    """Writes defaults as people write them, and no titles that only repeat the key."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as JSON; a duration as `5m`, not as pydantic's `PT5M`."""
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles of fields out."""
        del schema
        return False


def plan_schema(registry: HandlerRegistry) -> dict[str, Any]:
    """Return the JSON Schema 2020-12 of a plan; steps of types that are not known here stay open."""
    plan = Plan.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions: dict[str, Any] = plan.pop("$defs")
    step = definitions["Step"]
    step["properties"]["type"] = _type_schema(step["properties"]["type"], registry)
    step["allOf"] = [_params_rule(handler, definitions) for handler in registry]
    plan["title"] = "Kitsune plan"
    return {"$schema": _DIALECT, "$id": _ID, **plan, "$defs": definitions}


def _type_schema(written: dict[str, Any], registry: HandlerRegistry) -> dict[str, Any]:
    """Return a schema that offers the known types and takes any: a plugin may be on servers only."""
    open_type = {
        key: value for key, value in written.items() if key not in ("title", "description")
    }
    return {
        "description": written["description"],
        "anyOf": [{"enum": list(registry.types)}, open_type],
    }


def _params_rule(handler: Handler, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for one type's params, and put their definitions beside the plan's own."""
    reference = f"params.{handler.type}"
    template = f"#/$defs/{reference}.{{model}}"
    model: type[BaseModel] = handler.params_model
    params = model.model_json_schema(
        by_alias=True, ref_template=template, schema_generator=_Generator
    )
    _add_old_names(model, params)
    for name, definition in params.pop("$defs", {}).items():
        definitions[f"{reference}.{name}"] = definition
    definitions[reference] = params
    then: dict[str, Any] = {"properties": {"params": {"$ref": f"#/$defs/{reference}"}}}
    if params.get("required"):
        then["required"] = ["params"]
    is_type = {"properties": {"type": {"const": handler.type}}, "required": ["type"]}
    return {"if": is_type, "then": then}


def _add_old_names(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Let editors accept, and strike through, the old names of params."""
    for name, field in model.model_fields.items():
        usual, *old_names = keys_of(name, field)
        for old in old_names:
            schema["properties"][old] = {**schema["properties"][usual], "deprecated": True}
