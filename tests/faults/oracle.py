"""The oracle: after any fault, ten things must hold of a rollout.

`gather` collects what is known of it: the ledger that its scripts wrote, Temporal's histories, the journals
and the result. `judge` is pure: it looks at that evidence and names what is broken.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from temporalio.service import RPCError

from kitsune import names
from kitsune.models.plan import Plan
from kitsune.models.results import RolloutResult, ServerStatus
from kitsune.rollout.batches import split_into_batches

#: From an acknowledged abort to the last step that may still have been on its way.
STOP_GRACE = 2.0


@dataclass
class Evidence:
    """What is known of one rollout.

    Attributes:
        notes: The ledger's lines, in order within each server.
        journal: Rows of each server's journal, or None where it cannot be read.
        scheduled: Indexes of the steps that Temporal handed out, by server.
        alive: Servers whose agent runs.
        processes: Processes of the rollout's scripts that still run.
        litter: Things that should have been cleaned up.
        leaks: Where a secret was found.
        trees: Folders that a rollback must have restored: what they were and what they are.
        abort_at: When the abort was acknowledged, on the ledger's clock.
        may_be_unknown: Servers whose agent never came back.
    """

    plan: dict[str, Any]
    result: RolloutResult | None
    notes: list[Any] = field(default_factory=list)
    journal: dict[str, list[dict[str, Any]] | None] = field(default_factory=dict)
    scheduled: dict[str, set[int]] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    processes: list[int] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    trees: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    abort_at: float | None = None
    may_be_unknown: set[str] = field(default_factory=set)


def check_invariants(world, rollout, *, trees=None, abort_at=None, may_be_unknown=(), secrets=()):
    """Assert that every invariant holds of a rollout that has ended.

    Args:
        trees: What folders were before the rollout, by path: `{path: snapshot(path)}`.
        abort_at: When an abort was acknowledged (`harness.now()`).
        may_be_unknown: Servers whose agent is still away.
        secrets: Texts that may stand nowhere.
    """
    rollout_id = getattr(rollout, "id", rollout)
    evidence = gather(world, rollout_id, secrets=secrets)
    evidence.trees = {str(path): (then, snapshot(path)) for path, then in (trees or {}).items()}
    evidence.abort_at = abort_at
    evidence.may_be_unknown = {server.id for server in may_be_unknown}
    broken = judge(evidence)
    assert not broken, f"{rollout_id}:\n" + "\n".join(broken)


def judge(evidence):
    """Return what is broken, one sentence each, beginning with the invariant's number."""
    if evidence.result is None:
        return ["I1 no silent loss: the rollout has no result"]
    return [f"{title}: {fault}" for title, look in _INVARIANTS.items() for fault in look(evidence)]


def _no_silent_loss(seen):
    told = [server.server_id for server in seen.result.results]
    if len(set(told)) != len(told):
        yield f"servers that are told twice: {_repeated(told)}"
    missing = set(seen.plan["servers"]) - set(told)
    if len(missing) != seen.result.results_omitted:
        yield f"no word of {sorted(missing)}, and {seen.result.results_omitted} are said to be left out"
    if strangers := set(told) - set(seen.plan["servers"]):
        yield f"servers that nobody asked for: {sorted(strangers)}"
    if sum(seen.result.counts.values()) != len(set(seen.plan["servers"])):
        yield f"the counts {seen.result.counts} are not {len(set(seen.plan['servers']))} servers"
    if bad := [word for word in seen.result.counts if word not in set(ServerStatus)]:
        yield f"no ends of a server: {bad}"


def _no_double_effect(seen):
    once = {
        step["name"]
        for step in seen.plan["steps"]
        if step["type"] == "script" and _attempts(seen.plan, step) == 1
    }
    starts = Counter(
        (note.server_id, note.operation, note.step) for note in seen.notes if note.kind == "START"
    )
    for (server, operation, step), count in starts.items():
        if step in once and count > 1:
            yield f"{step} was started {count} times as {operation} on {server}"
    for server, notes in _by_server(seen.notes).items():
        runs = sorted(_runs(notes))
        for (_, end, one), (start, _, other) in pairwise(runs):
            if end is not None and start < end:
                yield f"{one} and {other} ran at the same time on {server}"


def _no_false_success(seen):
    for server in seen.result.results:
        if server.status == "succeeded" and any(
            not step.success and _stops(seen.plan, step.name) for step in server.steps_executed
        ):
            yield f"{server.server_id} is told as succeeded with a failed step that it needs"
        for step in server.steps_executed:
            if not step.success or step.type != "script":
                continue
            if step.outputs.get("exitCode", 0) != 0:
                yield f"{step.name} succeeded on {server.server_id} with {step.outputs['exitCode']}"
            if not _noted(seen, server.server_id, step.name, "END"):
                yield f"{step.name} is told as succeeded on {server.server_id} and never came to its end"


