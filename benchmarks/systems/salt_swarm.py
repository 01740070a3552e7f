"""Salt minions, one process each, forked from one that has imported Salt: `python salt_swarm.py JSON`.

Runs in the bench environment. Each minion is the daemon that the command `salt-minion` starts.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import salt.cli.daemons

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(given: dict[str, Any]) -> None:
    """Fork the minions and wait; they end with us."""
    folder = Path(given["folder"])
    for name in given["servers"]:
        own = folder / "s" / name
        own.mkdir(parents=True)
        config = own / "minion"
        config.write_text(json.dumps(_settings(given, name, own)))
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _be_minion(config)
            os._exit(0)
    while True:
        signal.pause()


def _settings(given: dict[str, Any], name: str, own: Path) -> dict[str, Any]:
    return {
        "id": name,
        "master": "127.0.0.1",
        "publish_port": given["publish_port"],
        "master_port": given["master_port"],
        "root_dir": str(own),
        "pki_dir": str(own / "pki"),
        "cachedir": str(own / "cache"),
        "sock_dir": str(own / "run"),
        "conf_file": str(own / "minion"),
        "log_file": str(own / "log"),
        "log_level": "error",
        "log_level_logfile": "error",
        "multiprocessing": False,
        "acceptance_wait_time": 1,
        "keysize": 2048,
        "grains_cache": True,
        "mine_enabled": False,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
    }


def _be_minion(config: Path) -> None:
    sys.argv = ["salt-minion", "-c", str(config.parent)]
    salt.cli.daemons.Minion().start()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
