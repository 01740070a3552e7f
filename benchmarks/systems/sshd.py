"""An sshd of our own: Debian's program, own port, own keys, own configuration, loopback only."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from kitsune.embedded.local_processes import LocalProcess, clean_environment, last_lines, open_log
from kitsune.embedded.ports import LOOPBACK, free_port

_PROGRAM: Final = "/usr/sbin/sshd"
#: Where Debian's sshd wants an empty folder when root starts it.
_EMPTY = Path("/run/sshd")
_READY_WITHIN = 10.0
_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
LogLevel ERROR
# 50 clients come at once, and none of them may be turned away.
MaxStartups 1000
MaxSessions 1000
# Bash takes itself for a shell within a shell, and runs nobody's ~/.bashrc for each command.
SetEnv SHLVL=2
Subsystem sftp internal-sftp
"""


def lacks_sshd() -> str | None:
    """Return why there can be no sshd here, or None."""
    for program in (_PROGRAM, "ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"{program} is not installed (on Debian: apt install openssh-server)"
    if os.geteuid() == 0 and not _EMPTY.is_dir() and not os.access(_EMPTY.parent, os.W_OK):
        return f"{_EMPTY} does not exist and cannot be made"
    return None


class Sshd:
    """The server; it runs from `start` to `stop`, and so do its sessions.

    Attributes:
        port: Where it listens.
        key: The private key that it lets in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = folder / "user_key"
        self.port = 0
        self._process: LocalProcess | None = None
        folder.mkdir(mode=0o700)
        for key in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key],  # noqa: S607
                check=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            RuntimeError: It does not.
        """
        _make_empty_folder()
        self.port = free_port()
        config = self._folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, address=LOOPBACK, folder=self._folder))
        log = self._folder / "sshd.log"
        with open_log(log) as output:
            self._process = LocalProcess(
                "sshd",
                [_PROGRAM, "-D", "-e", "-f", str(config)],
                env=clean_environment(),
                output=output,
            )
        ends = time.monotonic() + _READY_WITHIN
        while not _listens(self.port):
            if self._process.exit_code is not None or time.monotonic() > ends:
                with open_log(log) as output:
                    raise RuntimeError(f"sshd does not listen:{last_lines(output)}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it and every session; the clients' kept connections end with them."""
        if self._process:
            self._process.kill()
            await self._process.stop()
            self._process = None


def _make_empty_folder() -> None:
    if os.geteuid() == 0:
        _EMPTY.mkdir(mode=0o755, exist_ok=True)


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex((LOOPBACK, port)) == 0
