"""A plan's rules in words, for its page and for the preview before it runs."""

from datetime import timedelta

from kitsune.models.durations import format_duration
from kitsune.rollout.preview import BatchPreview, Preview, StepPreview, absence_rule

_ROLLBACK = {
    "none": "Nothing is undone.",
    "server": "A server that fails undoes its own steps.",
    "fleet": "When the rollout stops, servers that had succeeded are undone as well.",
}
_ON_STOP = {"drain": "servers in flight finish", "cancel": "servers in flight are cancelled"}
_UNDO = {
    "full": "can be undone",
    "partial": "as far as its rollback goes",
    "none": "cannot be undone",
    None: "only the servers know",
}


def summary_of(preview: Preview) -> str:
    """Return what a plan would do in one sentence."""
    steps, servers = len(preview.steps), preview.servers
    batches = len(preview.batches)
    how = "all at once" if batches == 1 else f"in {batches:,} batches ({preview.strategy.lower()})"
    return (
        f"Runs {steps} step{'' if steps == 1 else 's'} on {servers:,} server{'' if servers == 1 else 's'}, "
        f"{how}, at most {preview.at_once} at once."
    )


def rules_of(preview: Preview) -> list[tuple[str, str]]:
    """Return the rules of a plan: name and sentence."""
    rules = [
        (
            "Stop",
            f"{_capital(preview.limit_text)}; then {_ON_STOP.get(preview.on_stop, preview.on_stop)}.",
        )
    ]
    if any(batch.canary for batch in preview.batches):
        rules.append(("Canary", "One failure there stops the rollout, whatever maxFailures says."))
    if any(batch.gate for batch in preview.batches):
        timeout = preview.approval_timeout
        end = f"for {format_duration(timeout)}, then the rollout stops" if timeout else "for ever"
        rules.append(("Gates", f"Each waits for a person, {end}."))
    if preview.deadline is not None:
        rules.append(
            (
                "Deadline",
                f"It stops after {format_duration(preview.deadline)}; pauses do not count.",
            )
        )
    if preview.progress_deadline is not None:
        long = format_duration(preview.progress_deadline)
        rules.append(("Progress", f"It stops when no server ends for {long}."))
    if preview.on_failure == "ask":
        rules.append(
            ("Failures", "A server that fails is held until a person says what becomes of it.")
        )
    rules.append(("Away", f"{_capital(absence_rule(preview))}."))
    undo = (
        f"This undoes {preview.rollback_of}, newest servers first."
        if preview.rollback_of
        else _ROLLBACK.get(preview.rollback, preview.rollback)
    )
    rules.append(("Undo", undo))
    return rules


def then_of(batch: BatchPreview) -> str:
    """Return what comes between a batch and the next one."""
    wait = format_duration(timedelta(seconds=batch.wait_after_seconds))
    parts = [f"wait {wait}"] if batch.wait_after_seconds else []
    parts += [f"approve {batch.gate}"] if batch.gate else []
    return ", ".join(parts)


def undo_of(step: StepPreview) -> str:
    """Return how much of a step can be undone."""
    note = f": {step.undo_note}" if step.undo_note else ""
    return f"{_UNDO.get(step.undo, step.undo)}{note}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
