"""Reads the plan of a rollout where it lies once: in the first event of the rollout's own history."""

from collections import OrderedDict
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from kitsune.models.plan import Plan
from kitsune.models.requests import PlanReference, ResolvedStep
from kitsune.rollout.steps import resolve_steps

#: Plans kept in memory: the one that runs, and the one that is undone.
_KEPT = 2
_CALL = timedelta(seconds=20)


class PlanReader:
    """Reads plans by reference, and remembers the last ones: a step asks again for each execution."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[PlanReference, list[ResolvedStep]] = OrderedDict()

    async def steps(self, reference: PlanReference) -> list[ResolvedStep]:
        """Return the steps of a rollout's plan, with all their params.

        Raises:
            RPCError: Temporal does not answer, or has dropped that history.
            ValueError: What stands there is no plan.
        """
        if reference not in self._kept:
            self._kept[reference] = resolve_steps(await self._read(reference))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(reference)
        return self._kept[reference]

    async def _read(self, reference: PlanReference) -> Plan:
        arguments = await first_arguments(
            self._client, reference.workflow_id, run_id=reference.run_id
        )
        if not arguments:
            raise ValueError("the rollout was started with nothing")
        return Plan.model_validate(arguments[0])


async def first_arguments(client: Client, workflow_id: str, *, run_id: str) -> list[Any]:
    """Return what a workflow was started with, from its first event.

    Raises:
        RPCError: Temporal does not answer, or has dropped that history.
    """
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=1,
        ),
        retry=True,
        timeout=_CALL,
    )
    started = answer.history.events[0].workflow_execution_started_event_attributes
    return await client.data_converter.decode(started.input.payloads)
