"""The operations that change something: start, and every order; and the check of a plan, which changes nothing."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.requests import Request

from kitsune import names
from kitsune.dashboard import actions, plans
from kitsune.dashboard.api import answers, requests
from kitsune.dashboard.api.operations import Asked, Operation, Refusal


async def start_rollout(request: Request, asked: Asked) -> answers.Begun:
    """Check a plan and start it."""
    state, body = request.app.state, asked.body
    examined = await plans.examine(body.content, state.registry, servers=body.servers)
    if examined.preview is None:
        problems = [answers.PlanProblem.of(located) for located in examined.located]
        raise Refusal(422, "the plan is refused", problems)
    rollout_id, started = await plans.start(
        state.fleet, examined, actor=request.user, rollout_id=body.rollout_id or ""
    )
    state.board.expire(rollout_id)
    return answers.Begun(rollout_id=rollout_id, started=started.value)


async def validate_plan(request: Request, asked: Asked) -> answers.Validation:
    """Check a plan and say what it would do."""
    body = asked.body
    found = await plans.examine(body.content, request.app.state.registry, servers=body.servers)
    return answers.Validation(
        valid=found.preview is not None,
        problems=[answers.PlanProblem.of(located) for located in found.located],
        warnings=list(found.checked.warnings),
        unknown_types=list(found.checked.unknown_types),
        preview=found.preview,
    )


def _obey(verb: str) -> Callable[[Request, Asked], Awaitable[BaseModel]]:
    async def obey(request: Request, asked: Asked) -> answers.Obeyed:
        form = asked.body.model_dump(by_alias=True, exclude_none=True)
        done = await actions.order(request, verb, asked.path["rollout_id"], form)
        return answers.Obeyed(rollout_id=done.rollout_id, accepted=done.accepted, answer=done.text)

    return obey


#: Order -> what it takes, and what it does.
_ORDERS: dict[str, tuple[type[BaseModel], str]] = {
    names.PAUSE: (requests.PauseBody, "Start nothing more until somebody resumes."),
    names.RESUME: (requests.OrderBody, "Let a paused rollout go on."),
    names.APPROVE: (requests.ApproveBody, "Open a gate. Needs the role approver."),
    names.ABORT: (requests.AbortBody, "Start nothing more, and cancel what runs."),
    names.RETRY: (requests.RetryBody, "Try held servers again; or an ended rollout."),
    names.SKIP: (requests.SkipBody, "End held servers as they are."),
    names.ROLLBACK: (requests.RollbackBody, "Undo held servers; or an ended rollout."),
    names.SET: (requests.SetBody, "Change limits."),
}
OPERATIONS = (
    Operation(
        method="POST",
        path="/rollouts",
        name="startRollout",
        summary="Start a plan. Needs the role operator, as every order does.",
        handler=start_rollout,
        body=requests.StartBody,
        answer=answers.Begun,
        errors=(409, 413, 415, 422),
    ),
    *(
        Operation(
            method="POST",
            path="/rollouts/{rollout_id}/" + verb,
            name=f"{verb}Rollout",
            summary=summary,
            handler=_obey(verb),
            body=body,
            answer=answers.Obeyed,
            errors=(404, 409, 413, 415),
        )
        for verb, (body, summary) in _ORDERS.items()
    ),
    Operation(
        method="POST",
        path="/validate",
        name="validatePlan",
        summary="Check a plan and say what it would do; changes nothing.",
        handler=validate_plan,
        body=requests.PlanBody,
        answer=answers.Validation,
        errors=(413, 415),
    ),
)
