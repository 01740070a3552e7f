"""What the API is asked: queries and bodies, strict, each with a model."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from kitsune.models.base import WrittenModel
from kitsune.models.results import ServerStatus
from kitsune.models.sizes import FailureLimit


def _given(value: Any) -> Any:
    """Refuse null: what is not meant is left out."""
    if value is None:
        raise ValueError("null: leave it out")
    return value


def _whole(value: Any) -> Any:
    """Return 2 for 2.0, which is the same number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else _given(value)


Given = BeforeValidator(_given)
Whole = BeforeValidator(_whole)
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Names = Annotated[list[Name], Field(max_length=10_000)]
_MAX_TEXT = 2 * 1024 * 1024
_TEXT = {"type": "string", "maxLength": _MAX_TEXT}
_ID = {"type": "string", "pattern": r"^(?!exec-)[A-Za-z0-9._-]{1,200}$"}
_MANY = 1_000_000
_COUNT = {"type": "integer", "minimum": 1, "maximum": _MANY}
_LIMIT = TypeAdapter(FailureLimit).json_schema()
_NAMES = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 200},
    "maxItems": 10_000,
}


class Query(BaseModel):
    """Parameters of a URL: texts that mean numbers; unknown ones are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=True
    )


class NoQuery(Query):
    """No parameters."""


class RolloutsQuery(Query):
    """Which rollouts."""

    state: str | None = Field(None, max_length=50, description="Only those in this state.")
    open: bool | None = Field(None, description="Only those that run, or only those that do not.")
    search: str | None = Field(
        None, max_length=200, description="Only those with this in their id or name."
    )
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(50, ge=1, le=500)


class ServersQuery(Query):
    """Which servers of a rollout."""

    state: str | None = Field(None, max_length=50, description="Only those in this state.")
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(200, ge=1, le=1000)


class LogQuery(Query):
    """Which piece of which output."""

    step: str | None = Field(
        None, max_length=200, description="Name of a step; by default the one that began last."
    )
    stream: Literal["stdout", "stderr"] = "stdout"
    phase: Literal["execute", "rollback"] | None = Field(
        None, description="By default what the rollout does."
    )
    attempt: int | None = Field(
        None, ge=1, le=1_000_000, description="Which execution, from 1; by default the last."
    )
    offset: int = Field(
        0,
        ge=-(2**40),
        le=2**40,
        description="Byte to start at; below zero: so many bytes before the end.",
    )
    limit: int = Field(64 * 1024, ge=1, le=256 * 1024, description="Bytes at most.")


class PlanBody(WrittenModel):
    """A plan: as an object, or as the text of a file."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["plan"]}, {"required": ["text"]}]}
    )

    plan: Annotated[dict[str, Any] | None, Given, WithJsonSchema({"type": "object"})] = Field(
        None, description="The plan; see plan-schema.json of this reference."
    )
    text: Annotated[str | None, Given, WithJsonSchema(_TEXT)] = Field(
        None, max_length=_MAX_TEXT, description="YAML or JSON."
    )
    servers: Annotated[Names | None, Given, WithJsonSchema(_NAMES)] = Field(
        None, description="Take the place of the plan's servers."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.plan is None) == (self.text is None):
            raise ValueError("give either plan or text")
        return self

    @property
    def content(self) -> str | dict[str, Any]:
        """The one that was given."""
        return self.text if self.text is not None else self.plan or {}


class StartBody(PlanBody):
    """A plan to start."""

    rollout_id: Annotated[str | None, Given, WithJsonSchema(_ID)] = Field(
        None,
        description="Idempotency token: the same id and plan joins the rollout that there is.",
    )


class OrderBody(WrittenModel):
    """What every order says; who gives it is known from the login."""

    reason: str = Field("", max_length=500, description="Why; kept with the rollout.")


class PauseBody(OrderBody):
    """Start nothing more until somebody says resume."""

    drain: bool = Field(
        default=False,
        description="Servers in flight finish their plan; otherwise they hold before their next step.",
    )


class ApproveBody(OrderBody):
    """Open one gate."""

    gate: Name = Field(description="As in canary or batch-2.")


class AbortBody(OrderBody):
    """Start nothing more, and cancel what runs."""

    rollback: bool = Field(default=False, description="Undo what the rollout did, on every server.")


class SkipBody(OrderBody):
    """End held servers as they are."""

    servers: Annotated[list[Name], Field(min_length=1, max_length=100)]


class RetryBody(OrderBody):
    """Run held servers' failed step again; or, of an ended rollout, its plan where it did not succeed."""

    servers: Names = Field(
        [], description="While it runs: held servers. After its end: only these."
    )
    only: list[ServerStatus] = Field(
        [], max_length=10, description="After its end: servers that ended like that."
    )
    from_failed: bool = Field(
        default=False,
        description="After its end: begin at the step that failed, where it was not undone.",
    )


class RollbackBody(OrderBody):
    """Undo held servers; or an ended rollout."""

    servers: Names = Field(
        [], description="While it runs: held servers. After its end: only these."
    )
    retry: bool = Field(
        default=False,
        description="After its end: only servers whose rollback failed or is pending.",
    )
    force: bool = Field(
        default=False, description="After its end: overwrite what somebody has changed since."
    )


class SetBody(OrderBody):
    """New limits; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["maxFailures"]}, {"required": ["maxConcurrency"]}]
        }
    )

    max_failures: Annotated[FailureLimit | None, Whole, WithJsonSchema(_LIMIT)] = Field(
        None, description="Failed servers that are tolerated; -1: any number."
    )
    max_concurrency: Annotated[int | None, Whole, WithJsonSchema(_COUNT)] = Field(
        None, ge=1, le=_MANY, description="Servers at once within a batch."
    )
