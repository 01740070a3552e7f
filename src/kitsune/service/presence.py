"""Which servers of a plan nobody serves now, so that a slip in a name shows before a rollout waits for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client

from kitsune import names
from kitsune.errors import ServerAway, TooOld
from kitsune.models.problems import nearest
from kitsune.service.asking import ask_what_it_can
from kitsune.service.listing import list_workers

#: Servers without a recent report that are asked, all at the same time.
_ASKED = 50
#: A local worker that is there answers in milliseconds.
_PATIENCE = timedelta(seconds=1)


@dataclass(frozen=True)
class Absence:
    """A server that did not answer.

    Attributes:
        known: Its local worker was heard of in the last minutes, or a rollout once ran there.
        near: Of a server that is not known: the local worker that its name is most like; empty where there is none.
    """

    server_id: str
    known: bool
    near: str = ""


async def find_absent(client: Client, server_ids: Sequence[str], *, now: datetime) -> list[Absence]:
    """Return the servers that nobody serves now, in their order; of many without a report only the first are asked.

    Raises:
        RPCError: Temporal does not answer.
    """
    workers = (await list_workers(client, now=now)).servers
    online = {row.queue for row in workers if row.state == "online"}
    unsure = [server for server in server_ids if server not in online][:_ASKED]
    answered = await asyncio.gather(*(_answers(client, server) for server in unsure))
    silent = [server for server, answers in zip(unsure, answered, strict=True) if not answers]
    reported = {row.queue for row in workers}
    ran = await asyncio.gather(*(_has_run(client, server) for server in silent))
    known = reported | {server for server, found in zip(silent, ran, strict=True) if found}
    others = online - set(server_ids)
    return [
        Absence(server, known=True)
        if server in known
        else Absence(server, known=False, near=nearest(server, others) or "")
        for server in silent
    ]


async def _answers(client: Client, server_id: str) -> bool:
    """Return whether a local worker answers; one that has just started answers before its first report."""
    try:
        await ask_what_it_can(client, server_id, patience=_PATIENCE)
    except ServerAway as away:
        return bool(away.why)
    except TooOld:  # nobody can tell
        return True
    return True


async def _has_run(client: Client, server_id: str) -> bool:
    """Return whether a rollout has run on a server, as long as Temporal remembers."""
    query = f"WorkflowId = '{names.server_execution_id(server_id)}'"
    return bool([execution.id async for execution in client.list_workflows(query, limit=1)])
