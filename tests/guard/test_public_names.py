"""What handler authors import keeps its names: their code is not ours to change."""

import importlib
import inspect

import pytest

PUBLIC = {
    "kitsune.handlers.base": {
        "CheckContext",
        "Reversible",
        "StepContext",
        "StepHandler",
        "StepParams",
        "sensitive",
        "shown_params",
    },
}

# Members that a handler may define or use.
HANDLER_MEMBERS = {
    "checkable",
    "check",
    "survives",
    "resume",
    "resume_rollback",
    "type",
    "params_model",
    "idempotent",
    "quick",
    "spools",
    "reversible",
    "execute",
    "rollback",
    "reversible_with",
}
CONTEXT_FIELDS = {
    "rollout_id",
    "server_id",
    "step_name",
    "operation_id",
    "attempt",
    "timeout",
    "spool",
    "undo",
    "log",
    "output_limit",
    "report",
    "record_process",
}


@pytest.mark.parametrize("module_name", PUBLIC)
def test_a_module_for_handler_authors_offers_what_it_offered(module_name):
    module = importlib.import_module(module_name)
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            getattr(value, "__module__", None) == module_name
            if inspect.isclass(value) or inspect.isfunction(value)
            else name == "Reversible"
        )
    }
    assert own >= PUBLIC[module_name]


def test_the_test_kit_offers_what_it_offered():
    import kitsune.testing
    from kitsune.testing import HandlerBench

    assert set(kitsune.testing.__all__) >= {"HandlerBench"}
    members = {name for name in vars(HandlerBench) if not name.startswith("_")}
    assert members >= {"execute", "rollback", "undo"}
    assert list(inspect.signature(HandlerBench).parameters)[:2] == ["handler", "state"]


def test_a_handler_has_the_members_that_it_had():
    from kitsune.handlers.base import StepHandler

    found = {
        name
        for name in {*vars(StepHandler), *StepHandler.__annotations__}
        if not name.startswith("_")
    }
    assert found == HANDLER_MEMBERS


def test_a_step_is_told_at_least_what_it_was_told():
    from kitsune.handlers.base import StepContext

    assert StepContext.__dataclass_fields__.keys() >= CONTEXT_FIELDS


def test_the_built_in_handlers_come_through_the_same_door_as_plugins():
    from importlib.metadata import entry_points

    from kitsune.names import HANDLER_GROUP

    found = {
        entry.name: entry.load().type
        for entry in entry_points(group=HANDLER_GROUP)
        if entry.value.startswith("kitsune.")
    }
    assert found == {name: name for name in ("echo", "file_write", "reboot", "script", "sleep")}
