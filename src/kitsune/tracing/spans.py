"""Spans around workflows and activities, from Temporal's interceptors: no workflow code knows of them.

Temporal's own interceptor carries the context from one process to the next; ours opens the spans within it.
A workflow may be replayed anywhere: its spans get their ids from the workflow's own randomness and their start from
its history, and are told once, by whoever lives to see the end.
"""

import asyncio
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio import activity, client, worker, workflow
from temporalio.exceptions import FailureError

from kitsune.tracing.describing import (
    OUTCOME,
    Described,
    describe_activity,
    describe_workflow,
    is_good,
    outcome_of_failure,
    outcome_of_result,
)
from kitsune.version import __version__


class Spans(client.Interceptor, worker.Interceptor):
    """Opens the spans of rollouts, shards, servers and steps."""

    def intercept_activity(
        self,
        next: worker.ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> worker.ActivityInboundInterceptor:
        """Put a span around each delivery of a step."""
        return _ActivitySpans(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's name
    ) -> type[worker.WorkflowInboundInterceptor]:
        """Put a span around each rollout, shard and server."""
        return _WorkflowSpans


class _WorkflowSpans(worker.WorkflowInboundInterceptor):
    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        info = workflow.info()
        described = describe_workflow(info.workflow_type, input.args, workflow_id=info.workflow_id)
        if described is None:
            return await super().execute_workflow(input)
        span = _begin(described, SpanKind.INTERNAL)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            # Ended only where the workflow ends: not when it leaves the cache, nor when its task fails.
            try:
                result = await super().execute_workflow(input)
            except (FailureError, asyncio.CancelledError) as error:
                _end(span, outcome_of_failure(error))
                raise
            _end(span, outcome_of_result(result))
            return result


class _ActivitySpans(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        described = describe_activity(info.activity_type, input.args, attempt=info.attempt)
        if described is None:
            return await super().execute_activity(input)
        span = _begin(described, SpanKind.SERVER)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                result = await super().execute_activity(input)
            except BaseException as error:
                _end(span, outcome_of_failure(error))
                raise
            _end(span, outcome_of_result(result))
            return result


def _begin(described: Described, kind: SpanKind) -> Span:
    tracer = trace.get_tracer("kitsune", __version__)
    return tracer.start_span(described.name, kind=kind, attributes=dict(described.attributes))


def _end(span: Span, outcome: str) -> None:
    span.set_attribute(OUTCOME, outcome)
    if not is_good(outcome):
        span.set_status(Status(StatusCode.ERROR, outcome))
    span.end()
