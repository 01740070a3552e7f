"""Exit codes: one table, shown by `kitsune --help`."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code means; the docstring of each is its line in `--help`."""

    OK = 0
    BUG = 1
    USAGE = 2
    FAILED_SERVERS = 3
    INCOMPLETE = 4
    STOPPED = 5
    NEEDS_PERSON = 6
    ABORTED = 7
    REFUSED = 8
    CONFLICT = 9
    DIFFERS = 10
    UNAVAILABLE = 69
    WATCH_TIMEOUT = 124
    DETACHED = 130


MEANINGS = {
    Exit.OK: "all servers succeeded",
    Exit.BUG: "a bug in Kitsune",
    Exit.USAGE: "wrong usage",
    Exit.FAILED_SERVERS: "finished, with failed servers",
    Exit.INCOMPLETE: "finished, none failed, but some unreachable, unknown or skipped",
    Exit.STOPPED: "stopped, and all that it should undo is undone",
    Exit.NEEDS_PERSON: "a rollback failed or is pending: needs a person",
    Exit.ABORTED: "aborted by an operator",
    Exit.REFUSED: "plan refused before anything ran",
    Exit.CONFLICT: "conflict: id in use, server or folder taken",
    Exit.DIFFERS: "`diff --exit-code`: the plan would change something",
    Exit.UNAVAILABLE: "Temporal not reachable",
    Exit.WATCH_TIMEOUT: "--timeout of the watch passed, the rollout goes on",
    Exit.DETACHED: "Ctrl-C: detached, the rollout goes on",
}
