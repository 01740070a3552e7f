"""Two hosts with one server id: the later one notices, says so, and serves no more.

Every local worker carries in its identity the host that it runs on and the moment of its start.
Another worker on the same queue counts as alive when its heartbeat moves between two of our looks, so no clock is
compared with another. Who stays is read from the two identities alone, which never change: both sides decide alike.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

#: Heartbeats come every 30 seconds: within so long a live one has moved.
_DOUBT = 40.0
_LOOK_EVERY = 60.0
_LOOK_IN_DOUBT_EVERY = 5.0
_CALL = timedelta(seconds=10)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_INSTANCE = re.compile(r"#(?P<host>[0-9a-f]{12})-(?P<start>[0-9a-f]{12}-[0-9a-f]{8})$")

logger = logging.getLogger("kitsune.worker")


@dataclass(frozen=True)
class Neighbour:
    """A worker on our queue, as Temporal last heard of it.

    Attributes:
        beat: Its last heartbeat, by its own clock; only compared with its own earlier ones.
    """

    identity: str
    host: str
    beat: int
    ended: bool = False


def host_key() -> str:
    """Return what tells hosts apart: a clone keeps its name and machine id, but boots by itself."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{socket.gethostname()}\n{boot}".encode()).hexdigest()[:12]


def make_instance(host: str) -> str:
    """Return the mark of this process: host, moment of the start in ms, and chance."""
    return f"{host}-{int(time.time() * 1000):012x}-{secrets.token_hex(4)}"


def is_elsewhere(mine: str, other: Neighbour) -> bool:
    """Whether another worker runs on another host than the worker of this identity."""
    ours, theirs = _INSTANCE.search(mine), _INSTANCE.search(other.identity)
    if ours and theirs:
        return ours["host"] != theirs["host"]
    return other.host != socket.gethostname()  # from before identities told more


def comes_after(mine: str, other: str) -> bool:
    """Whether the first of two identities started later: it gives way.

    A strict order on two texts that both sides know, so never do both give way, and never do both stay.
    A wrong clock changes who stays, and nothing else. A worker whose identity tells no start was first.
    """
    return (_rank(mine), mine) > (_rank(other), other)


def _rank(identity: str) -> str:
    found = _INSTANCE.search(identity)
    return found["start"] if found else ""


def moved(before: Mapping[str, Neighbour], now: Mapping[str, Neighbour]) -> list[Neighbour]:
    """Return the workers whose heartbeat has moved between two looks, and which have not ended."""
    return [
        seen
        for identity, seen in now.items()
        if not seen.ended and identity in before and before[identity].beat != seen.beat
    ]


def neighbours_of(beats: list[WorkerHeartbeat]) -> dict[str, Neighbour]:
    """Return workers by identity; of several in one process the one that was heard of last."""
    found: dict[str, Neighbour] = {}
    for beat in sorted(beats, key=lambda one: one.heartbeat_time.ToNanoseconds()):
        found[beat.worker_identity] = Neighbour(
            identity=beat.worker_identity,
            host=beat.host_info.host_name,
            beat=beat.heartbeat_time.ToNanoseconds(),
            ended=beat.status == WorkerStatus.WORKER_STATUS_SHUTDOWN,
        )
    return found


class DuplicateWatch:
    """Looks for another host that serves our queue.

    Args:
        client: Ours; its identity is the one under which we work.
        server_id: The queue.
        doubt: Seconds within which a live worker is heard of again.
        look_every: Seconds between looks while all is well.
    """

    def __init__(
        self,
        client: Client,
        server_id: str,
        *,
        doubt: float = _DOUBT,
        look_every: float = _LOOK_EVERY,
    ) -> None:
        self._client = client
        self._server_id = server_id
        self._doubt = doubt
        self._look_every = look_every

    async def wait_for_doubt(self) -> Neighbour | None:
        """Return the worker of another host that lives, before we serve; None when there is none.

        Nothing is served meanwhile: a step that runs on two hosts cannot be taken back, a late one can wait.
        """
        first = await self._elsewhere()
        if all(seen.ended for seen in first.values()):
            return None
        logger.info(
            "another host served %s a while ago: waiting to see if it lives", self._server_id
        )
        clock = asyncio.get_running_loop().time
        until = clock() + self._doubt
        while clock() < until:
            await asyncio.sleep(min(_LOOK_IN_DOUBT_EVERY, self._doubt / 8))
            if alive := moved(first, await self._elsewhere()):
                return alive[0]
        return None

    async def wait_for_earlier(self) -> Neighbour:
        """Return once a worker of another host that started before us is seen alive, while we serve."""
        before = await self._elsewhere()
        while True:
            await asyncio.sleep(self._look_every)
            now = await self._elsewhere()
            for other in moved(before, now):
                if comes_after(self._client.identity, other.identity):
                    return other
                logger.warning(
                    "another host serves %s too (%s): it started later, and has to give way",
                    self._server_id,
                    other.identity,
                )
            before = {**before, **now}

    async def _elsewhere(self) -> dict[str, Neighbour]:
        """Return the workers of other hosts on our queue; nothing when Temporal does not say."""
        try:
            page = await self._client.workflow_service.list_workers(
                ListWorkersRequest(
                    namespace=self._client.namespace,
                    page_size=100,
                    query=f'TaskQueue="{self._server_id}"',
                ),
                retry=True,
                timeout=_CALL,
            )
        except RPCError as error:
            logger.debug("cannot look for other workers: %s", error)
            return {}
        found = neighbours_of([info.worker_heartbeat for info in page.workers_info])
        return {
            identity: seen
            for identity, seen in found.items()
            if is_elsewhere(self._client.identity, seen)
        }


def refusal(server_id: str, other: Neighbour) -> str:
    """Return why we do not serve, and what to do."""
    return (
        f"another host serves {server_id!r}: {other.host!r} ({other.identity}); "
        "stop the local worker there, or give this host a --server-id of its own"
    )


async def serve_alone(
    watch: DuplicateWatch,
    serve: Callable[[], Awaitable[None]],
    *,
    stop: asyncio.Event,
    give_way: Callable[[], None] = lambda: None,
) -> Neighbour | None:
    """Serve until `stop`, unless another host serves the same queue: then return who.

    Args:
        watch: Looks for others.
        serve: Serves until `stop` is set, and lets a running step end then.
        stop: Set from outside to end, and by us to give way.
        give_way: Called before we set `stop`.
    """
    if other := await _unless_stopped(watch.wait_for_doubt(), stop=stop):
        return other
    if stop.is_set():
        return None
    giving_way = asyncio.create_task(watch.wait_for_earlier())

    def stop_serving(task: "asyncio.Task[Neighbour]") -> None:
        if not task.cancelled():
            give_way()
            stop.set()

    giving_way.add_done_callback(stop_serving)
    try:
        await serve()
    finally:
        seen = giving_way.done()
        if not seen:
            giving_way.cancel()
    return giving_way.result() if seen else None


async def _unless_stopped(
    looking: Coroutine[None, None, Neighbour | None], *, stop: asyncio.Event
) -> Neighbour | None:
    task, stopping = asyncio.create_task(looking), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    task.cancel()
    return None
