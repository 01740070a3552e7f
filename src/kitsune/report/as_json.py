"""A report as JSON, for programs and archives."""

import json
from datetime import datetime
from typing import Any

from kitsune.models.plan import Plan
from kitsune.models.results import json_of
from kitsune.report.record import Record, ServerRecord

SCHEMA = "kitsune.report/v1"


def as_json(record: Record) -> str:
    """Return the report; params of steps are left out, for they may hold secrets."""
    return json.dumps(_whole(record), indent=2) + "\n"


def _whole(record: Record) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "madeAt": _stamp(record.made_at),
        "kitsune": record.version,
        "rolloutId": record.rollout_id,
        "name": record.name,
        "status": record.status,
        "reason": record.reason or None,
        "startedAt": _stamp(record.started_at),
        "endedAt": _stamp(record.ended_at),
        "counts": dict(record.counts),
        "causes": [
            {"error": cause.text, "servers": list(cause.servers)} for cause in record.causes
        ],
        "orders": [json_of(order) for order in record.orders],
        "warnings": list(record.warnings),
        "plan": _plan(record.plan) if record.plan else None,
        "servers": [_server(server) for server in record.servers],
    }


def _plan(plan: Plan) -> dict[str, Any]:
    whole = plan.model_dump(mode="json", by_alias=True, exclude_none=True)
    whole["steps"] = [
        {key: value for key, value in step.items() if key != "params"} for step in whole["steps"]
    ]
    return whole


def _server(server: ServerRecord) -> dict[str, Any]:
    return {
        "serverId": server.server_id,
        "state": server.state,
        "batch": server.batch,
        "startedAt": _stamp(server.started_at),
        "endedAt": _stamp(server.ended_at),
        "error": server.error or None,
        "undone": server.undone or None,
        "steps": [json_of(step) for step in server.steps],
    }


def _stamp(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
