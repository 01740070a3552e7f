"""A rollout with everything in it that a report has to bear."""

from datetime import UTC, datetime, timedelta

import pytest

from kitsune.models.orders import OrderRecord
from kitsune.models.plan import Plan
from kitsune.models.results import RolloutResult, RolloutStatus, ServerResult, StepOutcome
from kitsune.report.record import record_of_result

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
#: Text that no form of a report may obey.
EVIL = "</pre><script>alert(1)</script> `\x1b[2J` | \x00 ]]> ``` \u202e &amp;"


def after(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def evil():
    return EVIL


def step(index, name, begin, end, **fields):
    return StepOutcome(
        name=name,
        success=fields.get("error") is None,
        status="succeeded" if fields.get("error") is None else "failed",
        index=index,
        type="script",
        started_at=after(begin),
        ended_at=after(end),
        **fields,
    )


@pytest.fixture
def plan():
    return Plan.model_validate(
        {
            "name": "web",
            "servers": ["a", "b", "c", "d"],
            "steps": [
                {
                    "name": "copy",
                    "type": "file_write",
                    "params": {"path": "/x", "content": "s3cret"},
                },
                {"name": "restart | now", "type": "script", "params": {"command": "x"}},
            ],
            "rolloutStrategy": {"type": "Rolling", "batchSize": 2, "maxFailures": 1},
        }
    )


@pytest.fixture
def result():
    good = ServerResult(
        server_id="a",
        success=True,
        batch=0,
        started_at=NOON,
        ended_at=after(10),
        steps_executed=[step(0, "copy", 0, 2), step(1, "restart | now", 2, 10)],
    )
    bad = ServerResult(
        server_id="b",
        success=False,
        status="failed",
        error=f"step 'copy': exit code 3: {EVIL}",
        rolled_back=True,
        batch=0,
        started_at=NOON,
        ended_at=after(5),
        steps_executed=[
            step(0, "copy", 0, 5, error=EVIL, outputs={"stderr": {"text": f"before\n{EVIL}\n"}})
        ],
    )
    gone = ServerResult(
        server_id="c", success=False, status="unreachable", error="no answer within 60 s"
    )
    later = ServerResult(server_id="d", success=False, status="notStarted", error="not started")
    return RolloutResult(
        success=False,
        servers_patched=1,
        servers_failed=2,
        results=[good, bad, gone, later],
        rollout_id="web-1",
        name="web",
        status=RolloutStatus.STOPPED,
        reason="2 servers failed, 1 allowed",
        counts={"succeeded": 1, "failed": 1, "unreachable": 1, "notStarted": 1},
        orders=[OrderRecord(verb="pause", actor="anna", reason=EVIL, at=after(3))],
        started_at=NOON,
        ended_at=after(20),
    )


@pytest.fixture
def record(result, plan):
    return record_of_result(result, plan, made_at=after(60))
