"""The environment that a script starts with: clean, but usable."""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress

from kitsune.agent.launch import Account

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What a script inherits from the agent, beside `LC_*`. The agent's own keys and addresses are not in it.
_INHERITED = frozenset({"PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR"})


def clean_environment(agents: Mapping[str, str], *, account: Account | None) -> dict[str, str]:
    """Return what a program inherits.

    Args:
        agents: The agent's own environment.
        account: Whom `HOME`, `USER` and `LOGNAME` name; None: whoever the agent's environment names, else the
            agent's user, for a service often starts without them.
    """
    names = (name for name in agents if name in _INHERITED or name.startswith("LC_"))
    found = {"PATH": _DEFAULT_PATH} | {name: value for name in names if (value := agents[name])}
    if account is not None:
        return found | _identity(account.name, account.home)
    if "HOME" not in found or "USER" not in found:
        with suppress(KeyError):
            entry = pwd.getpwuid(os.geteuid())
            return _identity(entry.pw_name, entry.pw_dir) | found
    return found


def _identity(name: str, home: str) -> dict[str, str]:
    return {"HOME": home, "USER": name, "LOGNAME": name}
