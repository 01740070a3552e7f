"""The command line's words for what pages do, ready to be copied into a shell."""

import shlex


def command(*words: str) -> str:
    """Return `kitsune ...` with every word quoted as a shell needs it."""
    return shlex.join(("kitsune", *words))
