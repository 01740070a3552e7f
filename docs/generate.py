# ruff: noqa: INP001 - a script of this folder, not a package
"""Write docs/reference from the code, or check that it is up to date: `docs/generate.py [--check]`."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from pydantic import BaseModel

from kitsune import metrics, names
from kitsune.cli.event_schema import COMMON, EVENTS
from kitsune.cli.exits import MEANINGS
from kitsune.cli.main import COMMANDS, kitsune
from kitsune.dashboard.settings import DashboardSettings
from kitsune.handlers.base import StepHandler
from kitsune.handlers.registry import HandlerRegistry, registry_of
from kitsune.models import requests
from kitsune.rollout import limits

REFERENCE = Path(__file__).parent / "reference"
WIDTH = 100
MADE_BY = "<!-- Made by `make docs` from the code; do not edit. -->"
REVERSIBLE = {
    "full": "restores everything",
    "partial": "restores a part",
    "none": "nothing can be undone",
}
CHECKABLE = {
    "full": "says what it would change",
    "partial": "says a part of what it would change",
    "none": "unknown",
}

HANDLERS_INTRO = """\
What `steps[].type` may say without any plugin, and what goes into `steps[].params`.
Every step also takes `required`, `continueOnFailure`, `timeout` and `retryPolicy`: see [writing plans](../guides/writing-plans.md)."""
EVENTS_INTRO = """\
`kitsune run`, `watch`, `abort`, `retry` and `rollback` with `-o jsonl` write one JSON object in a line for each event, in order.
Keys are added as time goes on; ignore those that you do not know.
What happened before the watch began is told at its first look, with the times at which it happened."""
SETTINGS_INTRO = """\
Kitsune has no configuration file of its own.
Flags win over environment variables, and those over Temporal's profiles."""
TEMPORAL_SETTINGS = f"""\
Where Temporal is comes from the variables and profiles that every Temporal tool reads:
`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS` and its kin, `TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE`.
Without any of them it is `{names.DEFAULT_ADDRESS}`, namespace `default`."""

#: What each environment variable of ours means; a new one in `names.py` without a line here is an error.
ENVIRONMENT = {
    "ENV_SERVER_ID": "The local worker's server id, and so its task queue. `--server-id` wins.",
    "ENV_STATE_DIR": "Where a local worker keeps its journal, undo records and logs. "
    "Default: `/var/lib/kitsune/<server id>` for root, else `$XDG_STATE_HOME/kitsune/<server id>` "
    "(`~/.local/state` where that is not set).",
    "ENV_UNDO_RETENTION": "How long a local worker keeps journal rows, undo records and output after an operation has ended. "
    "Default: `30d`. `--undo-retention` wins.",
    "ENV_OUTPUT_LIMIT": "Room for the output of all scripts together, such as `512MiB`; the oldest goes first. Default: `1GiB`.",
    "ENV_REBOOT_COMMAND": "What restarts this host, as words for a shell. Default: `systemctl reboot`.",
    "ENV_WEBHOOKS": "The file that says [who is told what](../guides/webhooks.md), for orchestration workers. Default: nobody. "
    "`--webhooks` wins.",
    "ENV_TRACEPARENT": "The trace that a command runs in, as W3C Trace Context writes it: [rollouts that it starts belong to it](../operations.md#traces).",
    "ENV_METRICS_ADDRESS": "Where a worker serves [its figures](metrics.md) to Prometheus, as in `127.0.0.1:9464`. Default: nowhere. "
    "`--metrics-address` wins.",
    "ENV_DASHBOARD_PREFIX": "Beginning of a variable for each [setting of the dashboard](#dashboard), as in `KITSUNE_DASHBOARD_HOST`.",
    "ENV_FAILPOINTS": "For tests of Kitsune itself: where a local worker kills itself or waits, as in `shim.ready=kill`. Default: nowhere.",
}
#: What scripts find in their environment.
SCRIPT_ENVIRONMENT = {
    "ENV_ROLLOUT_ID": "The rollout's id, which is its workflow id.",
    "ENV_SCRIPT_SERVER_ID": "The server's id.",
    "ENV_STEP": "The step's name.",
    "ENV_ATTEMPT": "Which execution this is, from 1.",
    "ENV_REBOOTS": "How often the host has restarted in this execution because the script asked for it with exit code 194.",
    "ENV_OPERATION": "Marks every process of one execution. Scripts must hand it on to what they start.",
}


