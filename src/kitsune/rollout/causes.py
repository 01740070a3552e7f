"""Failures grouped by cause: 37 servers with one error are one line, not 37."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_HEX = re.compile(
    r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,})\b", re.IGNORECASE
)
_PATH = re.compile(r"(?<![\w/.])(?:~|\.{1,2})?/[^\s'\",:;()\[\]]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Cause:
    """One cause of failures.

    Attributes:
        text: The error of its first server, as it was.
        servers: Everybody whose error differs at most in numbers, paths and ids.
    """

    text: str
    servers: tuple[str, ...]


def group_by_cause(failures: Iterable[tuple[str, str]]) -> list[Cause]:
    """Return the causes of failures (server id, error), the most frequent first, else in their order."""
    texts: dict[str, str] = {}
    servers: dict[str, list[str]] = {}
    for server_id, error in failures:
        key = normalise(error, server_id=server_id)
        texts.setdefault(key, error)
        servers.setdefault(key, []).append(server_id)
    causes = [Cause(text=texts[key], servers=tuple(servers[key])) for key in texts]
    return sorted(causes, key=lambda cause: -len(cause.servers))


@lru_cache(maxsize=20_000)  # a screen is drawn several times a second, from thousands of errors
def normalise(error: str, *, server_id: str = "") -> str:
    """Return an error without what differs from server to server: ids, paths, numbers."""
    text = error
    if server_id and server_id in error:
        # Whole names only: a server that is called "c" is not in every "exit code".
        own = rf"(?<![\w.-]){re.escape(server_id)}(?![\w-]|\.\w)"
        text = re.sub(own, "<server>", error)
    for pattern, sign in ((_UUID, "<id>"), (_PATH, "<path>"), (_HEX, "<id>"), (_NUMBER, "<n>")):
        text = pattern.sub(sign, text)
    return " ".join(text.split())
