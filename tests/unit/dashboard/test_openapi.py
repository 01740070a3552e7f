"""The OpenAPI document is true: what it says is accepted is, what it says is answered is, and nothing breaks it."""

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from kitsune.dashboard.api.openapi import OPERATIONS, openapi_document
from kitsune.dashboard.app import create_app
from kitsune.dashboard.settings import DashboardSettings
from support.fake_fleet import FakeFleet, FakeRollout


def test_every_operation_is_described_with_a_name_of_its_own():
    document = openapi_document()
    described = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert sorted(described) == sorted(operation.name for operation in OPERATIONS)
    assert len(set(described)) == len(described)


def test_every_schema_is_one_and_every_reference_leads_somewhere():
    document = openapi_document()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)

    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(document))
    assert found
    assert {each.removeprefix("#/components/schemas/") for each in found} <= schemas.keys()


@pytest.fixture(scope="module")
def described():
    fleet = FakeFleet(FakeRollout("web-1", "a", "b"), FakeRollout("web-2", "a"))
    fleet.known["web-2"].end(a="disk full")
    app = create_app(DashboardSettings(allowed_hosts=("testserver",)), fleet)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


#: The same requests each time, and not many of them: this is no search for the unknown but a proof of the known.
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def requests_to_make():
    for operation in OPERATIONS:
        yield operation.name, GenerationMode.POSITIVE
        if operation.body or operation.query.model_fields:
            yield operation.name, GenerationMode.NEGATIVE


@pytest.mark.parametrize(("name", "mode"), list(requests_to_make()))
def test_any_request_gets_an_answer_that_is_described(described, name, mode):
    operation = described.find_operation_by_id(name)
    # What makes a plan right is more than a schema can say.
    excluded = [positive_data_acceptance] if name == "startRollout" else []

    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    @BOUNDED
    def ask(case, known):
        if known and "rollout_id" in case.path_parameters:
            case.path_parameters["rollout_id"] = "web-1" if len(repr(case.body)) % 2 else "web-2"
        if known and "server_id" in case.path_parameters:
            case.path_parameters["server_id"] = "a"
        case.call_and_validate(excluded_checks=excluded)

    ask()
