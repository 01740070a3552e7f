"""An operation of the API: declared once, served and described from the same declaration."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.api.answers import PlanProblem
from kitsune.dashboard.api.requests import NoQuery, Query
from kitsune.dashboard.security import refusal
from kitsune.models.problems import join_path
from kitsune.models.results import json_of
from kitsune.planfile.builder import MAX_NODES

PREFIX: Final = "/api/v1"
_JSON = "application/json"


@dataclass(frozen=True)
class Asked:
    """What came in, read and checked.

    Attributes:
        path: The parts of the path.
        query: A model of the operation's.
        body: Likewise; None where it takes none.
    """

    path: dict[str, str]
    query: Any
    body: Any


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        name: For generated clients, as in `listRollouts`.
        path: Below the prefix, with `{rollout_id}`.
        handler: Takes the request and what was asked, and returns the answer.
        errors: Statuses that it may end with, beside 400, 401, 403, 421 and 503.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[Request, Asked], Awaitable[BaseModel]]
    answer: type[BaseModel]
    query: type[Query] = NoQuery
    body: type[BaseModel] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()

    def route(self) -> Route:
        """Return the route that serves it."""

        async def endpoint(request: Request) -> Response:
            try:
                answer = await self.handler(request, await self._read(request))
            except Refusal as error:
                problems = [json_of(problem) for problem in error.problems]
                return refusal(request.scope, str(error), status=error.status, problems=problems)
            text = answer.model_dump_json(by_alias=True)
            return Response(text, self.status, media_type=_JSON)

        return Route(PREFIX + self.path, endpoint, methods=[self.method], name=self.name)

    async def _read(self, request: Request) -> Asked:
        given: dict[str, Any] = {}
        for key, value in request.query_params.multi_items():
            if key in given:
                raise Refusal(400, f"{key} is given twice")
            given[key] = value
        content = await _content_of(request) if self.body is not None else b""
        try:
            query = self.query.model_validate(given)
            # A large body takes its time: others are answered meanwhile.
            body = await asyncio.to_thread(_body, self.body, content) if self.body else None
        except ValidationError as error:
            text = "the request is not what it should be"
            raise Refusal(400, text, _problems(error)) from error
        path = {key: unquote(value) for key, value in request.path_params.items()}
        return Asked(path=path, query=query, body=body)


class Refusal(Exception):
    """A request that is answered with everything that is wrong with it."""

    def __init__(self, status: int, text: str, problems: Sequence[PlanProblem] = ()) -> None:
        super().__init__(text)
        self.status, self.problems = status, tuple(problems)


async def _content_of(request: Request) -> bytes:
    """Return the body, as long as it says that it is JSON; an empty one stands for `{}`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body and not kind:
        return b"{}"
    if kind != _JSON:
        raise Refusal(415, f"not a body that is understood: {kind[:80]!r} (send {_JSON})")
    return body


def _body(model: type[BaseModel], content: bytes) -> BaseModel:
    """Return a body as its model.

    Raises:
        Refusal: It is no JSON object, or has more values than any plan.
        ValidationError: The model says what is wrong.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is no JSON") from error
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no JSON object")
    if _has_more_values(found, MAX_NODES):
        raise Refusal(413, f"more than {MAX_NODES:,} values: more than one plan can need")
    return model.model_validate_json(content)


def _has_more_values(found: Any, most: int) -> bool:
    """Return whether there are more values in JSON than so many."""
    count, left = 0, [found]
    while left:
        value = left.pop()
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            count += len(value)
            left.extend(each for each in inner if isinstance(each, dict | list))
        if count > most:
            return True
    return False


def _problems(error: ValidationError) -> list[PlanProblem]:
    return [
        PlanProblem(path=join_path(each["loc"]), message=each["msg"].removeprefix("Value error, "))
        for each in error.errors(include_input=False, include_url=False)[:20]
    ]
