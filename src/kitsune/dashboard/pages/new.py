"""A new rollout: a plan is pasted or uploaded, checked, previewed, and started when its name is typed."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kitsune.dashboard.pages.rollout import may
from kitsune.dashboard.pages.showing import go, page, rollout_url, show
from kitsune.dashboard.views.commands import command
from kitsune.dashboard.views.plans import MarkedLine, PlanPage, marked_lines, plan_page
from kitsune.errors import KitsuneError, PlanUnreadable
from kitsune.handlers.registry import HandlerRegistry
from kitsune.models.plan import plan_to_wire
from kitsune.models.printable import safe
from kitsune.planfile.document import Located, parse_document
from kitsune.planfile.loading import Loaded, check_document, preview_of
from kitsune.planfile.source import MAX_FILE_BYTES, Source
from kitsune.service.fleet import Started
from kitsune.service.starting import check_rollout_id, new_rollout_id

_FIELDS = 10
_PASTED = "plan"
_EXAMPLE = """name: hello
servers: [server-1, server-2]
steps:
  - name: greet
    type: echo
    params: {message: Hello}
rolloutStrategy: {type: Canary}"""
_JOINED = {
    Started.STARTED: "started",
    Started.ALREADY_RUNNING: "is already running with this plan; nothing is started",
    Started.ALREADY_FINISHED: "has already run with this plan; nothing is started",
}


@dataclass(frozen=True)
class _Problem:
    where: str
    text: str
    line: int | None = None


@dataclass
class _Draft:
    """What somebody wants to run, and what is found about it."""

    text: str = ""
    file: str = _PASTED
    rollout_id: str = ""
    typed: str = ""
    problems: list[_Problem] = field(default_factory=list)
    marked: list[MarkedLine] = field(default_factory=list)
    loaded: Loaded | None = None
    plan: PlanPage | None = None


@page
async def empty(request: Request) -> Response:
    """Show the form."""
    return _page(request, _Draft())


@page
async def preview(request: Request) -> Response:
    """Check a plan, and show what it would do or what is wrong with it."""
    draft = await _draft(request)
    await _check(draft, request.app.state.registry)
    return _page(request, draft, status=422 if draft.problems else 200)


@page
async def start(request: Request) -> Response:
    """Start a plan that was previewed."""
    draft = await _draft(request)
    await _check(draft, request.app.state.registry)
    loaded = draft.loaded
    if loaded is None or draft.problems:
        return _page(request, draft, status=422)
    if draft.typed != loaded.plan.name:
        draft.problems.append(_Problem("", f"not started: type {loaded.plan.name!r} to start it"))
        return _page(request, draft, status=422)
    rollout_id = draft.rollout_id or new_rollout_id(loaded.plan.name)
    try:
        started = await request.app.state.fleet.start(
            loaded.wire, rollout_id=rollout_id, actor=request.user.display_name
        )
        request.app.state.board.expire(rollout_id)
    except KitsuneError as error:
        draft.problems.append(_Problem("", str(error)))
        return _page(request, draft, status=409)
    return go(request, rollout_url(rollout_id), say=f"{rollout_id} {_JOINED[started]}")


async def _draft(request: Request) -> _Draft:
    async with request.form(
        max_files=1, max_fields=_FIELDS, max_part_size=MAX_FILE_BYTES + 1
    ) as form:
        draft = _Draft(
            rollout_id=_word(form, "id"),
            file=_word(form, "file") or _PASTED,
            typed=_word(form, "confirm"),
        )
        upload = form.get("upload")
        if isinstance(upload, UploadFile) and upload.filename:
            await _read_file(draft, upload)
        else:
            # Browsers send every line end as two characters.
            draft.text = str(form.get("plan", "")).replace("\r\n", "\n")
    return draft


async def _read_file(draft: _Draft, upload: UploadFile) -> None:
    draft.file = safe(upload.filename or "")[:200]
    content = await upload.read(MAX_FILE_BYTES + 1)
    try:
        draft.text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        draft.problems.append(_Problem(draft.file, "not UTF-8: save it as UTF-8"))


def _word(form: FormData, key: str) -> str:
    value = form.get(key)
    return value.strip() if isinstance(value, str) else ""


async def _check(draft: _Draft, registry: HandlerRegistry) -> None:
    """Find out what is wrong with a draft, or what it would do, beside the event loop."""
    await asyncio.to_thread(_examine, draft, registry)


def _examine(draft: _Draft, registry: HandlerRegistry) -> None:
    if draft.rollout_id:
        try:
            check_rollout_id(draft.rollout_id)
        except ValueError as error:
            draft.problems.append(_Problem("", str(error)))
    if draft.problems:
        return
    if not draft.text.strip():
        draft.problems.append(_Problem("", "there is no plan: paste one, or choose a file"))
        return
    if len(draft.text.encode()) > MAX_FILE_BYTES:
        text = f"larger than {MAX_FILE_BYTES:,} bytes: large content belongs where servers can fetch it"
        draft.problems.append(_Problem(draft.file, text))
        return
    try:
        document = parse_document(Source(draft.file, draft.text))
    except PlanUnreadable as error:
        draft.problems.append(_Problem("", str(error).splitlines()[0]))
        return
    checked, located = check_document(document, registry)
    if located or checked.plan is None:
        draft.problems += [_problem(each) for each in located]
        draft.marked = marked_lines(document, located)
        return
    draft.loaded = Loaded(plan_to_wire(checked.plan), checked.plan, checked)
    draft.plan = _laid_out(draft.loaded, registry)


def _laid_out(loaded: Loaded, registry: HandlerRegistry) -> PlanPage:
    return plan_page(preview_of(loaded, registry))


def _problem(located: Located) -> _Problem:
    if located.place is None:
        return _Problem("", safe(located.problem.text))
    where = f"{located.place.line}:{located.place.column}"
    return _Problem(where, safe(located.problem.text), located.place.line)


def _page(request: Request, draft: _Draft, *, status: int = 200) -> Response:
    count = len(draft.loaded.plan.servers) if draft.loaded else 0
    file = draft.file if draft.file != _PASTED else "plan.yaml"
    with_id = ("--id", draft.rollout_id) if draft.rollout_id else ()
    context: dict[str, Any] = {
        "text": draft.text,
        "file": draft.file,
        "rollout_id": draft.rollout_id,
        "problems": draft.problems,
        "marked": draft.marked,
        "plan": draft.plan,
        "servers": f"{count:,} server{'' if count == 1 else 's'}",
        "may_start": not may(request)("start"),
        "command": command("run", file, *with_id),
        "example": _EXAMPLE,
    }
    return show(request, "new.html", status=status, **context)


def routes() -> list[Route]:
    """Return the routes."""
    return [
        Route("/rollouts/new", empty, methods=["GET"]),
        Route("/rollouts/new", start, methods=["POST"]),
        Route("/rollouts/new/preview", preview, methods=["POST"]),
    ]
