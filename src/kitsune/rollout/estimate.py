"""How long a rollout may still take: a guess from the servers that have succeeded so far."""

from datetime import datetime, timedelta

from kitsune.models.progress import Phase, Progress, ServerProgress

#: Phases in which servers work, so that a guess means something.
_AT_WORK = frozenset({Phase.RUNNING, Phase.SOAKING, Phase.WAITING})


def time_left(progress: Progress, *, now: datetime) -> timedelta | None:
    """Return a guess, or None where nothing can be said: nobody has succeeded yet, or a person is waited for.

    One server takes as long as the others took so far.
    Those of a batch run together, unless some of it wait while others run: then so many at a time.
    Delays between batches are not known, and not in it, except for the one that passes just now.
    """
    if progress.phase not in _AT_WORK or progress.paused or progress.gate:
        return None
    one = _typical(progress)
    if one is None:
        return None
    running = [server for server in progress.servers if server.state == "running"]
    waiting = sum(
        1
        for server in progress.servers
        if server.state == "pending" and server.batch == progress.batch and running
    )
    at_once = len(running) if waiting else None
    left = timedelta()
    if running:
        left += max(one - min(_age(server, now) for server in running), timedelta())
        left += one * _turns(waiting, at_once)
    if progress.wait_until and progress.wait_until > now:
        left += progress.wait_until - now
    ahead = [batch for batch in progress.batches if batch.state == "pending"]
    for batch in ahead:
        left += one * _turns(batch.servers, at_once)
    current = progress.batch if progress.batch is not None else -1
    unlisted = progress.batch_count - 1 - current - len(ahead)
    return left + one * max(0, unlisted)


def _typical(progress: Progress) -> timedelta | None:
    took = sorted(
        server.ended_at - server.started_at
        for server in progress.servers
        if server.state == "succeeded" and server.started_at and server.ended_at
    )
    return took[len(took) // 2] if took else None


def _age(server: ServerProgress, now: datetime) -> timedelta:
    return now - server.started_at if server.started_at else timedelta()


def _turns(servers: int, at_once: int | None) -> int:
    """Return how many servers' times follow upon each other."""
    if servers == 0:
        return 0
    return 1 if not at_once else -(-servers // at_once)
