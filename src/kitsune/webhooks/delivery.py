"""Sends one message over HTTP, once: no redirects, a bounded answer, an end to every wait."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx

from kitsune.models.durations import format_duration
from kitsune.models.printable import safe

#: Bytes of an answer that are read at most; only the first words are ever shown.
_MOST_READ = 4096
_SHOWN = 120
#: Longest pause that a receiver may ask for.
_LONGEST_PAUSE = timedelta(minutes=5)
#: Refusals that pass: a timeout, too early, too many.
_PASSING = frozenset({408, 425, 429})
_REDIRECTS, _REFUSALS, _FAILURES = 300, 400, 500

# They write every address into the log, and with it the secret that it may hold.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Answer:
    """What became of one try.

    Attributes:
        problem: Why it was not accepted, in words that hold no address; None where it was.
        again: Whether another try may help.
        pause: How long the receiver wants to be left alone; None where it does not say.
    """

    problem: str | None = None
    again: bool = False
    pause: timedelta | None = None


async def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: timedelta) -> Answer:
    """Send a body, and return what the receiver made of it; never raises for what a network does.

    Certificates are checked against the system's authorities; proxies come from the usual variables.
    """
    seconds = timeout.total_seconds()
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(
                verify=ssl.create_default_context(), timeout=seconds, follow_redirects=False
            ) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as response,
        ):
            # What is accepted is accepted, however long its words take.
            accepted = response.status_code < _REDIRECTS
            words = "" if accepted else await _first_words(response)
            return judge(response.status_code, response.headers, words)
    except (TimeoutError, httpx.TimeoutException):
        return Answer(problem=f"no answer within {format_duration(timeout)}", again=True)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, OSError) as error:
        words = safe(str(error)).replace(url, "its address")[:_SHOWN]
        return Answer(
            problem=f"{type(error).__name__}: {words}" if words else repr(error), again=True
        )


def judge(status: int, headers: Mapping[str, str], words: str) -> Answer:
    """Return what an answer means."""
    if status < _REDIRECTS:
        return Answer()
    said = f"it answered {status}" + (f" ({words})" if words else "")
    if status < _REFUSALS:
        return Answer(problem=f"{said}, a redirect, which is not followed: name its last address")
    if status < _FAILURES and status not in _PASSING:
        return Answer(problem=said)
    return Answer(problem=said, again=True, pause=_asked_pause(headers.get("retry-after")))


async def _first_words(response: httpx.Response) -> str:
    read = b""
    async for part in response.aiter_raw(_MOST_READ):
        read += part
        if len(read) >= _MOST_READ:
            break
    return safe(" ".join(read[:_MOST_READ].decode(errors="replace").split()))[:_SHOWN]


def _asked_pause(seconds: str | None) -> timedelta | None:
    if seconds is None or not seconds.isascii() or not seconds.isdigit():
        return None
    return min(timedelta(seconds=int(seconds[:6])), _LONGEST_PAUSE)
