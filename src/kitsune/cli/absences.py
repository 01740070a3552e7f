"""What `run`, `preview` and `diff` say of servers that nobody serves now: a slip in a name costs a minute otherwise."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kitsune.cli.connection_options import FleetSession
from kitsune.cli.recap import names_text
from kitsune.errors import KitsuneError

if TYPE_CHECKING:
    from kitsune.service.presence import Absence

#: Seconds that the look may take; a plan runs without it as well.
_PATIENCE = 2.5
_NAMES_SHOWN = 5


def look_for_absent(session: FleetSession, server_ids: Sequence[str]) -> "list[Absence]":
    """Return the servers that nobody serves now; none where that cannot be told within seconds."""

    async def look() -> "list[Absence]":
        async with asyncio.timeout(_PATIENCE):
            return await session.fleet.absent(server_ids, now=datetime.now(UTC))

    with suppress(KitsuneError, TimeoutError):
        return session.run(look())
    return []


def absence_warnings(absent: "Sequence[Absence]", *, rule: str = "") -> list[str]:
    """Return a sentence for each kind of absence, and what the plan does about it.

    Args:
        absent: The servers that nobody serves now.
        rule: What happens to servers that do not answer; empty where that does not matter.
    """
    meant = [each for each in absent if each.near]
    found = [
        f"no local worker is known for {each.server_id!r}: did you mean {each.near!r}?"
        for each in meant[:_NAMES_SHOWN]
    ]
    strange = [each.server_id for each in absent if not each.known and each not in meant]
    strange += [each.server_id for each in meant[_NAMES_SHOWN:]]
    if strange:
        found.append(f"no local worker is known for {names_text(strange, shown=_NAMES_SHOWN)}")
    away = [each.server_id for each in absent if each.known]
    if away:
        found.append(f"no local worker answers for {names_text(away, shown=_NAMES_SHOWN)}")
    if found and rule:
        found.append(f"the plan's rule for that: {rule}")
    return found
