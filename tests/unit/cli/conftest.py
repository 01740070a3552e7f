"""Rollouts at a glance, for the tests of what the command line says of them."""

from datetime import UTC, datetime, timedelta

import pytest

from kitsune.models.progress import BatchProgress, Phase, Progress, ServerProgress
from kitsune.models.results import RolloutResult, RolloutStatus, ServerResult, ServerStatus

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def after():
    """A moment so many seconds after noon."""
    return lambda seconds: NOON + timedelta(seconds=seconds)


@pytest.fixture
def progress_of():
    """Make a progress from states by server id; keyword arguments go over the defaults."""

    def make(servers, **fields):
        listed = [
            server
            if isinstance(server, ServerProgress)
            else ServerProgress(server_id=server, state=state, batch=0)
            for server, state in (
                (item, None) if isinstance(item, ServerProgress) else item
                for item in (servers.items() if isinstance(servers, dict) else servers)
            )
        ]
        counts = {}
        for server in listed:
            counts[server.state] = counts.get(server.state, 0) + 1
        defaults = {
            "rollout_id": "web-1",
            "name": "web",
            "phase": Phase.RUNNING,
            "total": len(listed),
            "counts": counts,
            "batch": 0,
            "batch_count": 1,
            "batches": [BatchProgress(index=0, servers=len(listed), state="running")],
            "limit_text": "0 failures allowed",
            "started_at": NOON,
            "servers": listed,
        }
        return Progress(**{**defaults, **fields})

    return make


@pytest.fixture
def result_of():
    """Make a rollout's result from servers' results; status and counts follow from the arguments."""

    def make(*servers, status=RolloutStatus.SUCCEEDED, **fields):
        counts = {}
        for server in servers:
            counts[server.status.value] = counts.get(server.status.value, 0) + 1
        return RolloutResult(
            success=status is RolloutStatus.SUCCEEDED,
            servers_patched=counts.get("succeeded", 0),
            servers_failed=counts.get("failed", 0),
            results=list(servers),
            rollout_id="web-1",
            name="web",
            status=status,
            counts=counts,
            rolled_back=sum(server.rolled_back for server in servers),
            rollback_failed=sum(server.rollback_failed for server in servers),
            started_at=NOON,
            ended_at=NOON + timedelta(seconds=72),
            **fields,
        )

    return make


@pytest.fixture
def ended():
    """Make the result of one server."""

    def make(server_id, status="succeeded", **fields):
        status = ServerStatus(status)
        return ServerResult(
            server_id=server_id,
            success=status is ServerStatus.SUCCEEDED,
            status=status,
            started_at=NOON,
            ended_at=NOON + timedelta(seconds=5),
            **fields,
        )

    return make


@pytest.fixture
def with_fleet(monkeypatch):
    """Let commands find a fleet that needs no Temporal."""

    def give(fleet):
        async def connect(_options):
            return None

        monkeypatch.setattr("kitsune.service.connection.connect", connect)
        monkeypatch.setattr("kitsune.service.fleet.Fleet", lambda _client: fleet)
        return fleet

    return give
