"""The figures of all rollouts that run, from one look at Temporal's list; no worker is asked."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from kitsune import metrics, names
from kitsune.measures import Measures
from kitsune.service.listing import RolloutRow, list_rollouts

_EVERY = timedelta(seconds=30)
#: Rollouts that are counted at most: two pages of the list, twice a minute.
_MOST = 1000
_RUNNING = "ExecutionStatus = 'Running'"

logger = logging.getLogger("kitsune.worker")


async def keep_rollout_figures(
    client: Client,
    measures: Measures,
    *,
    webhooks: Collection[str] = (),
    every: timedelta = _EVERY,
) -> None:
    """Count now and twice a minute, for as long as the orchestration worker lives.

    Args:
        client: The way to Temporal.
        measures: Writes the figures.
        webhooks: The names of those that it tells.
        every: Between two counts.
    """
    begin_rollout_figures(client, measures, webhooks)
    said = False
    while True:
        try:
            write_rollout_figures(
                await list_rollouts(client, limit=_MOST, query=_RUNNING), measures
            )
            said = False
        except RPCError as error:  # the last figures stay; `kitsune_temporal_reachable` tells why
            if not said:
                logger.warning("cannot count rollouts: %s", error)
            said = True
        await asyncio.sleep(every.total_seconds())


def write_rollout_figures(running: Iterable[RolloutRow], measures: Measures) -> None:
    """Write the figures of the rollouts that run."""
    rows = list(running)
    measures.set(metrics.ROLLOUTS_ACTIVE, len(rows))
    measures.set(metrics.ROLLOUTS_PAUSED, sum(row.paused for row in rows))
    measures.set(metrics.GATES_WAITING, sum(bool(row.gate) for row in rows))
    measures.set(metrics.SERVERS_HELD, sum(row.held for row in rows))


def begin_rollout_figures(
    client: Client, measures: Measures, webhooks: Collection[str] = ()
) -> None:
    """Let the counters of rollouts be there from the start, under the labels that the SDK gives those of a workflow."""

    def labelled(workflow_type: str) -> Measures:
        labels = {"namespace": client.namespace, "task_queue": names.ORCHESTRATOR_QUEUE}
        return measures.labelled(labels | {"workflow_type": workflow_type})

    labelled(names.WEBHOOK_WORKFLOW).begin_at_zero(metrics.WEBHOOKS, webhook=webhooks)
    labelled(names.ORCHESTRATION_WORKFLOW).begin_at_zero(
        metrics.ROLLOUTS_STARTED,
        metrics.ROLLOUTS_ENDED,
        metrics.SERVERS_ENDED,
        metrics.SERVERS_UNDONE,
    )
