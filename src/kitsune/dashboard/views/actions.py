"""What can be done with a rollout now, by whom, and how the command line says the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from kitsune.dashboard.views.commands import command
from kitsune.dashboard.views.looks import shown_state
from kitsune.dashboard.views.picture import Picture
from kitsune.service.again import RETRIED

#: Verb -> the role that an order needs and this user lacks; empty where they may give it.
May = Callable[[str], str]
_HELD_SHOWN = 20


@dataclass(frozen=True)
class Field:
    """One thing that a form asks besides the reason.

    Attributes:
        kind: `hidden`, `check`, `text` or `typed` (the value has to be typed to agree).
        flag: The command's option that says the same, for what is not in the command anyway.
    """

    name: str
    kind: str
    label: str = ""
    value: str = ""
    hint: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Action:
    """One order, as a form.

    Attributes:
        verb: The last part of the address it is posted to.
        explain: What it does, in one sentence.
        command: The same on the command line.
        tone: `primary`, `danger` or `plain`.
        needs: The role that it needs and this user lacks; empty where they may give it.
    """

    verb: str
    label: str
    explain: str
    command: str
    tone: str = "plain"
    fields: tuple[Field, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Held:
    """A server that waits for a person's decision."""

    server_id: str
    step: str
    error: str
    actions: tuple[Action, ...]


def actions_of(picture: Picture, *, may: May) -> list[Action]:
    """Return the orders that make sense now, the most likely first."""
    found = _steering(picture) if picture.row.open else _afterwards(picture)
    return [_for(action, may) for action in found]


def held_of(picture: Picture, *, may: May, only: str = "") -> list[Held]:
    """Return the servers on which a step failed and a person decides, with the three answers."""
    held = [
        server
        for server in picture.servers
        if shown_state(server) == "held" and only in ("", server.server_id)
    ]
    return [
        Held(
            server.server_id,
            server.failed_step or "",
            server.error or "",
            tuple(
                _for(action, may) for action in _answers(picture.row.rollout_id, server.server_id)
            ),
        )
        for server in held[:_HELD_SHOWN]
    ]


def _for(action: Action, may: May) -> Action:
    return replace(action, needs=may(action.verb))


def _steering(picture: Picture) -> Iterator[Action]:
    name = picture.row.rollout_id
    gate = picture.gate.id if picture.gate else picture.row.gate
    if gate:
        yield Action(
            "approve",
            f"Approve {gate}",
            f"Opens the gate {gate}; the next batch starts.",
            command("approve", name, "--gate", gate),
            tone="primary",
            fields=(Field("gate", "hidden", value=gate),),
        )
    if picture.paused:
        yield Action(
            "resume", "Resume", "The rollout goes on.", command("resume", name), tone="primary"
        )
    else:
        yield Action(
            "pause",
            "Pause",
            "Starts nothing more until somebody resumes; servers hold before their next step.",
            command("pause", name),
            fields=(
                Field(
                    "drain",
                    "check",
                    "Servers in flight finish their plan first",
                    "true",
                    flag="--drain",
                ),
            ),
        )
    yield Action(
        "set",
        "Limits",
        "Changes the limits from now on; what is left empty stays.",
        command("set", name),
        fields=(
            Field(
                "maxFailures",
                "text",
                "Failed servers tolerated",
                hint="2, 10%, or -1 for any",
                flag="--max-failures",
            ),
            Field(
                "maxConcurrency",
                "text",
                "Servers at once within a batch",
                hint="10",
                flag="--max-concurrency",
            ),
        ),
    )
    yield Action(
        "abort",
        "Abort",
        "Starts nothing more and cancels what runs. This cannot be taken back.",
        command("abort", name),
        tone="danger",
        fields=(
            Field(
                "rollback", "check", "Undo what it did, on every server", "true", flag="--rollback"
            ),
        ),
    )


def _afterwards(picture: Picture) -> Iterator[Action]:
    if picture.result is None and not picture.cut_short:
        return
    name, result = picture.row.rollout_id, picture.result
    undoes = bool(result and result.rollback_of)
    stuck = sum(1 for one in picture.servers if one.rollback_failed or one.rollback_pending)
    broken = sum(1 for one in picture.servers if one.state in RETRIED)
    if stuck and not undoes:
        yield Action(
            "rollback",
            "Retry rollback",
            f"Tries the rollback once more on {_servers(stuck)} where it failed or is pending.",
            command("rollback", name, "--retry"),
            tone="primary",
            fields=(Field("retry", "hidden", value="true"),),
        )
    if broken and not undoes:
        yield Action(
            "retry",
            "Retry",
            f"Runs the same plan as a new rollout on {_servers(broken)} that did not succeed.",
            command("retry", name),
            tone="plain" if stuck else "primary",
            fields=(
                Field(
                    "fromFailed",
                    "check",
                    "Begin at the step that failed, where it was not undone",
                    "true",
                    flag="--from-step failed",
                ),
            ),
        )
    if picture.left_to_undo and not undoes:
        yield Action(
            "rollback",
            "Roll back",
            f"Undoes this rollout on {_servers(picture.left_to_undo)}, newest first, as a new rollout.",
            command("rollback", name),
            tone="danger",
            fields=(
                Field(
                    "force",
                    "check",
                    "Overwrite what somebody has changed since",
                    "true",
                    flag="--force",
                ),
                Field("confirm", "typed", "Type the rollout's id to agree", name),
            ),
        )


def _answers(name: str, server: str) -> Iterator[Action]:
    hidden = (Field("serverId", "hidden", value=server),)
    for verb, label, explain, tone in (
        ("retry", "Retry step", "Runs the failed step once more, and then the rest.", "primary"),
        ("skip", "Skip server", "Leaves the server as it is; it ends as failed.", "plain"),
        ("rollback", "Roll back server", "Undoes the server; it ends as failed.", "danger"),
    ):
        yield Action(verb, label, explain, command(verb, name, "--server", server), tone, hidden)


def _servers(count: int) -> str:
    return f"{count:,} server{'' if count == 1 else 's'}"
