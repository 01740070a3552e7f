"""The operations that look: rollouts, servers, events, plans, logs, the fleet."""

from starlette.requests import Request

from kitsune.dashboard.api import answers, requests
from kitsune.dashboard.api.operations import Asked, Operation
from kitsune.dashboard.plans import shown_plan
from kitsune.dashboard.snapshots import Snapshot
from kitsune.dashboard.views.events import events_of
from kitsune.dashboard.views.picture import server_of
from kitsune.errors import Conflict, NotFound
from kitsune.models.progress import BatchProgress
from kitsune.models.results import RolloutResult
from kitsune.service.listing import RolloutRow
from kitsune.service.outcomes import Finished


async def list_rollouts(request: Request, asked: Asked) -> answers.RolloutPage:
    """Return the rollouts that match."""
    known, query = request.app.state.board.rollouts(), asked.query
    rows = [row for row in known.rows if _matches(row, query)]
    page = rows[query.offset : query.offset + query.limit]
    return answers.RolloutPage(
        rollouts=[
            answers.RolloutItem.model_validate(answers.RolloutItem.fields_of(row)) for row in page
        ],
        total=len(rows),
        at=known.at,
        trouble=known.trouble,
    )


async def show_rollout(request: Request, asked: Asked) -> answers.Rollout:
    """Return one rollout."""
    snapshot = await _snapshot(request, asked)
    picture = snapshot.picture
    return answers.Rollout.model_validate(
        answers.RolloutItem.fields_of(snapshot.row)
        | {
            "phase": picture.state,
            "counts": dict(picture.counts),
            "total": picture.total,
            "batch": picture.current,
            "batches": [
                BatchProgress(
                    index=batch.index,
                    canary=batch.canary,
                    servers=len(batch.servers),
                    ended=sum(1 for server in batch.servers if server.ended_at),
                    state=batch.state,
                )
                for batch in picture.batches
            ],
            "failures": picture.failures,
            "limit_text": picture.limit_text,
            "open_gate": picture.gate,
            "wait_until": picture.wait_until,
            "deadline": picture.deadline,
            "orders": picture.orders,
            "reason": picture.reason or None,
            "warnings": picture.warnings,
            "problems": picture.problems,
            "cut_short": picture.cut_short or None,
            "success": picture.result.success if picture.result else None,
            "at": snapshot.at,
            "trouble": snapshot.trouble,
        }
    )


async def show_result(request: Request, asked: Asked) -> RolloutResult:
    """Return the result of a rollout that has come to its own end, with every step."""
    snapshot = await _snapshot(request, asked)
    if isinstance(snapshot.outcome, Finished):
        return snapshot.outcome.result
    if snapshot.row.open:
        raise Conflict(f"rollout {snapshot.row.rollout_id!r} has not ended yet")
    raise Conflict(f"rollout {snapshot.row.rollout_id!r} has no result: {snapshot.row.state}")


async def list_servers(request: Request, asked: Asked) -> answers.ServerPage:
    """Return servers of a rollout."""
    snapshot, query = await _snapshot(request, asked), asked.query
    servers = [server for server in snapshot.picture.servers if query.state in (None, server.state)]
    return answers.ServerPage(
        servers=servers[query.offset : query.offset + query.limit],
        total=len(servers),
        at=snapshot.at,
        trouble=snapshot.trouble,
    )


async def show_server(request: Request, asked: Asked) -> answers.Server:
    """Return one server of a rollout, step by step."""
    snapshot = await _snapshot(request, asked)
    server_id = asked.path["server_id"]
    server = server_of(snapshot.picture, server_id)
    if server is None:
        raise NotFound(f"rollout {snapshot.row.rollout_id!r} has no server {server_id!r}")
    look = await request.app.state.fleet.server_look(snapshot.row.rollout_id, server_id)
    fields = dict(server)
    if look is not None:
        fields["steps"] = look.steps
        fields["at_work"] = look.at_work and answers.StepAtWork(**vars(look.at_work))
    return answers.Server.model_validate(fields | {"at": snapshot.at, "trouble": snapshot.trouble})


async def list_events(request: Request, asked: Asked) -> answers.Events:
    """Return what happened in a rollout."""
    snapshot = await _snapshot(request, asked)
    found = events_of(snapshot.picture)
    return answers.Events(
        events=[answers.EventItem.of(event) for event in found], trouble=snapshot.trouble
    )


