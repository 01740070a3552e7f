"""What the shell offers when somebody presses Tab: rollouts, servers, plan files; silent whatever goes wrong."""

import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from kitsune.models.printable import safe

if TYPE_CHECKING:
    from kitsune.service.fleet import Fleet

#: Nobody waits longer for a Tab.
_PATIENCE = 0.3
#: Seconds for which an answer is offered again without asking.
_FRESH = 10.0
_OFFERED = 200
#: What shells put on the command line as it is. Temporal takes any text as an id, also `$(reboot)` or two lines.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

#: A name, and what is shown beside it.
_Offer = tuple[str, str]


def rollouts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer rollouts, newest first."""
    return _offer(ctx, "rollouts", incomplete, _all_rollouts)


def open_rollouts(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer rollouts that run: the others take no orders."""
    return _offer(ctx, "open", incomplete, _open_rollouts)


def servers(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the servers of the rollout that stands before, else all that are known."""
    rollout_id = ctx.params.get("rollout_id")
    if rollout_id:

        async def of_rollout(fleet: "Fleet") -> list[_Offer]:
            return [(server, "") for server in (await fleet.plan_of(rollout_id)).servers]

        return _offer(ctx, f"servers of {rollout_id}", incomplete, of_rollout)
    return _offer(ctx, "servers", incomplete, _all_servers)


def plan_files(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell offer files."""
    return [CompletionItem(incomplete, type="file")]


async def _all_rollouts(fleet: "Fleet") -> list[_Offer]:
    rows = await fleet.rollouts(limit=_OFFERED)
    return [(row.rollout_id, f"{row.state} {row.name}".strip()) for row in rows]


async def _open_rollouts(fleet: "Fleet") -> list[_Offer]:
    rows = await fleet.rollouts(limit=_OFFERED, query="ExecutionStatus = 'Running'")
    return [(row.rollout_id, f"{row.state} {row.name}".strip()) for row in rows]


async def _all_servers(fleet: "Fleet") -> list[_Offer]:
    from datetime import UTC, datetime

    rows = (await fleet.servers(now=datetime.now(UTC))).servers
    return [(row.queue, row.state) for row in rows]


def _offer(
    ctx: click.Context,
    what: str,
    incomplete: str,
    ask: "Callable[[Fleet], Awaitable[list[_Offer]]]",
) -> list[CompletionItem]:
    try:
        known = _remembered(ctx, what)
        if known is None:
            known = asyncio.run(_asked(ctx, ask))
            _remember(ctx, what, known)
    except (Exception, KeyboardInterrupt, asyncio.CancelledError):  # noqa: BLE001 - a Tab that finds nothing says nothing
        return []
    fitting = [
        CompletionItem(name, help=safe(help_) or None)
        for name, help_ in known
        if name.startswith(incomplete) and _PLAIN.fullmatch(name)
    ]
    return fitting[:_OFFERED]


async def _asked(
    ctx: click.Context, ask: "Callable[[Fleet], Awaitable[list[_Offer]]]"
) -> list[_Offer]:
    from kitsune.service.connection import connect
    from kitsune.service.fleet import Fleet
    from kitsune.service.options import ConnectionOptions

    given = {key: ctx.params.get(key) for key in ("address", "namespace", "profile")}
    async with asyncio.timeout(_PATIENCE):
        return await ask(Fleet(await connect(ConnectionOptions(**given))))


def _remembered(ctx: click.Context, what: str) -> list[_Offer] | None:
    with suppress(OSError, ValueError):
        place = _place(ctx, what)
        if time.time() - place.stat().st_mtime < _FRESH:
            return [(str(name), str(said)) for name, said in json.loads(place.read_text())]
    return None


def _remember(ctx: click.Context, what: str, known: list[_Offer]) -> None:
    with suppress(OSError):
        place = _place(ctx, what)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known))
        draft.replace(place)


def _place(ctx: click.Context, what: str) -> Path:
    """Return where an answer is remembered: by what was asked, and where Temporal is."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    settings: list[Any] = [ctx.params.get(key) for key in ("address", "namespace", "profile")]
    settings += sorted(item for item in os.environ.items() if item[0].startswith("TEMPORAL_"))
    key = hashlib.sha256(json.dumps([what, settings]).encode()).hexdigest()[:24]
    return Path(base) / "kitsune" / "completion" / f"{key}.json"
