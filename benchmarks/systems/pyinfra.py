"""pyinfra over ssh."""

import getpass
from typing import ClassVar, Literal

from benchmarks.processes import cpu_of, run_command
from benchmarks.systems.base import Measured, System
from benchmarks.systems.environment import BIN, lacks, peer_environment
from benchmarks.systems.sshd import Sshd, lacks_sshd
from benchmarks.workload import content_of, make_places, require_written, server_names

_PARALLEL = 50
_WARMED = 2
_INVENTORY = """\
servers = [(name, {data!r}) for name in {names!r}]
"""
_DEPLOY = """\
from io import StringIO
from pyinfra import host
from pyinfra.operations import files, python, server

def say(text):
    print(text)

python.call(name="begin", function=say, text="begin")
files.put(name="write", src=StringIO({content!r}), dest={files!r} + "/" + host.name + "/release")
server.shell(name="deploy", commands=["sh -c 'echo deployed'"])
python.call(name="end", function=say, text="end")
"""


class Pyinfra(System):
    """pyinfra, as its documentation says it is fast."""

    name = "pyinfra"
    how = "pyinfra, ssh to our own sshd on loopback, --parallel 50, --no-wait, --yes; the say steps run on the controller"
    measured_as: ClassVar[Literal["client", "command"]] = "command"

    def lacks(self) -> str | None:
        return lacks("pyinfra") or lacks_sshd()

    async def start(self) -> None:
        self._files = self.setting.folder / "files"
        self._servers = server_names(self.setting.servers)
        make_places(self._files, self._servers)
        self._sshd = Sshd(self.setting.folder / "sshd")

    async def run(self, run: int) -> Measured:
        return await self._run(run, self._servers)

    async def warm_up(self) -> None:
        await self._run(0, self._servers[:_WARMED])

    async def _run(self, run: int, servers: list[str]) -> Measured:
        folder, sshd = self.setting.folder, self._sshd
        await sshd.start()
        data = {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": sshd.port,
            "ssh_user": getpass.getuser(),
            "ssh_key": str(sshd.key),
            "ssh_strict_host_key_checking": "off",
            "ssh_known_hosts_file": str(folder / f"known-hosts-{run}"),
            "ssh_look_for_keys": False,
        }
        (folder / "inventory.py").write_text(_INVENTORY.format(data=data, names=servers))
        (folder / "deploy.py").write_text(
            _DEPLOY.format(content=content_of(run), files=str(self._files))
        )
        try:
            ended = await run_command(
                [
                    *(BIN / "pyinfra", "--yes", "--no-wait", "--parallel", str(_PARALLEL)),
                    *("inventory.py", "deploy.py"),
                ],
                log=folder / "pyinfra.log",
                limit=self.setting.limit,
                env=peer_environment(),
                cwd=folder,
            )
            cpu = {"command": ended.cpu, "sshd": cpu_of(sshd.pid)}
        finally:
            await sshd.stop()
        require_written(self._files, servers, run)
        return Measured(ended.seconds, cpu)