def cli_page() -> str:
    """Return the page of commands."""
    # With the command's own settings, as it is run; only the width is ours.
    settings = {**kitsune.context_settings, "terminal_width": WIDTH}
    top = click.Context(kitsune, info_name="kitsune", **settings)
    parts = ["# Commands", MADE_BY, _block(kitsune.get_help(top))]
    for name in COMMANDS:
        command = kitsune.get_command(top, name)
        if command is None:
            raise LookupError(name)
        context = click.Context(command, info_name=name, parent=top, **command.context_settings)
        parts += [f"## kitsune {name}", _block(command.get_help(context))]
        for inner, part in getattr(command, "commands", {}).items():
            below = click.Context(part, info_name=inner, parent=context, **part.context_settings)
            parts += [f"### kitsune {name} {inner}", _block(part.get_help(below))]
    rows = ((f"`{code.value}`", meaning) for code, meaning in MEANINGS.items())
    parts += [
        "## Exit codes",
        "Where several apply, the worst wins: 6, 5, 3, 7, 4, 0.",
        _table(("code", "meaning"), rows),
    ]
    return _page(parts)


def events_page() -> str:
    """Return the page of the events of `-o jsonl`."""
    parts = ["# Events", MADE_BY, EVENTS_INTRO, _table(("key", "meaning"), _code(COMMON))]
    for name, (meaning, keys) in EVENTS.items():
        parts += [f"## {name}", meaning, _table(("key", "meaning"), _code(keys))]
    return _page(parts)


def _code(keys: Mapping[str, str]) -> Iterable[tuple[str, ...]]:
    return [(f"`{key}`", meaning) for key, meaning in keys.items()]


def handlers_page() -> str:
    """Return the page of step types that come with Kitsune."""
    parts = [
        "# Step types",
        MADE_BY,
        HANDLERS_INTRO,
    ]
    for handler in _own_handlers():
        parts += _handler(handler)
    return _page(parts)


def _own_handlers() -> HandlerRegistry:
    """Return the handlers that come with Kitsune, whatever plugins are installed here."""
    points = entry_points(group=names.HANDLER_GROUP)
    return registry_of(point for point in points if point.value.startswith("kitsune.handlers."))


def _handler(handler: StepHandler[Any]) -> Iterable[str]:
    yield f"## {handler.type}"
    yield inspect.cleandoc(handler.params_model.__dict__.get("__doc__") or "")
    again = "may run again after an unknown outcome (3 executions by default)"
    once = "never runs again by itself after an unknown outcome (1 execution by default)"
    depends = type(handler).reversible_with is not StepHandler.reversible_with
    undo = "depends on the params" if depends else REVERSIBLE[handler.reversible]
    yield (
        f"- It {again if handler.idempotent else once}.\n- Rollback: {undo}.\n"
        f"- `kitsune diff`: {CHECKABLE[handler.checkable]}."
    )
    yield _table(("param", "type", "default", "meaning"), _params(handler.params_model))


def _params(model: type[BaseModel]) -> Iterable[tuple[str, ...]]:
    schema = model.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    for name, field in model.model_fields.items():
        key = field.alias or name
        shape = schema["properties"].get(key, {})
        default = (
            "**required**"
            if key in required
            else _default(field.get_default(call_default_factory=True))
        )
        secret = isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get(
            "sensitive"
        )
        meaning = f"{field.description or ''}{' *Sensitive: never logged.*' if secret and 'logged' not in (field.description or '') else ''}"
        yield f"`{key}`", _shape(shape), default, meaning


def _default(value: Any) -> str:
    if value is None or value in ([], {}):
        return ""
    if hasattr(value, "total_seconds"):
        return f"`{value.total_seconds():g}s`"
    return f"`{json.dumps(value)}`"


def _shape(shape: Mapping[str, Any]) -> str:
    if "anyOf" in shape:
        if "500ms" in str(shape.get("description", "")) or "(ns|us" in str(shape):
            return "duration"
        return " or ".join(_shape(each) for each in shape["anyOf"] if each.get("type") != "null")
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_shape(shape.get('items', {}))}"
    if shape.get("type") == "object":
        return "mapping"
    return {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
    }.get(str(shape.get("type")), "anything")


def settings_page() -> str:
    """Return the page of environment variables and fixed limits."""
    return _page(
        [
            "# Settings",
            MADE_BY,
            SETTINGS_INTRO,
            "## Environment of our processes",
            _table(("variable", "meaning"), _environment(ENVIRONMENT)),
            TEMPORAL_SETTINGS,
            "`NO_COLOR` switches colours off.",
            "## Dashboard",
            "Of `kitsune dashboard`; options win over variables, and those over the file of `--config`, which is TOML.",
            _table(("setting", "variable", "default", "meaning"), _dashboard_settings()),
            "## Environment of scripts",
            _table(("variable", "meaning"), _environment(SCRIPT_ENVIRONMENT)),
            "## Limits",
            "A plan that is too large is refused with the figure and the limit, before any server is touched.",
            _table(("limit", "value", "why"), [*_constants(limits), *_constants(requests)]),
        ]
    )


