"""The two kinds of model: what people write is strict, what our processes send is lenient."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class WrittenModel(BaseModel):
    """Something that a person wrote: unknown keys and wrong types are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        strict=True,
        allow_inf_nan=False,
    )


class WireModel(BaseModel):
    """Something that our processes send each other: unknown keys are ignored.

    Old agents and new orchestrators meet: fields are only ever added, with a default.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )
