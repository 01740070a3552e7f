"""The activity that tells one receiver one thing."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from kitsune import names
from kitsune.models.notices import SendRequest, WebhookInterest
from kitsune.webhooks.message import body_of, headers_of
from kitsune.webhooks.settings import Receiver

logger = logging.getLogger("kitsune.webhooks")


class WebhookActivities:
    """Sends; who receives is known here alone, not to any workflow or history."""

    def __init__(self, receivers: Mapping[str, Receiver] | None = None) -> None:
        """Take the receivers by name; none sends nothing."""
        self._receivers = dict(receivers or {})

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, for the worker."""
        return [self.send_webhook]

    @property
    def interests(self) -> list[WebhookInterest]:
        """What rollouts have to know."""
        return [receiver.webhook.interest for receiver in self._receivers.values()]

    @activity.defn(name=names.SEND_WEBHOOK)
    async def send_webhook(self, request: SendRequest) -> None:
        """Tell a receiver something, once; Temporal tries again.

        Raises:
            ApplicationError: `WebhookFailed`; non-retryable where another try would not help.
        """
        from kitsune.webhooks.delivery import post  # noqa: PLC0415 - the library is an extra

        receiver, notice = self._receivers.get(request.webhook), request.notice
        if receiver is None:
            raise _failure("it is not configured here any more", again=False)
        body = body_of(receiver, notice)
        headers = headers_of(receiver, notice, body, timestamp=int(time.time()))
        answer = await post(receiver.webhook.url, body, headers, timeout=receiver.webhook.timeout)
        if answer.problem is None:
            logger.info("told %s: %s of %s", request.webhook, notice.event.value, notice.rollout.id)
            return
        logger.warning(
            "webhook %r: %s (%s of %s, try %d)",
            request.webhook, answer.problem, notice.event.value, notice.rollout.id, activity.info().attempt,
        )  # fmt: skip
        raise _failure(answer.problem, again=answer.again, pause=answer.pause)


def _failure(text: str, *, again: bool, pause: Any = None) -> ApplicationError:
    return ApplicationError(
        text,
        type=names.FAILURE_WEBHOOK_FAILED,
        non_retryable=not again,
        next_retry_delay=pause,
        category=ApplicationErrorCategory.BENIGN,  # logged by us, not as a stack trace
    )
