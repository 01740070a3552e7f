"""How the orchestration worker reads what anybody may send it."""

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)
from temporalio.exceptions import ApplicationError

from kitsune.models.problems import Problem
from kitsune.models.results import InvalidPlanDetails, json_of
from kitsune.names import FAILURE_INVALID_PLAN

_LONGEST_REASON = 300


class _AnythingConverter(PydanticJSONPlainPayloadConverter):
    """Fails a workflow whose input is no JSON for us, instead of trying to read it for ever."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Return what a payload holds.

        Raises:
            ApplicationError: `InvalidPlan`, where no type is expected and it cannot be read.
        """
        try:
            return super().from_payload(payload, type_hint)
        except ValueError as error:
            if type_hint is not None:
                raise
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            problem = Problem(message=f"the input cannot be read as a plan: {reason}")
            details = json_of(InvalidPlanDetails(problems=[problem]))
            raise ApplicationError(
                problem.text, details, type=FAILURE_INVALID_PLAN, non_retryable=True
            ) from error


class _PayloadConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        ours = _AnythingConverter()
        super().__init__(
            *(
                ours if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


def tolerant(client: Client) -> Client:
    """Return the same client, reading whatever it is sent."""
    config = client.config()
    config["data_converter"] = DataConverter(payload_converter_class=_PayloadConverter)
    return Client(**config)
