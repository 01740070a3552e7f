"""Keeping a worker at work: through lost connections, fatal errors, and until it is told to stop."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

#: How often a worker asks whether Temporal is there.
_ASK_EVERY = 5.0
_ASK_FOR = timedelta(seconds=4)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: A worker that has run for so long was well: its next end is its first again.
_HEALTHY_AFTER = 60.0

logger = logging.getLogger("kitsune.worker")


async def keep_working(
    make_worker: Callable[[], Worker],
    *,
    client: Client,
    stop: asyncio.Event,
    doing: str,
    ready_file: Path | None = None,
) -> None:
    """Run a worker until `stop` is set; a worker that breaks is made anew after a pause.

    Args:
        make_worker: Makes a worker that was never run.
        client: The worker's connection.
        stop: Set it to end gracefully.
        doing: What the ready line says, as in `serving server-1`.
        ready_file: Exists while the worker runs and Temporal answers.
    """
    address = client.service_client.config.target_host
    async with _watch_contact(client, address=address, ready_file=ready_file):
        clock = asyncio.get_running_loop().time
        pauses, began = _pauses(), clock()
        while not stop.is_set():
            try:
                async with make_worker():
                    logger.info("ready: %s on %s", doing, address)
                    await stop.wait()
                    logger.info("stopping: %s", doing)
            except RuntimeError as error:  # what the SDK raises for a worker that cannot go on
                if clock() - began > _HEALTHY_AFTER:
                    pauses = _pauses()
                pause = next(pauses)
                logger.error("the worker broke (%s): starting it again in %.0f s", error, pause)  # noqa: TRY400 - one clear line
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                began = clock()
    logger.info("stopped: %s", doing)


def _pauses() -> Iterator[float]:
    """Yield seconds between restarts: doubling, shortened at random so that a fleet does not come back in step."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, guards nothing
        pause = min(_LONGEST_PAUSE, pause * 2)


@contextlib.asynccontextmanager
async def _watch_contact(
    client: Client, *, address: str, ready_file: Path | None
) -> AsyncIterator[None]:
    watching = asyncio.create_task(_tell_of_contact(client, address=address, ready_file=ready_file))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        if ready_file:
            _keep_ready_file(ready_file, there=False)


async def _tell_of_contact(client: Client, *, address: str, ready_file: Path | None) -> None:
    """Log one line when Temporal is lost and one when it is back, and keep the ready file true."""
    there = True
    while True:
        answers = await _answers(client)
        if answers != there:
            there = answers
            if there:
                logger.info("contact with Temporal at %s restored", address)
            else:
                logger.warning("lost contact with Temporal at %s: retrying", address)
        if ready_file:
            _keep_ready_file(ready_file, there=there)
        await asyncio.sleep(_ASK_EVERY)


async def _answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=_ASK_FOR)
    except RPCError:
        return False


def _keep_ready_file(path: Path, *, there: bool) -> None:
    try:
        path.touch() if there else path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("cannot keep the ready file %s: %s", path, error)
