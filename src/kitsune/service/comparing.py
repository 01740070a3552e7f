"""Asks servers what a plan would change on them; nothing is touched."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from temporalio.client import Client

from kitsune import names
from kitsune.errors import ServerAway, TooOld
from kitsune.models.checks import CheckedStep, CheckRequest, CheckResult
from kitsune.models.requests import ResolvedStep
from kitsune.rollout.check_groups import ServerCheck
from kitsune.service.asking import PATIENCE, ask_server

#: Servers that are asked at the same time.
_AT_ONCE = 40
#: The agent gives up a check after 30 seconds.
_ANSWER_WITHIN = timedelta(seconds=40)
#: The same words for every server, so that they are one group.
_AWAY = "its local worker does not answer"
_OLD = "its local worker is of an older Kitsune that cannot answer this: upgrade it"


async def compare(
    client: Client,
    servers: Sequence[str],
    steps: Sequence[ResolvedStep],
    *,
    reveal: bool = False,
    patience: timedelta = PATIENCE,
) -> AsyncIterator[ServerCheck]:
    """Yield what each server says, as it comes.

    Args:
        client: The way to Temporal.
        servers: Whom to ask.
        steps: About what.
        reveal: Show content as well that not everybody on a server may read.
        patience: How long a local worker may take to take a question up.

    Raises:
        RPCError: Temporal does not answer.
    """
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask(server_id: str) -> ServerCheck:
        async with room:
            return await _compare_one(client, server_id, steps, reveal=reveal, patience=patience)

    asked = [asyncio.ensure_future(ask(server)) for server in servers]
    try:
        for answered in asyncio.as_completed(asked):
            yield await answered
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _compare_one(
    client: Client,
    server_id: str,
    steps: Sequence[ResolvedStep],
    *,
    reveal: bool,
    patience: timedelta,
) -> ServerCheck:
    """Ask one server about step after step; one that does not answer once is not asked again."""
    results: dict[int, CheckResult] = {}
    for step in steps:
        request = CheckRequest(server_id=server_id, step=step, reveal=reveal)
        try:
            answer = await ask_server(
                client,
                names.CHECK_STEP,
                request,
                server_id=server_id,
                answer=CheckedStep,
                patience=patience,
                timeout=_ANSWER_WITHIN,
            )
        except ServerAway as away:
            trouble = f"it cannot answer: {away.why}" if away.why else _AWAY
            return ServerCheck(server_id, results, trouble=trouble, away=True)
        except TooOld:
            return ServerCheck(server_id, results, trouble=_OLD)
        results[step.index] = answer.result
    return ServerCheck(server_id, results)
