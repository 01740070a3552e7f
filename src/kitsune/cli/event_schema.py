"""The events of `-o jsonl`: what each is called and which keys it has. Keys are added, never renamed or removed."""

from collections.abc import Mapping

SCHEMA = "kitsune.event/v1"
#: Keys of every event.
COMMON: Mapping[str, str] = {
    "schema": f"`{SCHEMA}`; another number means that a key changed its meaning.",
    "time": "When it happened, in RFC 3339, UTC; where that is not known, when it was seen.",
    "event": "Which of the events below.",
    "rolloutId": "The rollout.",
}
#: Event -> what it says, and its further keys.
EVENTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "rollout": (
        "The rollout was accepted; the first event.",
        {
            "name": "The plan's name.",
            "total": "How many servers.",
            "batchCount": "In how many batches.",
            "limit": "When it stops, in words.",
        },
    ),
    "warning": ("Something to know about the plan.", {"message": "In one sentence."}),
    "order": (
        "An operator's order was obeyed.",
        {
            "verb": "As in `pause`.",
            "actor": "Who.",
            "reason": "Why; may be empty.",
            "detail": "To what, as in `batch-2`; may be empty.",
        },
    ),
    "phase": (
        "The rollout does something else now.",
        {
            "phase": "As in `running`, `soaking`, `rollingBack`.",
            "until": "When it goes on; null where nobody knows.",
            "reason": "Why it stops, or null.",
        },
    ),
    "gate": (
        "A wait for a person begins or ends.",
        {
            "gate": "Its name, for `kitsune approve`.",
            "state": "`waiting` or `closed`.",
            "until": "When the rollout stops waiting, or null; not on `closed`.",
        },
    ),
    "batch": (
        "A batch begins, or all its servers have ended.",
        {
            "batch": "Its index, from 0.",
            "state": "`running` or `done`.",
            "canary": "Whether it is one.",
            "servers": "How many.",
            "ended": "How many of them have ended.",
        },
    ),
    "server": (
        "A server is in another state.",
        {
            "server": "Its id.",
            "state": "`running`, `succeeded`, `failed`, `unreachable`, `unknown`, `cancelled`, `skipped`, `notStarted`, "
            "`held`, `waiting`, `waitingForAgent`, `rollingBack` or `rollbackPending`; there may be more.",
            "batch": "The index of its batch, or null.",
            "error": "What went wrong, or null; this and what follows not where it only begins.",
            "failedStep": "The name of the step that failed, or null.",
            "rolledBack": "Whether what it did was undone.",
            "rollbackFailed": "Whether that failed.",
            "rollbackPending": "Whether that waits for the server.",
        },
    ),
    "contact": (
        "Temporal or the orchestration workers do not answer, or do again.",
        {"message": "In one sentence."},
    ),
    "result": (
        "The end; the last event.",
        {
            "result": "The rollout's result, as `kitsune status -o json` shows it.",
            "exitCode": "The exit code of the command.",
        },
    ),
}
