"""Tells one receiver one thing, apart from the rollout: it may take longer than that, and fail, without touching it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from kitsune import metrics, names
from kitsune.measures import Measures
from kitsune.models.notices import SendRequest

#: One try: the longest timeout that a webhook may have, and some room.
_ONE_TRY = timedelta(seconds=75)
#: All tries together: then it is given up.
_ALL_TRIES = timedelta(hours=1)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)


@workflow.defn(name=names.WEBHOOK_WORKFLOW)
class WebhookWorkflow:
    """Send until the receiver accepts, refuses for good, or an hour has passed."""

    @workflow.run
    async def run(self, request: SendRequest) -> None:
        """Return once the receiver has accepted.

        Raises:
            ApplicationError: `WebhookFailed`: it was given up.
        """
        measures = Measures(workflow.metric_meter())
        try:
            await workflow.execute_activity(
                names.SEND_WEBHOOK,
                request,
                start_to_close_timeout=_ONE_TRY,
                schedule_to_close_timeout=_ALL_TRIES,
                retry_policy=RetryPolicy(
                    initial_interval=_FIRST_PAUSE, maximum_interval=_LONGEST_PAUSE
                ),
                summary=f"tell {request.webhook}: {request.notice.event.value}"[:200],
            )
        except ActivityError as error:
            measures.count(metrics.WEBHOOKS, webhook=request.webhook, outcome="givenUp")
            reason = getattr(error.cause, "message", None) or str(error.cause or error)
            text = f"webhook {request.webhook!r} was given up: {reason}"
            workflow.logger.error(
                "%s (%s of %s)", text, request.notice.event.value, request.notice.rollout.id
            )
            raise ApplicationError(
                text, type=names.FAILURE_WEBHOOK_FAILED, non_retryable=True
            ) from error
        measures.count(metrics.WEBHOOKS, webhook=request.webhook, outcome="accepted")