async def show_plan(request: Request, asked: Asked) -> answers.PlanShown:
    """Return the plan of a rollout."""
    snapshot = await _snapshot(request, asked)
    if snapshot.plan is None:
        raise NotFound(f"rollout {snapshot.row.rollout_id!r} has no plan that can be read")
    return answers.PlanShown(plan=shown_plan(snapshot.plan, request.app.state.registry))


async def list_logs(request: Request, asked: Asked) -> answers.LogList:
    """Return which output a server keeps of a rollout."""
    found: answers.LogList = await request.app.state.fleet.list_logs(
        asked.path["rollout_id"], asked.path["server_id"]
    )
    return found


async def read_log(request: Request, asked: Asked) -> answers.LogPage:
    """Return a piece of the output of a step."""
    query = asked.query
    page: answers.LogPage = await request.app.state.fleet.read_log(
        asked.path["rollout_id"],
        asked.path["server_id"],
        step=query.step,
        stream=query.stream,
        phase=query.phase,
        attempt=query.attempt,
        offset=query.offset,
        limit=query.limit,
    )
    return page


async def show_fleet(request: Request, _asked: Asked) -> answers.FleetItem:
    """Return all workers."""
    known = await request.app.state.roster.workers()
    return answers.FleetItem(
        servers=[answers.Worker.of(row) for row in known.rows.servers],
        orchestrators=[answers.Worker.of(row) for row in known.rows.orchestrators],
        at=known.at,
        trouble=known.trouble,
    )


async def show_me(request: Request, _asked: Asked) -> answers.Me:
    """Return who is asking."""
    return answers.Me(name=request.user.display_name, role=request.user.role.word)


async def _snapshot(request: Request, asked: Asked) -> Snapshot:
    found: Snapshot = await request.app.state.board.rollout(asked.path["rollout_id"])
    return found


def _matches(row: RolloutRow, query: requests.RolloutsQuery) -> bool:
    found = (query.search or "").lower()
    return (
        query.state in (None, row.state)
        and query.open in (None, row.open)
        and (found in row.rollout_id.lower() or found in row.name.lower())
    )


_ROLLOUT = "/rollouts/{rollout_id}"
_SERVER = _ROLLOUT + "/servers/{server_id}"
OPERATIONS = (
    Operation(
        method="GET",
        path="/rollouts",
        name="listRollouts",
        summary="The newest rollouts, at most 500.",
        handler=list_rollouts,
        query=requests.RolloutsQuery,
        answer=answers.RolloutPage,
    ),
    Operation(
        method="GET",
        path=_ROLLOUT,
        name="showRollout",
        summary="One rollout, without its servers.",
        handler=show_rollout,
        answer=answers.Rollout,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_ROLLOUT}/result",
        name="showResult",
        summary="The result of a rollout that has ended, with every step.",
        handler=show_result,
        answer=RolloutResult,
        errors=(404, 409),
    ),
    Operation(
        method="GET",
        path=f"{_ROLLOUT}/plan",
        name="showPlan",
        summary="What a rollout was started with, without what is secret.",
        handler=show_plan,
        answer=answers.PlanShown,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_ROLLOUT}/events",
        name="listEvents",
        summary="What happened, newest first, at most 300.",
        handler=list_events,
        answer=answers.Events,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_ROLLOUT}/servers",
        name="listServers",
        summary="The servers of a rollout, page by page.",
        handler=list_servers,
        query=requests.ServersQuery,
        answer=answers.ServerPage,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=_SERVER,
        name="showServer",
        summary="One server of a rollout, step by step.",
        handler=show_server,
        answer=answers.Server,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_SERVER}/logs",
        name="listLogs",
        summary="Which output a server keeps of a rollout.",
        handler=list_logs,
        answer=answers.LogList,
        errors=(404, 501),
    ),
    Operation(
        method="GET",
        path=f"{_SERVER}/log",
        name="readLog",
        summary="A piece of the output of a step, from the server's disk where its worker answers.",
        handler=read_log,
        query=requests.LogQuery,
        answer=answers.LogPage,
        errors=(404, 501),
    ),
    Operation(
        method="GET",
        path="/fleet",
        name="showFleet",
        summary="All workers that Temporal has heard of in the last minutes.",
        handler=show_fleet,
        answer=answers.FleetItem,
    ),
    Operation(
        method="GET",
        path="/me",
        name="showMe",
        summary="Who is asking.",
        handler=show_me,
        answer=answers.Me,
    ),
)
