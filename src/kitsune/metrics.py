"""Every figure of ours, written once: the workers, the dashboard, the reference page and the guards read it here.

Labels are few and bounded. A server id or a rollout id is never one: ten thousand servers would be as many series.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["", "seconds", "bytes"]


@dataclass(frozen=True, eq=False)
class Metric:
    """One figure.

    Attributes:
        base: Its name without what its kind and unit add.
        text: What it counts, one sentence.
        labels: Label -> the values that it may have; empty where only a configuration or the handlers know them.
        where: Which process has it.
        buckets: Upper bounds of a histogram.
    """

    base: str
    kind: Kind
    text: str
    where: str
    labels: dict[str, tuple[str, ...]]
    unit: Unit = ""
    buckets: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The name as Prometheus reads it."""
        unit = f"_{self.unit}" if self.unit else ""
        return f"{self.base}{unit}{'_total' if self.kind == 'counter' else ''}"

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series that it comes as."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


_LOCAL, _ORCHESTRATION, _BOTH = "local worker", "orchestration worker", "both workers"

BUILD_INFO: Final = Metric(
    "kitsune_build_info", "gauge", "Always 1; the label says which Kitsune this is.", _BOTH, {"version": ()}
)  # fmt: skip
TEMPORAL_REACHABLE: Final = Metric(
    "kitsune_temporal_reachable",
    "gauge",
    "1 while Temporal answers this worker, else 0; asked every 5 seconds.",
    _BOTH,
    {},
)

STEPS: Final = Metric(
    "kitsune_steps",
    "counter",
    "Steps that ended for good on this server, each counted once, however often it ran or was handed out.",
    _LOCAL,
    {"step_type": (), "outcome": ("succeeded", "failed", "cancelled", "interrupted")},
)
STEP_DURATION: Final = Metric(
    "kitsune_step_duration",
    "histogram",
    "From the first execution's start to the step's end, pauses between executions included.",
    _LOCAL,
    {"step_type": ()},
    unit="seconds",
    buckets=(0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0),
)
STEP_DELIVERIES: Final = Metric(
    "kitsune_step_deliveries",
    "counter",
    "What a step or undo that Temporal handed out led to: an execution `begun`, `attached` to one that runs in "
    "this process, `resumed` after a local worker that died, or `answered` from the journal without running anything.",
    _LOCAL,
    {"handled": ("begun", "attached", "resumed", "answered")},
)
EXECUTIONS_INTERRUPTED: Final = Metric(
    "kitsune_executions_interrupted",
    "counter",
    "Executions of which nobody knows how far they came: the local worker, its host or the shim ended meanwhile.",
    _LOCAL,
    {},
)
UNDOS: Final = Metric(
    "kitsune_undos",
    "counter",
    "Undos of single steps.",
    _LOCAL,
    {
        "step_type": (),
        "outcome": ("rolledBack", "rollbackFailed", "nothingToUndo", "cannotBeUndone"),
    },
)
PREFLIGHT_REFUSALS: Final = Metric(
    "kitsune_preflight_refusals",
    "counter",
    "Preflights that this server answered with a refusal, by reason: a handler that is missing or broken, params "
    "that its handler does not take, a journal that cannot be written, or processes of an earlier step that do not end.",
    _LOCAL,
    {"reason": ("handler", "params", "journal", "survivors")},
)
STATE_WRITABLE: Final = Metric(
    "kitsune_state_writable",
    "gauge",
    "1 while journal, undo records and output can be written, else 0: then nothing new is begun.",
    _LOCAL,
    {},
)
DISK_FREE: Final = Metric(
    "kitsune_state_disk_free",
    "gauge",
    "Room that is left for the local worker on the file system of its state folder.",
    _LOCAL,
    {},
    unit="bytes",
)
DISK_SIZE: Final = Metric(
    "kitsune_state_disk_size", "gauge", "Size of that file system.", _LOCAL, {}, unit="bytes"
)
JOURNAL_ROWS: Final = Metric(
    "kitsune_journal_rows",
    "gauge",
    "Operations in the journal: `started` and not ended, `exited` and to be tried again, `finished`.",
    _LOCAL,
    {"state": ("started", "exited", "finished")},
)
KEPT: Final = Metric(
    "kitsune_kept",
    "gauge",
    "What is kept in the state folder: the `output` of scripts, and `undo` records.",
    _LOCAL,
    {"kind": ("output", "undo")},
    unit="bytes",
)