def _no_lasting_unknown(seen):
    for server in seen.result.results:
        if server.status == "unknown" and server.server_id not in seen.may_be_unknown:
            yield f"{server.server_id} is unknown, and its agent is there"
    for server_id, rows in seen.journal.items():
        if server_id in seen.alive and server_id not in seen.may_be_unknown:
            for row in rows or []:
                if row["state"] == "started":
                    yield f"{row['step']} is still `started` in the journal of {server_id}"


def _bounded_blast_radius(seen):
    plan = Plan.model_validate(seen.plan)
    touched = _by_server(seen.notes)
    for server in seen.result.results:
        if server.status in ("notStarted", "skipped") and server.server_id in touched:
            yield f"{server.server_id} is told as {server.status} and was touched"
    window = plan.rollout_strategy.max_concurrency
    if window is None:
        return
    marks = sorted(
        mark for notes in touched.values() for mark in ((notes[0].at, 1), (notes[-1].at, -1))
    )
    at_once = most = 0
    for _, change in marks:
        at_once += change
        most = max(most, at_once)
    if most > window:
        yield f"{most} servers were touched at once, and {window} are allowed"


def _order(seen):
    plan = Plan.model_validate(seen.plan)
    first, last = {}, {}
    for server, notes in _by_server(seen.notes).items():
        forward = [note for note in notes if note.kind in ("START", "END")]
        if not forward:
            continue
        first[server], last[server] = forward[0].at, forward[-1].at
        yield from _order_of_steps(plan, server, forward)
    batches = split_into_batches(list(plan.servers), plan.rollout_strategy)
    for earlier, later in pairwise(batches):
        before = [last[server] for server in earlier.servers if server in last]
        after = [first[server] for server in later.servers if server in first]
        if before and after and min(after) < max(before):
            yield f"batch {later.index + 1} began before batch {earlier.index + 1} had ended"


def _order_of_steps(plan, server, notes):
    index = {step.name: number for number, step in enumerate(plan.steps)}
    reached = -1
    ended = set()
    for note in notes:
        number = index.get(note.step)
        if number is None:
            continue
        if note.kind == "END":
            ended.add(number)
        elif number < reached:
            yield f"{note.step} began after a later step on {server}"
        else:
            open_steps = [
                step.name
                for step in plan.steps[:number]
                if step.stops_server
                and index[step.name] not in ended
                and any(other.step == step.name for other in notes)
            ]
            if open_steps:
                yield f"{note.step} began before the end of {open_steps[0]} on {server}"
            reached = max(reached, number)


def _rollback_restores(seen):
    for path, (then, is_now) in seen.trees.items():
        for name in sorted(set(then) | set(is_now)):
            if then.get(name) != is_now.get(name):
                yield f"{path}/{name} was {then.get(name)} and is {is_now.get(name)}"


def _stop_means_stop(seen):
    if seen.abort_at is not None:
        for note in seen.notes:
            if note.kind == "START" and note.at > seen.abort_at + STOP_GRACE:
                yield f"{note} began {note.at - seen.abort_at:.1f} s after the abort"
    if seen.processes:
        yield f"the rollout has ended and its processes {seen.processes} still run"


def _honest_history(seen):
    yield from _ledger_against_journal(seen)
    for server in seen.result.results:
        handed_out = seen.scheduled.get(server.server_id)
        for step in server.steps_executed:
            if handed_out is None or step.type == names.STEP_SLEEP:
                continue
            if step.index not in handed_out:
                yield f"{step.name} of {server.server_id} is told and was never handed out"
    if seen.result.status == "aborted" and not seen.result.actor:
        yield "nobody is named for the abort"
    for place in seen.leaks:
        yield f"a secret stands in {place}"


def _ledger_against_journal(seen):
    known = {row["id"]: row for rows in seen.journal.values() for row in rows or []}
    for note in seen.notes:
        if seen.journal.get(note.server_id) is None or note.kind not in ("START", "UNDO"):
            continue
        if not any(note.operation.startswith(operation) for operation in known):
            yield f"{note} stands in no journal"
    starts = Counter(note.operation for note in seen.notes if note.kind == "START")
    for operation, row in known.items():
        # A script that has the host restarted runs again after each restart, in the same execution.
        count = max(
            (many for name, many in starts.items() if name.startswith(operation)), default=0
        )
        if count > row["executions"]:
            yield f"{row['step']} ran {count} times, the journal says {row['executions']}"


def _resources_return(seen):
    for thing in seen.litter:
        yield f"left behind: {thing}"


_INVARIANTS = {
    "I1 no silent loss": _no_silent_loss,
    "I2 no double effect": _no_double_effect,
    "I3 no false success": _no_false_success,
    "I4 no lasting unknown": _no_lasting_unknown,
    "I5 bounded blast radius": _bounded_blast_radius,
    "I6 order": _order,
    "I7 rollback restores": _rollback_restores,
    "I8 stop means stop": _stop_means_stop,
    "I9 honest history": _honest_history,
    "I10 resources return": _resources_return,
}


