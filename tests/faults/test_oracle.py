"""The oracle sees each invariant broken."""

import os
from dataclasses import replace

import pytest

from faults.harness import Note
from faults.oracle import Evidence, judge, snapshot
from kitsune.models.results import RolloutResult


def note(kind, at, *, server="a", step="one", operation=None, attempt=1, pid=7):
    operation = operation or f"{server}-{step}"
    return Note(f"r {operation} {server} {step} {attempt} {kind} {at} {pid}")


def server(name, status="succeeded", steps=("one", "two"), **keys):
    outcomes = [
        {
            "name": step,
            "success": True,
            "type": "script",
            "index": index,
            "outputs": {"exitCode": 0},
        }
        for index, step in enumerate(steps)
    ]
    success = status == "succeeded"
    return {
        "serverId": name,
        "success": success,
        "status": status,
        "stepsExecuted": outcomes,
    } | keys


def result(*servers, **keys):
    counts = {}
    for one in servers:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    raw = {"success": True, "serversPatched": 0, "serversFailed": 0, "counts": counts}
    return RolloutResult.model_validate(raw | {"results": list(servers)} | keys)


def plan(*servers, **strategy):
    steps = [{"name": name, "type": "script", "params": {"inline": ":"}} for name in ("one", "two")]
    return {"servers": list(servers), "steps": steps, "rolloutStrategy": strategy}


def row(operation, step="one", state="finished", executions=1):
    return {"id": operation, "step": step, "state": state, "executions": executions}


NOTES = [
    note("START", 1.0),
    note("END", 2.0),
    note("START", 2.1, step="two", pid=8),
    note("END", 3.0, step="two", pid=8),
]
#: A script that asked for a restart, and its run after that.
_RESTARTED = [("START", 0.5, 0), ("START", 1.0, 1), ("END", 2.0, 1)]
JOURNAL = {"a": [row("a-one"), row("a-two", "two")]}
GOOD = Evidence(
    plan=plan("a"),
    result=result(server("a")),
    notes=NOTES,
    journal=JOURNAL,
    scheduled={"a": {0, 1}},
    alive={"a"},
)


def test_nothing_is_wrong_with_a_good_rollout():
    assert judge(GOOD) == []


def test_process_ids_that_begin_anew_after_a_restart_make_no_overlap():
    notes = [note(kind, at, operation=f"a-one.{boot}") for kind, at, boot in _RESTARTED]
    assert not [fault for fault in judge(bad(notes=[*notes, *NOTES[2:]])) if "I2" in fault]


def bad(**changes):
    return replace(GOOD, **changes)


def broken_step(**changes):
    broken = server("a")
    broken["stepsExecuted"][1] |= changes
    return result(broken)


BAD_WORLDS = {
    "a result that is missing": ("I1", bad(result=None)),
    "a server of which nothing is said": ("I1", bad(plan=plan("a", "b"))),
    "a server that is told twice": ("I1", bad(result=result(server("a"), server("a")))),
    "counts that do not add up": ("I1", bad(result=result(server("a"), counts={"succeeded": 2}))),
    "a script that was started twice": ("I2", bad(notes=[note("START", 0.5), *NOTES])),
    "two scripts at the same time": (
        "I2",
        bad(notes=[NOTES[0], note("START", 1.5, step="two", pid=8), NOTES[1], NOTES[3]]),
    ),
    "a success that never came to its end": ("I3", bad(notes=NOTES[:3])),
    "a success with an exit code": ("I3", bad(result=broken_step(outputs={"exitCode": 1}))),
    "a success with a failed step": ("I3", bad(result=broken_step(success=False))),
    "an unknown server whose agent is there": ("I4", bad(result=result(server("a", "unknown")))),
    "a journal that waits for ever": (
        "I4",
        bad(journal={"a": [row("a-one"), row("a-two", "two", "started")]}),
    ),
    "a server that should not have been touched": (
        "I5",
        bad(result=result(server("a", "notStarted", steps=()))),
    ),
    "too many servers at once": (
        "I5",
        bad(
            plan=plan("a", "b", maxConcurrency=1),
            result=result(server("a"), server("b", steps=())),
            notes=[*NOTES, note("START", 1.5, server="b"), note("END", 2.5, server="b")],
        ),
    ),
    "a step before its turn": ("I6", bad(notes=[*NOTES[2:], *NOTES[:2]])),
    "a step before the one before it has ended": (
        "I6",
        bad(notes=[NOTES[0], NOTES[2], NOTES[3]]),
    ),
    "a batch before its turn": (
        "I6",
        bad(
            plan=plan("b", "a", type="Rolling", batchSize=1),
            result=result(server("a"), server("b", steps=())),
            notes=[*NOTES, note("START", 5.0, server="b"), note("END", 6.0, server="b")],
        ),
    ),
    "a tree that is not what it was": ("I7", bad(trees={"/t": ({"x": 1}, {"x": 2})})),
    "a file that was not there before": ("I7", bad(trees={"/t": ({}, {"x": 2})})),
    "a step after the abort": ("I8", bad(abort_at=-5.0)),
    "a process after the end": ("I8", bad(processes=[77])),
    "an effect that no journal knows": ("I9", bad(journal={"a": [row("a-one")]})),
    "a step that was never handed out": ("I9", bad(scheduled={"a": {0}})),
    "an abort of nobody": ("I9", bad(result=result(server("a"), status="aborted"))),
    "a secret in a log": ("I9", bad(leaks=["a.log"])),
    "an execution that the journal does not count": (
        "I9",
        bad(notes=[*NOTES, note("START", 3.5, step="two", attempt=2)]),
    ),
    "something that was left behind": ("I10", bad(litter=["/x"])),
}


@pytest.mark.parametrize("name", BAD_WORLDS)
def test_a_bad_world_breaks_its_invariant(name):
    invariant, evidence = BAD_WORLDS[name]
    assert any(fault.startswith(f"{invariant} ") for fault in judge(evidence)), judge(evidence)


def test_every_invariant_has_a_bad_world():
    assert {invariant for invariant, _ in BAD_WORLDS.values()} == {f"I{n}" for n in range(1, 11)}


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("other"),
        lambda path: path.chmod(0o600),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.symlink_to("/dev/null")),
        lambda path: os.link(path, path.with_name("second")),
    ],
    ids=["content", "mode", "absence", "kind", "company"],
)
def test_a_snapshot_sees_a_change(tmp_path, change):
    path = tmp_path / "file"
    path.write_text("text")
    path.chmod(0o644)
    before = snapshot(tmp_path)
    change(path)
    assert snapshot(tmp_path) != before
