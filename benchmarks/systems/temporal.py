"""Kitsune and the floors below it."""

import json
from typing import Any, ClassVar, Literal

from benchmarks.processes import run_command
from benchmarks.systems.base import Measured, System
from benchmarks.temporal_fleet import Kind, TemporalFleet
from benchmarks.workload import (
    STEPS,
    content_of,
    four_steps,
    make_places,
    plan_for,
    require_written,
)
from kitsune import names
from kitsune.embedded.local_fleet import KITSUNE, client_environment
from kitsune.embedded.local_processes import clean_environment


class _OnTemporal(System):
    kind: ClassVar[Kind]
    workflow: ClassVar[str]
    on_file: ClassVar[bool] = False
    measured_as: ClassVar[Literal["client", "command"]] = "client"

    async def start(self) -> None:
        self._files = self.setting.folder / "files"
        self._fleet = TemporalFleet(
            self.kind,
            self.setting.folder,
            servers=self.setting.servers,
            processes=self.setting.processes,
            on_file=self.on_file,
        )
        make_places(self._files, self._fleet.servers)
        await self._fleet.start(limit=self.setting.limit)

    async def stop(self) -> None:
        await self._fleet.stop()

    async def run(self, run: int) -> Measured:
        fleet, rollout_id = self._fleet, f"bench-{run}"
        (seconds, extra_cpu), facts = await fleet.observe(
            rollout_id, fleet.servers, self._roll_out(rollout_id, run)
        )
        self._require(run)
        return Measured(seconds, facts.pop("cpu") | extra_cpu, facts | fleet.disk())

    def _input(self, run: int) -> list[Any]:
        raise NotImplementedError

    def _require(self, run: int) -> None:
        """Look whether the work was done, where there was any."""

    async def _roll_out(self, rollout_id: str, run: int) -> tuple[float, dict[str, float]]:
        seconds = await self._fleet.finish(
            self.workflow, self._input(run), rollout_id=rollout_id, limit=self.setting.limit
        )
        return seconds, {}


class Kitsune(_OnTemporal):
    """Kitsune itself."""

    name = "kitsune"
    how = "embedded Temporal in memory, real local workers, several in one process"
    kind: ClassVar[Kind] = "kitsune"
    workflow = names.ORCHESTRATION_WORKFLOW

    def _input(self, run: int) -> list[Any]:
        return [plan_for(self._fleet.servers, four_steps(self._files, content_of(run)))]

    def _require(self, run: int) -> None:
        require_written(self._files, self._fleet.servers, run)


class KitsuneOnFile(Kitsune):
    """With a database that survives."""

    name = "kitsune-file"
    how = "the same, with Temporal's database on its file"
    on_file = True


class KitsuneCommand(Kitsune):
    """As an operator starts it."""

    name = "kitsune-command"
    how = "the same in memory, from the start of `kitsune run` to its exit"
    measured_as = "command"

    async def _roll_out(self, rollout_id: str, run: int) -> tuple[float, dict[str, float]]:
        plan = self.setting.folder / f"plan-{run}.json"
        plan.write_text(json.dumps(self._input(run)[0]))
        ended = await run_command(
            [*KITSUNE, "run", plan, "--id", rollout_id, "--yes"],
            log=self.setting.folder / "command.log",
            limit=self.setting.limit,
            env=clean_environment(**client_environment(self._fleet.temporal.address)),
            cwd=self.setting.folder,
        )
        return ended.seconds, {"command": ended.cpu}


class FloorChild(_OnTemporal):
    """The same shape as Kitsune's, with nothing in it."""

    name = "floor-child"
    how = "a bare child workflow per server and an empty activity per step; plain SDK workers, no sandbox"
    kind: ClassVar[Kind] = "floor"
    workflow = "FloorFleet"

    def _input(self, run: int) -> list[Any]:
        del run
        return [self._fleet.servers, STEPS]


class FloorChildSandboxed(FloorChild):
    """As the SDK runs workflows by default."""

    name = "floor-child-sandboxed"
    how = "the same with the SDK's workflow sandbox"
    kind: ClassVar[Kind] = "floor-sandboxed"


class FloorActivity(FloorChild):
    """The least of all."""

    name = "floor-activity"
    how = "one empty activity per server, straight from one workflow"
    workflow = "FloorActivities"
