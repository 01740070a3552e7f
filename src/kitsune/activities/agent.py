"""An agent: the parts that the activities of one server share."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from kitsune import names
from kitsune.activities.step_tally import StepTally
from kitsune.agent.journal import Journal
from kitsune.agent.operations import OperationRunner
from kitsune.agent.undo import UndoStore
from kitsune.handlers.registry import HandlerRegistry
from kitsune.measures import Measures


@dataclass(frozen=True)
class Agent:
    """What a server's activities work with.

    Attributes:
        state: The state folder: journal, undo records, output.
        instance: Tells this process from every other one; its worker's identity ends with it.
        tally: Counts what becomes of steps.
    """

    server_id: str
    state: Path
    registry: HandlerRegistry
    journal: Journal
    runner: OperationRunner
    undo: UndoStore
    tally: StepTally
    instance: str = ""

    @classmethod
    def at(
        cls,
        state: Path,
        *,
        server_id: str,
        registry: HandlerRegistry,
        instance: str = "",
        measures: Measures | None = None,
    ) -> "Agent":
        """Return an agent that keeps its state in a folder."""
        tally = StepTally(measures or Measures(), {*registry.types} - {names.STEP_SLEEP})
        records = (state / "undo", state / "operations")
        journal = Journal(state / "journal.sqlite", records=records)
        return cls(
            server_id=server_id,
            state=state,
            registry=registry,
            journal=journal,
            runner=OperationRunner(journal, tally),
            undo=UndoStore(state / "undo"),
            tally=tally,
            instance=instance or secrets.token_hex(8),
        )
