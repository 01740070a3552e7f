import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import BaseModel

from kitsune.errors import HandlerUnusable, KitsuneError
from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.registry import HandlerRegistry, load_handlers, registry_of
from kitsune.names import HANDLER_GROUP


class Params(StepParams):
    pass


class One(StepHandler[Params]):
    type = "one"
    params_model = Params

    async def execute(self, *_):
        return {}


class Two(One):
    type = "two"


class Unfinished(StepHandler[Params]):
    type = "unfinished"
    params_model = Params


class Modelless(One):
    type = "modelless"
    params_model = dict


class Fragile(One):
    type = "fragile"

    def __init__(self):
        raise OSError("no such device")


class NotAHandler(BaseModel):
    pass


class FakeDistribution:
    def __init__(self, name):
        self.name = name
        self.version = "1.2"


def point(name, attribute, *, distribution="kitsune-plugin", module=__name__):
    made = EntryPoint(name=name, value=f"{module}:{attribute}", group=HANDLER_GROUP)
    vars(made).update(dist=FakeDistribution(distribution))
    return made


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Let entry points name this file, which pytest imports without putting it there."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module():
    import types

    module = types.ModuleType(__name__)
    vars(module).update(globals())
    return module


def test_handlers_are_found_by_their_entry_points():
    registry = registry_of(EntryPoints([point("two", "Two"), point("one", "One")]))
    assert registry.types == ("one", "two")
    assert [type(handler).__name__ for handler in registry] == ["One", "Two"]
    assert type(registry.get("one")).__name__ == "One"
    assert registry.get("three") is None
    assert len(registry) == 2
    assert registry.faults == {}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (point("bad", "X", module="no_such_module"), "fails to import: ModuleNotFoundError"),
        (point("bad", "NoSuchClass"), "fails to import: AttributeError"),
        (point("bad", "NotAHandler"), "is not a StepHandler class"),
        (point("bad", "pytest"), "is not a StepHandler class"),
        (point("bad", "Two"), "has type 'two': name the entry point like its type"),
        (point("unfinished", "Unfinished"), "fails to start: TypeError"),
        (point("fragile", "Fragile"), "fails to start: OSError: no such device"),
        (point("modelless", "Modelless"), "has no params_model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_plugin_is_named_and_takes_no_other_down(broken, said):
    registry = registry_of([broken, point("one", "One")])
    assert registry.types == ("one",)
    assert registry.get(broken.name) is None
    fault = registry.faults[broken.name]
    assert fault.startswith(f"the step type {broken.name!r} cannot be used: ")
    assert "kitsune-plugin 1.2" in fault
    assert said in fault
    with pytest.raises(HandlerUnusable, match="cannot be used"):
        registry.require(broken.name)


def test_of_two_plugins_of_one_type_neither_is_taken_by_chance():
    registry = registry_of(
        [
            point("one", "One", distribution="kitsune-a"),
            point("two", "Two"),
            point("one", "One", distribution="kitsune-b"),
        ]
    )
    assert registry.types == ("two",)
    assert "kitsune-a 1.2 and kitsune-b 1.2 both bring it: uninstall one" in registry.faults["one"]


def test_a_type_that_nobody_has_is_refused_with_those_that_there_are():
    with pytest.raises(KitsuneError, match=r"no handler for the step type 'x' .*known: one, two"):
        HandlerRegistry([Two(), One()]).require("x")


def test_two_handlers_of_one_type_cannot_be_given():
    with pytest.raises(HandlerUnusable, match="two handlers of the step type 'one'"):
        HandlerRegistry([One(), One()])


def test_our_own_handlers_come_by_entry_points_too():
    registry = load_handlers()
    assert {"echo", "file_write", "script", "sleep"} <= set(registry.types)
    assert registry.faults == {}


def test_loading_handlers_loads_no_temporal():
    code = (
        "import sys; from kitsune.handlers.registry import load_handlers; load_handlers();"
        "sys.exit('temporalio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
