"""Salt with a resident master and resident minions."""

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.processes import available_memory, cpu_of, memory_of_tree, run_command
from benchmarks.systems.base import Measured, System
from benchmarks.systems.environment import BIN, lacks, peer_environment
from benchmarks.workload import content_of, make_places, require_written, server_names
from kitsune.embedded.local_processes import LocalProcess, last_lines, open_log
from kitsune.embedded.ports import free_port

#: What a minion takes beside what it shares with the others.
_MB_PER_MINION = 70
_ROOM_LEFT = 2000
_PING_WITHIN = 20
_SWARM = Path(__file__).with_name("salt_swarm.py")


class Salt(System):
    """Salt, the nearest of the peers: an agent on each server as well."""

    name = "salt"
    how = (
        "Salt, resident master and one resident minion process per server (zeromq, multiprocessing off: "
        "jobs run in threads, which was as fast here as in processes), `state.apply` on all"
    )
    measured_as: ClassVar[Literal["client", "command"]] = "command"
    _master: LocalProcess | None = None
    _minions: LocalProcess | None = None

    def lacks(self) -> str | None:
        needed = self.setting.servers * _MB_PER_MINION + _ROOM_LEFT
        if available_memory() < needed:
            return f"{self.setting.servers} minions need {needed} MB, {available_memory():.0f} are free"
        return lacks("salt", "salt-master")

    async def start(self) -> None:
        self._files = self.setting.folder / "files"
        self._servers = server_names(self.setting.servers)
        make_places(self._files, self._servers)
        self._configure()
        self._master = self._spawn("master", BIN / "salt-master", "-c", self._conf)
        given = json.dumps(
            {"servers": self._servers, "folder": str(self.setting.folder), **self._ports}
        )
        self._minions = self._spawn("minions", BIN / "python", "-P", _SWARM, given)
        async with asyncio.timeout(self.setting.limit):
            while not await self._all_answer():
                self._require_alive()

    async def run(self, run: int) -> Measured:
        master, minions = self._cpu()
        ended = await self._salt(
            "state.apply", "four", f"pillar={json.dumps({'content': content_of(run)})}"
        )
        after = self._cpu()
        require_written(self._files, self._servers, run)
        used = {"command": ended.cpu, "master": after[0] - master, "agents": after[1] - minions}
        return Measured(ended.seconds, used, {"memory": self._memory()})

    async def stop(self) -> None:
        for process in (self._minions, self._master):
            if process:
                process.kill()
                await process.stop()

    @property
    def _conf(self) -> Path:
        return self.setting.folder / "conf"

    def _configure(self) -> None:
        self._ports = {"publish_port": free_port(), "master_port": free_port()}
        folder = self.setting.folder
        for needed in (self._conf, folder / "states"):
            needed.mkdir()
        master: dict[str, Any] = {
            "interface": "127.0.0.1",
            "publish_port": self._ports["publish_port"],
            "ret_port": self._ports["master_port"],
            "root_dir": str(folder / "m"),
            "pki_dir": str(folder / "m/pki"),
            "cachedir": str(folder / "m/cache"),
            "sock_dir": str(folder / "m/run"),
            "log_file": str(folder / "master.log"),
            "log_level": "error",
            "log_level_logfile": "error",
            "auto_accept": True,
            "file_roots": {"base": [str(folder / "states")]},
            "timeout": int(self.setting.limit),
            "ping_on_rotate": False,
            "minion_data_cache": False,
            "keysize": 2048,
        }
        (self._conf / "master").write_text(json.dumps(master))
        say: dict[str, Any] = {"test.nop": []}
        state = {
            "begin": say,
            "write": {
                "file.managed": [
                    {"name": f"{self._files}/{{{{ grains['id'] }}}}/release"},
                    {"contents": "{{ pillar['content'] | trim }}"},
                    {"require": [{"test": "begin"}]},
                ]
            },
            "sh -c 'echo deployed'": {"cmd.run": [{"require": [{"file": "write"}]}]},
            "end": {"test.nop": [{"require": [{"cmd": "sh -c 'echo deployed'"}]}]},
        }
        (folder / "states/four.sls").write_text(json.dumps(state))

    def _spawn(self, name: str, *command: str | Path) -> LocalProcess:
        with open_log(self.setting.folder / f"{name}.out") as log:
            return LocalProcess(
                f"salt {name}",
                [str(word) for word in command],
                env=peer_environment(),
                cwd=self.setting.folder,
                output=log,
            )

    async def _salt(self, *words: str, limit: float | None = None) -> Any:
        return await run_command(
            [*(BIN / "salt", "-c", self._conf, "--out=json", "--static", "*"), *words],
            log=self.setting.folder / "salt.log",
            limit=limit or self.setting.limit,
            env=peer_environment(),
            cwd=self.setting.folder,
        )

    async def _all_answer(self) -> bool:
        """Ask every server whether it is there; the master knows those whose key it has accepted."""
        accepted = self.setting.folder / "m/pki/minions"
        if not accepted.is_dir() or len(list(accepted.iterdir())) < len(self._servers):
            await asyncio.sleep(0.5)
            return False
        log = self.setting.folder / "salt.log"
        log.unlink(missing_ok=True)
        try:
            await self._salt("test.ping", f"--timeout={_PING_WITHIN}", limit=3 * _PING_WITHIN)
        except (RuntimeError, TimeoutError):  # one that does not answer makes the exit code 1
            return False
        return log.read_text().count("true") >= len(self._servers)

    def _require_alive(self) -> None:
        for process in (self._master, self._minions):
            if process and process.exit_code is not None:
                with open_log(self.setting.folder / f"{process.name.split()[1]}.out") as log:
                    raise RuntimeError(f"{process.name} ended:{last_lines(log)}")

    def _cpu(self) -> list[float]:
        return [cpu_of(process.pid) for process in (self._master, self._minions) if process]

    def _memory(self) -> dict[str, float]:
        sums = [memory_of_tree(process.pid) for process in (self._master, self._minions) if process]
        return dict(zip(("master", "agents"), sums, strict=True))