def snapshot(tree):
    """Return what a folder holds: kind, content, mode, owner and extended attributes of everything in it."""
    tree = Path(tree)
    return {str(path.relative_to(tree)): _state_of(path) for path in sorted(tree.rglob("*"))}


def _state_of(path):
    found = path.lstat()
    marks = {
        name: os.getxattr(path, name, follow_symlinks=False).hex()
        for name in os.listxattr(path, follow_symlinks=False)
    }
    if path.is_symlink():
        content = f"-> {path.readlink()}"
    elif path.is_file():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        content = "folder"
    return content, oct(found.st_mode), found.st_uid, found.st_gid, marks


def gather(world, rollout_id, *, secrets=()):
    """Collect what is known of a rollout that has ended."""
    root = world.client.get_workflow_handle(rollout_id, result_type=RolloutResult)
    result = world.end_of(root)
    plan, children = world.call(_read_root(root))
    scheduled = {
        server: world.call(_read_child(world.client, server, run))
        for server, run in children.items()
    }
    servers = [server for server in world.servers.values() if server.id in set(plan["servers"])]
    return Evidence(
        plan=plan,
        result=result,
        notes=world.ledger(rollout_id),
        journal={server.id: journal_of(server, rollout_id) for server in servers},
        scheduled=scheduled,
        alive={server.id for server in servers if server.alive},
        processes=_patiently(lambda: world.processes_of(rollout_id)),
        litter=_patiently(lambda: [thing for server in servers for thing in _litter(server)]),
        leaks=[
            str(log)
            for log in world.folder.glob("*.log")
            if log.name != "temporal.log"
            and any(secret in log.read_text(errors="replace") for secret in secrets)
        ],
    )


def journal_of(server, rollout_id):
    """Return the rows of a rollout in a server's journal, or None where there is no journal."""
    path = server.state / "journal.sqlite"
    if not path.exists():
        return None
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "select * from operations where rollout_id = ?", (rollout_id,)
        ).fetchall()
    return [dict(row) for row in rows]


def _patiently(look, patience=15):
    """Give what is being cleaned up a moment."""
    deadline = time.monotonic() + patience
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _litter(server):
    yield from (f"{path}" for path in (server.state / "undo").glob(".*.new"))
    if server.alive:
        children = Path(f"/proc/{server.running.pid}/task/{server.running.pid}/children")
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                if state == "Z":
                    yield f"zombie {pid} of {server.id}"


async def _read_root(handle):
    plan, children = None, {}
    async for event in handle.fetch_history_events():
        if event.HasField("workflow_execution_started_event_attributes"):
            plan = _json(event.workflow_execution_started_event_attributes.input)
        if event.HasField("child_workflow_execution_started_event_attributes"):
            started = event.child_workflow_execution_started_event_attributes
            if started.workflow_type.name == names.SERVER_EXECUTION_WORKFLOW:
                run = started.workflow_execution
                children[run.workflow_id.removeprefix(names.server_execution_id(""))] = run
    return plan, children


async def _read_child(client, server, run):
    handle = client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
    steps = set()
    with contextlib.suppress(RPCError):
        async for event in handle.fetch_history_events():
            if event.HasField("activity_task_scheduled_event_attributes"):
                given = event.activity_task_scheduled_event_attributes
                if given.activity_type.name == names.EXECUTE_STEP:
                    steps.add(_json(given.input)["step"]["index"])
            elif event.HasField("marker_recorded_event_attributes"):
                about = event.marker_recorded_event_attributes.details.get("data")
                if about and _json(about).get("activity_type") == names.EXECUTE_STEP:
                    # Its input is not in the history; its summary is, as in "2/5 write (file_write)".
                    steps.add(int(json.loads(event.user_metadata.summary.data).split("/")[0]) - 1)
    return steps


def _json(payloads):
    return json.loads(payloads.payloads[0].data)


def _attempts(plan, step):
    policy = (plan.get("retryPolicy") or {}) | (step.get("retryPolicy") or {})
    return policy.get("maximumAttempts") or 1


def _stops(plan, name):
    return any(
        step.get("required", True) and not step.get("continueOnFailure", False)
        for step in plan["steps"]
        if step["name"] == name
    )


def _noted(seen, server_id, step, kind):
    return any(
        (note.server_id, note.step, note.kind) == (server_id, step, kind) for note in seen.notes
    )


def _by_server(notes):
    servers = {}
    for note in notes:
        servers.setdefault(note.server_id, []).append(note)
    return servers


def _runs(notes):
    """Return the runs of scripts on a server: start, end (None where it was ended) and what it was."""
    opens = {"START": "END", "UNDO": "UNDONE"}
    for place, note in enumerate(notes):
        if note.kind in opens:
            ends = [
                other.at
                for other in notes[place:]
                if (other.kind, other.pid) == (opens[note.kind], note.pid)
                and other.operation == note.operation  # after a restart, process ids begin anew
            ]
            yield note.at, ends[0] if ends else None, f"{note.kind} of {note.step}"


def _repeated(words):
    return sorted(word for word, count in Counter(words).items() if count > 1)