def _environment(meanings: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    known = {name for name in vars(names) if name.startswith("ENV_")}
    if known != {*ENVIRONMENT, *SCRIPT_ENVIRONMENT}:
        raise LookupError(
            f"explain in docs/generate.py: {sorted(known ^ {*ENVIRONMENT, *SCRIPT_ENVIRONMENT})}"
        )
    return ((f"`{getattr(names, name)}`", meaning) for name, meaning in meanings.items())


def _dashboard_settings() -> Iterable[tuple[str, ...]]:
    for name, field in DashboardSettings.model_fields.items():
        variable = f"`{names.ENV_DASHBOARD_PREFIX}{name.upper()}`"
        default = field.get_default()
        shown = "" if default in (None, ()) else f"`{default}`"
        yield f"`{name}`", variable, shown, str(field.description)


def _constants(module: ModuleType) -> Iterable[tuple[str, str, str]]:
    """Yield the documented numbers of a module: `#: why` lines, then `NAME = number`."""
    found = re.findall(r"((?:^#: .*\n)+)^([A-Z_]+)\b.*?= ", inspect.getsource(module), re.MULTILINE)
    for comment, name in found:
        value = getattr(module, name)
        if isinstance(value, int | float):
            why = " ".join(line.removeprefix("#: ") for line in comment.splitlines())
            yield f"`{name}`", f"{value:,}", why


METRICS_INTRO = """\
Workers serve these to Prometheus where they are started with `--metrics-address` (or `KITSUNE_METRICS_ADDRESS`), under `/metrics`.
Beside them stand the figures of [Temporal's SDK](https://docs.temporal.io/references/sdk-metrics), as `temporal_*`.
How to use them: [operations](../operations.md#figures-for-prometheus).

No label names a server, a rollout or a step: Prometheus's own `instance` says which server a local worker is on.
What a rollout counts also carries the SDK's `namespace`, `task_queue` and `workflow_type`, which are the same on every series."""


def metrics_page() -> str:
    """Return the page of figures for Prometheus."""
    parts = ["# Metrics", MADE_BY, METRICS_INTRO]
    for where in dict.fromkeys(metric.where for metric in metrics.METRICS):
        rows = (_metric(metric) for metric in metrics.METRICS if metric.where == where)
        parts += [
            f"## {where.capitalize()}",
            _table(("metric", "kind", "labels", "meaning"), rows),
        ]
    return _page(parts)


def _metric(metric: metrics.Metric) -> tuple[str, str, str, str]:
    labels = [
        f"`{label}`" + (f": {', '.join(f'`{value}`' for value in values)}" if values else "")
        for label, values in metric.labels.items()
    ]
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
    text = metric.text + (buckets if metric.buckets else "")
    return f"`{metric.name}`", metric.kind, "; ".join(labels), text


def schema_page() -> str:
    """Return the JSON Schema of plans, as `kitsune schema` prints it without plugins."""
    from kitsune.planfile.schema import plan_schema  # noqa: PLC0415 - named where it is used

    return json.dumps(plan_schema(_own_handlers()), indent=2) + "\n"


def openapi_page() -> str:
    """Return the description of the dashboard's API."""
    from kitsune.dashboard.api.openapi import openapi_document  # noqa: PLC0415 - needs the extra

    return json.dumps(openapi_document(), indent=2) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "events.md": events_page,
    "handlers.md": handlers_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "plan-schema.json": schema_page,
    "openapi.json": openapi_page,
}


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` only say which of them are out of date; return the exit code."""
    check = arguments == ["--check"]
    if arguments and not check:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    REFERENCE.mkdir(exist_ok=True)
    made = {name: make() for name, make in PAGES.items()}
    stale = sorted(name for name, text in made.items() if _current(REFERENCE / name) != text)
    strangers = sorted(path.name for path in REFERENCE.iterdir() if path.name not in PAGES)
    if check and (stale or strangers):
        sys.stderr.write(
            f"docs/reference is out of date ({', '.join(stale + strangers)}): run `make docs`\n"
        )
        return 1
    if not check:
        for name in stale:
            (REFERENCE / name).write_text(made[name])
        for name in strangers:
            (REFERENCE / name).unlink()
    return 0


def _current(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
