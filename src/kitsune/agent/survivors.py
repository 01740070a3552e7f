"""Processes that KILL did not end: nothing new is begun on a server for as long as one of them is there."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kitsune.agent.journal import Entry
from kitsune.agent.proc import Process, boot_id, read_process
from kitsune.errors import ProcessRemains
from kitsune.models.results import StepOutcome

#: Key of a step's outputs: pid, start time and boot id of each process that was killed and did not end.
STILL_RUNNING = "stillRunning"


def remaining(pids: Iterable[int]) -> dict[str, Any]:
    """Return processes as outputs of a step; nothing where none of them is there."""
    found = [process for pid in pids if (process := read_process(pid)) and not process.ended]
    if not found:
        return {}
    boot = boot_id()
    left = [
        {"pid": process.pid, "startTime": process.start_time, "bootId": boot} for process in found
    ]
    return {STILL_RUNNING: left}


def remaining_of(outputs: Mapping[str, Any]) -> list[Process]:
    """Return those processes of a step's outputs that are still there."""
    noted = outputs.get(STILL_RUNNING)
    if not isinstance(noted, list):
        return []
    boot = boot_id()
    processes = []
    for known in noted:
        if not isinstance(known, Mapping) or known.get("bootId") != boot:
            continue
        process = read_process(int(known["pid"]))
        if process and not process.ended and process.start_time == known["startTime"]:
            processes.append(process)
    return processes


def told(processes: Iterable[Process]) -> str:
    """Return what a person has to know of processes that remain."""
    each = ", ".join(f"{process.pid} (state {process.state})" for process in processes)
    return f"KILL was sent, and still present: process {each}"


def with_remains(
    outputs: Mapping[str, Any], error: str | None, status: str, *, permanent: bool
) -> tuple[str | None, str, bool]:
    """Say what could not be ended: then nothing was cancelled, and nothing may run again beside it."""
    if not (remains := remaining_of(outputs)):
        return error, status, permanent
    return f"{error}; {told(remains)}", "interrupted" if status == "cancelled" else status, True


class Journal(Protocol):
    """What is needed of the journal."""

    async def list_survived(self) -> list[Entry]:
        """Return the operations that have left processes behind."""


class Survivors:
    """What past steps of this server have left behind."""

    def __init__(self, journal: Journal) -> None:
        """Take the journal; it is read when somebody asks first."""
        self._journal = journal
        self._known: list[tuple[str, str, Mapping[str, Any]]] | None = None

    def note(self, rollout_id: str, outcome: StepOutcome) -> None:
        """Remember what a step has left."""
        if self._known is not None and STILL_RUNNING in outcome.outputs:
            self._known.append((rollout_id, outcome.name, outcome.outputs))

    async def refuse(self) -> None:
        """Do nothing, unless something is still there.

        Raises:
            ProcessRemains: Something is.
            JournalUnavailable: What is there cannot be known.
        """
        if self._known is None:
            self._known = [
                (entry.rollout_id, entry.step, entry.outcome.outputs)
                for entry in await self._journal.list_survived()
                if entry.outcome
            ]
        there = [(known, left) for known in self._known if (left := remaining_of(known[2]))]
        self._known = [known for known, _ in there]
        if there:
            (rollout_id, step, _), left = there[0]
            raise ProcessRemains(
                f"nothing is begun here while what step {step!r} of rollout {rollout_id!r} started still runs "
                f"({told(left)}): end it, or restart this host"
            )