ROLLOUTS_STARTED: Final = Metric(
    "kitsune_rollouts_started", "counter", "Rollouts whose plan was accepted.", _ORCHESTRATION, {}
)
ROLLOUTS_ENDED: Final = Metric(
    "kitsune_rollouts_ended",
    "counter",
    "Rollouts that ended, by how; `refused` where a server could not run the plan.",
    _ORCHESTRATION,
    {"status": ("succeeded", "failed", "incomplete", "stopped", "aborted", "refused")},
)
SERVERS_ENDED: Final = Metric(
    "kitsune_servers_ended",
    "counter",
    "Servers that ended in a rollout, by how; counted as each ends.",
    _ORCHESTRATION,
    {
        "status": (
            "succeeded", "failed", "unreachable", "unknown", "cancelled", "skipped", "notStarted",
        )
    },
)  # fmt: skip
SERVERS_UNDONE: Final = Metric(
    "kitsune_servers_undone",
    "counter",
    "Servers that a rollout undid, or could not, counted at its end. `failed` and `pending` need a person.",
    _ORCHESTRATION,
    {"outcome": ("rolledBack", "failed", "pending")},
)
WEBHOOKS: Final = Metric(
    "kitsune_webhooks",
    "counter",
    "Messages to webhooks, by what became of them; `givenUp` after an hour of tries, or a refusal for good.",
    _ORCHESTRATION,
    {"webhook": (), "outcome": ("accepted", "givenUp")},
)
ROLLOUTS_ACTIVE: Final = Metric(
    "kitsune_rollouts_active",
    "gauge",
    "Rollouts that run, paused ones included. Each orchestration worker counts all of them: take the maximum.",
    _ORCHESTRATION,
    {},
)
ROLLOUTS_PAUSED: Final = Metric(
    "kitsune_rollouts_paused", "gauge", "Those that an operator holds.", _ORCHESTRATION, {}
)
GATES_WAITING: Final = Metric(
    "kitsune_gates_waiting", "gauge", "Rollouts that wait for an approval.", _ORCHESTRATION, {}
)
SERVERS_HELD: Final = Metric(
    "kitsune_servers_held",
    "gauge",
    "Servers on which a step failed and a person has to decide.",
    _ORCHESTRATION,
    {},
)

_DASHBOARD = "dashboard"
DASHBOARD_ROLLOUTS: Final = Metric(
    "kitsune_dashboard_rollouts",
    "gauge",
    "The newest 500 rollouts by what they say of themselves, as the dashboard last saw them.",
    _DASHBOARD,
    {"state": ()},
)
DASHBOARD_CONTACT_AGE: Final = Metric(
    "kitsune_dashboard_contact_age",
    "gauge",
    "How long ago Temporal last answered the dashboard; -1 where it never has.",
    _DASHBOARD,
    {},
    unit="seconds",
)
DASHBOARD_WATCHERS: Final = Metric(
    "kitsune_dashboard_watchers",
    "gauge",
    "Pages that are open and follow what happens.",
    _DASHBOARD,
    {},
)
DASHBOARD_REQUESTS: Final = Metric(
    "kitsune_dashboard_requests",
    "counter",
    "Requests by the route that they led to, `other` where to none, and by the answer's status.",
    _DASHBOARD,
    {"method": (), "route": (), "status": ()},
)

METRICS: Final[tuple[Metric, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
