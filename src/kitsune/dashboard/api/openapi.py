"""The OpenAPI document of the API, made of the operations and their models."""

import re
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kitsune.dashboard.api import acting, answers, reading
from kitsune.dashboard.api.operations import PREFIX, Operation
from kitsune.version import __version__

OPERATIONS = (*reading.OPERATIONS, *acting.OPERATIONS)
_TEMPLATE = "#/components/schemas/{model}"
_PARAMETERS = {
    "rollout_id": "An id with other characters than Kitsune's own is encoded twice: `team%252Fweb`."
}
_ALWAYS = (400, 401, 403, 421, 503)
_DESCRIPTION = """\
What `kitsune dashboard` serves beside its pages.
Who is asking is known as on the pages: by a session's cookie, by a header of the proxy in front, or not at all on the \
loopback address. There is no other credential. Each operation needs the role viewer to read and operator to change something; \
`approve` needs approver."""


def routes() -> list[Route]:
    """Return the routes of the API, its description among them."""
    document = openapi_document()

    async def describe(_request: Request) -> Response:
        return JSONResponse(document)

    served = [operation.route() for operation in OPERATIONS]
    return [*served, Route(f"{PREFIX}/openapi.json", describe, methods=["GET"])]


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1; the same one for all, so nobody changes it."""
    refs, schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kitsune", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], str], None] = {(answers.Failure, "serialization"): None}
    for operation in OPERATIONS:
        wanted[(operation.answer, "serialization")] = None
        if operation.body:
            wanted[(operation.body, "validation")] = None
    refs, top = models_json_schema(list(wanted), ref_template=_TEMPLATE)  # type: ignore[arg-type] # the modes are literals
    return refs, top["$defs"]


def _described(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    answer = refs[(operation.answer, "serialization")]
    failure = refs[(answers.Failure, "serialization")]
    statuses = sorted({*_ALWAYS, *operation.errors})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": {
            str(operation.status): _response("What was asked for.", "application/json", answer),
            **{
                str(code): _response(_words(code), "application/problem+json", failure)
                for code in statuses
            },
        },
    }
    if operation.body:
        schema = refs[(operation.body, "validation")]
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _response(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _words(code: int) -> str:
    return f"{HTTPStatus(code).phrase}."


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        schema = {"type": "string", "minLength": 1}
        known = {"description": _PARAMETERS[name]} if name in _PARAMETERS else {}
        yield {"name": name, "in": "path", "required": True, **known, "schema": schema}


def _query_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    properties = operation.query.model_json_schema(by_alias=True)["properties"]
    for name, schema in properties.items():
        plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
        if "anyOf" in plain:  # None means that it is left out; nobody can write it in a URL
            kinds = [kind for kind in plain.pop("anyOf") if kind.get("type") != "null"]
            plain |= kinds[0]
            plain.pop("default", None)
        described = {"description": schema["description"]} if "description" in schema else {}
        yield {"name": name, "in": "query", "required": False, **described, "schema": plain}
