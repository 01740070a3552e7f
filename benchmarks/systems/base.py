"""The contract of a system that is measured."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal


@dataclass(frozen=True)
class Setting:
    """What every system is given.

    Attributes:
        folder: Its own, existing, short enough for sockets.
        servers: How many servers it acts on.
        processes: For the local workers or resident agents of all servers, where many share one.
        limit: Seconds that a start or a run may take.
    """

    folder: Path
    servers: int
    processes: int
    limit: float


@dataclass
class Measured:
    """One run.

    Attributes:
        seconds: From the order to the known end on all servers.
        cpu: Seconds of processor time by kind of process.
        facts: What else is known of it; goes into the record as it is.
    """

    seconds: float
    cpu: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class System(ABC):
    """One way to run the plan of four steps on all servers.

    Class attributes:
        name: What options and tables call it.
        how: Its configuration, in one sentence.
        measured_as: `command`: from the start of a command to its exit, as an operator waits for it.
            `client`: from the order of a client that is connected already to the result.
    """

    name: ClassVar[str]
    how: ClassVar[str]
    measured_as: ClassVar[Literal["client", "command"]]

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def lacks(self) -> str | None:
        """Return why it cannot run here, or None."""
        return None

    async def start(self) -> None:  # noqa: B027 - some have nothing to start
        """Start what stays there between runs."""

    @abstractmethod
    async def run(self, run: int) -> Measured:
        """Run the plan once on all servers, and see to it that it was done.

        Raises:
            RuntimeError: It failed, so its time means nothing.
            TimeoutError: It took longer than the limit.
        """

    async def warm_up(self) -> None:
        """Do once, uncounted, what only a first run pays for."""
        await self.run(0)

    async def stop(self) -> None:  # noqa: B027 - some have nothing to end
        """End what was started; nothing happens where nothing was."""
