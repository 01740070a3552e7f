"""ansible-core, over local connections and over ssh."""

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.processes import cpu_of, run_command
from benchmarks.systems.base import Measured, System
from benchmarks.systems.environment import BIN, lacks, peer_environment, target_python
from benchmarks.systems.sshd import Sshd, lacks_sshd
from benchmarks.workload import content_of, make_places, require_written, server_names

_FORKS = 50
_WARMED = 2
_CONFIG = """\
[defaults]
forks = {forks}
gathering = explicit
strategy = linear
inventory = {folder}/inventory.json
home = {folder}/home
local_tmp = {folder}/tmp
remote_tmp = {folder}/tmp
host_key_checking = False
retry_files_enabled = False
stdout_callback = minimal
[connection]
pipelining = True
[ssh_connection]
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
"""


class AnsibleLocal(System):
    """The upper bound of what ansible can do: no connection at all."""

    name = "ansible-local"
    how = "ansible-core, local connection, 50 forks, strategy linear (free was slower here), pipelining, no facts, interpreter given"
    measured_as: ClassVar[Literal["client", "command"]] = "command"
    _sshd: Sshd | None = None

    def lacks(self) -> str | None:
        return lacks("ansible-playbook")

    async def start(self) -> None:
        self._files = self.setting.folder / "files"
        self._servers = server_names(self.setting.servers)
        make_places(self._files, self._servers)
        (self.setting.folder / "ansible.cfg").write_text(
            _CONFIG.format(forks=_FORKS, folder=self.setting.folder)
        )
        # JSON is YAML: nothing to quote.
        (self.setting.folder / "playbook.yml").write_text(json.dumps(self._playbook()))

    async def run(self, run: int) -> Measured:
        return await self._run(run, self._servers)

    async def warm_up(self) -> None:
        await self._run(0, self._servers[:_WARMED])

    async def _run(self, run: int, servers: list[str]) -> Measured:
        folder = self.setting.folder
        (folder / "inventory.json").write_text(json.dumps(self._inventory()))
        ended = await run_command(
            [
                *(BIN / "ansible-playbook", folder / "playbook.yml"),
                *("--extra-vars", json.dumps({"content": content_of(run)})),
                *("--limit", ",".join(servers)),
            ],
            log=folder / "ansible.log",
            limit=self.setting.limit,
            env=peer_environment(ANSIBLE_CONFIG=str(folder / "ansible.cfg")),
            cwd=folder,
        )
        require_written(self._files, servers, run)
        return Measured(ended.seconds, {"command": ended.cpu})

    def _playbook(self) -> list[dict[str, Any]]:
        place = f"{self._files}/{{{{ inventory_hostname }}}}/release"
        return [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [
                    {"name": "begin", "debug": {"msg": "begin"}},
                    {"name": "write", "copy": {"dest": place, "content": "{{ content }}"}},
                    {"name": "deploy", "command": {"argv": ["sh", "-c", "echo deployed"]}},
                    {"name": "end", "debug": {"msg": "end"}},
                ],
            }
        ]

    def _inventory(self) -> dict[str, Any]:
        return {
            "all": {
                "hosts": {server: {} for server in self._servers},
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": target_python(),
                },
            }
        }


class AnsibleSsh(AnsibleLocal):
    """As it is used."""

    name = "ansible-ssh"
    how = (
        "the same over ssh to our own sshd on loopback; a connection per server, opened in each run "
        "(the CPU of the kept connections on the client's side is not in its figure)"
    )

    def lacks(self) -> str | None:
        return super().lacks() or lacks_sshd()

    async def start(self) -> None:
        await super().start()
        self._sshd = Sshd(self.setting.folder / "sshd")

    async def _run(self, run: int, servers: list[str]) -> Measured:
        sshd = self._sshd
        if sshd is None:
            raise RuntimeError("start comes first")
        await sshd.start()
        try:
            measured = await super()._run(run, servers)
            measured.cpu["sshd"] = cpu_of(sshd.pid)
        finally:
            await sshd.stop()
            shutil.rmtree(self._control, ignore_errors=True)
        return measured

    @property
    def _control(self) -> Path:
        return self.setting.folder / "c"

    def _inventory(self) -> dict[str, Any]:
        inventory = super()._inventory()
        sshd = self._sshd
        if sshd is None:
            raise RuntimeError("start comes first")
        inventory["all"]["vars"] |= {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": sshd.port,
            "ansible_ssh_private_key_file": str(sshd.key),
            # One address stands for all servers; each has a connection of its own all the same.
            "ansible_control_path": f"{self._control}/{{{{ inventory_hostname }}}}",
            "ansible_control_path_dir": str(self._control),
        }
        return inventory
