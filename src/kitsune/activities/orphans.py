"""Ends what runs on this server for a rollout that is over: nobody will ask for it again."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from kitsune import names
from kitsune.activities.agent import Agent
from kitsune.activities.plans import first_arguments
from kitsune.agent.journal import Entry
from kitsune.models.requests import ServerRequest

_FIRST_LOOK, _LOOK_EVERY = timedelta(seconds=5), timedelta(seconds=10)
_ANSWER_WITHIN = timedelta(seconds=5)

logger = logging.getLogger("kitsune.agent")


async def end_orphans(
    client: Client,
    agent: Agent,
    *,
    first: timedelta = _FIRST_LOOK,
    every: timedelta = _LOOK_EVERY,
) -> None:
    """Look for ever; end what nobody attends to and whose workflow was closed at two looks in a row."""
    await asyncio.sleep(first.total_seconds())
    suspects: set[str] = set()
    while True:
        try:
            suspects = await _look(client, agent, suspects)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next look may do better
            logger.warning("cannot tell whether anything here was left behind: %r", error)
            suspects = set()
        await asyncio.sleep(every.total_seconds())


async def _look(client: Client, agent: Agent, suspects: set[str]) -> set[str]:
    """End the suspects that are still without a workflow, and return the new ones."""
    await agent.runner.catch_up()
    unattended = await agent.runner.list_unattended()
    if not unattended:
        return set()
    holder = await _holder(client, agent.server_id)
    orphans = [entry for entry in unattended if not _is_held(entry, holder)]
    for entry in orphans:
        if entry.id in suspects:
            logger.warning("ending %r of %r: its rollout is over", entry.step, entry.rollout_id)
            await agent.runner.end_unattended(entry, cause="its rollout was over")
    return {entry.id for entry in orphans}


async def _holder(client: Client, server_id: str) -> ServerRequest | None:
    """Return what the workflow that holds the server was started with; None where nobody holds it.

    Its parent says less: it may be a shard, or a later rollout that undoes this one.
    """
    handle = client.get_workflow_handle(names.server_execution_id(server_id))
    try:
        found = await handle.describe(rpc_timeout=_ANSWER_WITHIN)
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        arguments = await first_arguments(client, found.id, run_id=found.run_id)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return ServerRequest.model_validate(arguments[0])


def _is_held(entry: Entry, holder: ServerRequest | None) -> bool:
    if holder is None or holder.rollout_id != entry.rollout_id:
        return False
    return entry.run_id in (None, holder.run_id)
