"""The file that says who is told what; read once, when an orchestration worker starts."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from kitsune.errors import BadSetting, PlanUnreadable
from kitsune.models.base import WrittenModel
from kitsune.models.durations import Duration
from kitsune.models.findings import problems_from
from kitsune.models.notices import NoticeEvent, WebhookInterest
from kitsune.models.printable import safe
from kitsune.models.problems import Problem
from kitsune.planfile.document import Document, read_document

_MOST = 20
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(seconds=60)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_EVENTS = tuple(event.value for event in NoticeEvent)
Event = Literal[
    "rolloutStarted", "rolloutSucceeded", "rolloutFailed", "rolloutIncomplete", "rolloutStopped",
    "rolloutAborted", "rolloutRefused", "approvalNeeded", "rolloutPaused", "rolloutResumed",
    "serverHeld",
]  # fmt: skip


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be up to 40 small letters, digits and '-', as in 'ops-chat'")
    return name


def _check_url(url: str) -> str:
    """Return an address that may be told; no message may hold a piece of it, for it is often a secret."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("not an address, or its port is none") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_one:
        raise ValueError("must be a web address, with its scheme and host")
    if parts.username or parts.password:
        raise ValueError("must hold no user or password: sign with secretFile or secretEnv")
    if re.search(r"[\s\x00-\x1f]", url):
        raise ValueError("must hold no spaces")
    return url


def _check_timeout(timeout: timedelta) -> timedelta:
    if not _SHORTEST <= timeout <= _LONGEST:
        raise ValueError("must be between 1s and 60s")
    return timeout


class Webhook(WrittenModel):
    """One receiver.

    Attributes:
        name: How logs, figures and histories call it; the address is shown nowhere.
        events: What it wants to hear; everything where that is left out.
        template: `generic` is signed JSON; `slack` a line of text that Slack, Mattermost and their kin show.
        secret_file: A file that holds the key of the signature; or `secret_env`, a variable that does.
        timeout: For one try, from connecting to the last byte of the answer.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    url: Annotated[str, Field(json_schema_extra={"sensitive": True}), AfterValidator(_check_url)]
    events: list[Event] = Field(default_factory=list)
    template: Literal["generic", "slack"] = "generic"
    secret_file: str | None = None
    secret_env: str | None = None
    timeout: Annotated[Duration, AfterValidator(_check_timeout)] = timedelta(seconds=10)

    @model_validator(mode="before")
    @classmethod
    def _no_secret_inline(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "secret" in raw:
            raise ValueError("a secret never stands in this file: name secretFile or secretEnv")
        return raw

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret_file and self.secret_env:
            raise ValueError("take either secretFile or secretEnv, not both")
        return self

    @property
    def interest(self) -> WebhookInterest:
        """What a rollout has to know of it."""
        return WebhookInterest(name=self.name, events=list(self.events or _EVENTS))


class _WebhookFile(WrittenModel):
    webhooks: list[Webhook] = Field(min_length=1, max_length=_MOST)


@dataclass(frozen=True)
class Receiver:
    """A webhook with the key of its signature; None sends unsigned."""

    webhook: Webhook
    secret: bytes | None


def load_receivers(path: str, environ: Mapping[str, str]) -> dict[str, Receiver]:
    """Return the receivers that a file names, by name.

    Args:
        path: YAML or JSON.
        environ: Where `secretEnv` is looked up.

    Raises:
        BadSetting: The file cannot be read or says what cannot be, a secret is not there, or the library that
            sends is not installed; everything that is wrong is in the text.
    """
    try:
        document = read_document(path)
    except PlanUnreadable as error:
        text = str(error).removesuffix(", or write '-' for standard input")
        raise BadSetting(f"the webhooks cannot be read: {text}") from error
    webhooks, problems = _checked(document.data)
    secrets = [_secret_of(webhook, environ) for webhook in webhooks]
    for index, found in enumerate(secrets):
        if isinstance(found, Problem):
            place = f"webhooks[{index}].{found.path}"
            problems.append(found.model_copy(update={"path": place}))
    located = document.locate(problems, secrets=_secret_paths(document))
    if located:
        lines = "\n".join(found.text for found in located)
        raise BadSetting(f"the webhooks of {safe(path)} cannot be used:\n{lines}")
    if find_spec("httpx") is None:
        raise BadSetting(
            "webhooks need the extra 'webhooks': pip install 'kitsune-orchestrator[webhooks]'"
        )
    return {
        webhook.name: Receiver(webhook, secret)
        for webhook, secret in zip(webhooks, secrets, strict=True)
        if not isinstance(secret, Problem)
    }


def _checked(raw: object) -> tuple[list[Webhook], list[Problem]]:
    if not isinstance(raw, dict):
        return [], [Problem(message="must be a mapping with the key 'webhooks', a list")]
    try:
        webhooks = _WebhookFile.model_validate(raw).webhooks
    except ValidationError as error:
        return [], problems_from(error, _WebhookFile, raw=raw)
    names = Counter(webhook.name for webhook in webhooks)
    doubles = [
        Problem(path=f"webhooks[{index}].name", message=f"{webhook.name!r} stands here twice")
        for index, webhook in enumerate(webhooks)
        if names[webhook.name] > 1
    ]
    return webhooks, doubles


def _secret_of(webhook: Webhook, environ: Mapping[str, str]) -> bytes | Problem | None:
    """Return the key, None where none is wanted, or why it is not there."""
    if webhook.secret_env:
        secret = environ.get(webhook.secret_env, "").encode()
        where = Problem(path="secretEnv", message=f"{webhook.secret_env!r} is not set, or empty")
        return secret or where
    if not webhook.secret_file:
        return None
    try:
        secret = Path(webhook.secret_file).read_bytes().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        return Problem(
            path="secretFile", message=f"cannot read {webhook.secret_file!r}: {reason}".lower()
        )
    return secret or Problem(path="secretFile", message=f"{webhook.secret_file!r} is empty")


def _secret_paths(document: Document) -> list[str]:
    return [path for path in document.spots if re.fullmatch(r"webhooks\[\d+\]\.(url|secret)", path)]
