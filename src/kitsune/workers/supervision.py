"""Keeping a worker at work: through lost connections, fatal errors, and until it is told to stop."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from kitsune import metrics
from kitsune.measures import Measures

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
    measures: Measures | None = None,
) -> None:
    """Run a worker until `stop` is set; a worker that breaks is made anew after a pause.

    Args:
        make_worker: Makes a worker that was never run.
        client: The worker's connection.
        stop: Set it to end gracefully.
        doing: What the ready line says, as in `serving server-1`.
        ready_file: Exists while the worker runs and Temporal answers.
        measures: Told whether Temporal answers.
    """
    address = client.service_client.config.target_host
    contact = _Contact(client, address, ready_file, measures or Measures())
    async with contact.watched():
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


@dataclass(frozen=True)
class _Contact:
    """Whether Temporal answers, told to the log, the ready file and whoever reads figures."""

    client: Client
    address: str
    ready_file: Path | None
    measures: Measures

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch until the block ends."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if self.ready_file:
                _keep_ready_file(self.ready_file, there=False)

    async def _watch(self) -> None:
        """Log one line when Temporal is lost and one when it is back, and keep the ready file true."""
        there = True
        while True:
            answers = await _answers(self.client)
            self.measures.set(metrics.TEMPORAL_REACHABLE, int(answers))
            if answers != there:
                there = answers
                if there:
                    logger.info("contact with Temporal at %s restored", self.address)
                else:
                    logger.warning("lost contact with Temporal at %s: retrying", self.address)
            if self.ready_file:
                _keep_ready_file(self.ready_file, there=there)
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
