from kitsune.handlers.base import StepHandler, StepParams
from kitsune.handlers.facts import handler_warnings, step_facts
from kitsune.handlers.registry import HandlerRegistry, load_handlers
from kitsune.models.plan import Plan


class BrewParams(StepParams):
    rollback_drink: str | None = None
    rollback_args: list[str] | None = None


class BrewHandler(StepHandler[BrewParams]):
    type = "brew"
    params_model = BrewParams
    reversible = "partial"

    async def execute(self, *_):
        return {}

    def reversible_with(self, params):
        return "partial" if params.rollback_drink else "none"


class LookHandler(StepHandler[StepParams]):
    type = "look"
    params_model = StepParams
    idempotent = True
    reversible = "full"

    async def execute(self, *_):
        return {}


REGISTRY = HandlerRegistry([BrewHandler(), LookHandler()])


def plan(*steps, **written):
    named = [{"name": f"n{index}", **step} for index, step in enumerate(steps)]
    return Plan.model_validate({"servers": ["a"], "steps": named, **written})


def test_executions_depend_on_whether_a_handler_may_run_again():
    facts = step_facts(plan({"type": "brew"}, {"type": "look"}, {"type": "other"}), REGISTRY)
    assert [fact and fact.executions for fact in facts] == [1, 3, None]


def test_whether_a_step_can_be_undone_depends_on_its_own_params():
    facts = step_facts(
        plan({"type": "brew", "params": {"rollbackDrink": "tea"}}, {"type": "brew"}), REGISTRY
    )
    assert [fact.undo for fact in facts] == ["partial", "none"]
    assert facts[1].undo_note == "brew without rollbackDrink"


def test_many_steps_that_cannot_be_undone_make_one_warning():
    chosen = plan(*[{"type": "brew"}] * 5)
    assert handler_warnings(chosen, REGISTRY) == [
        (
            "cannot be undone: 'n0' (brew without rollbackDrink), 'n1' (brew without rollbackDrink), "
            "'n2' (brew without rollbackDrink) and 2 more"
        )
    ]


def test_how_to_silence_it_is_said_once_and_only_where_it_works():
    registry = load_handlers()
    script = {"type": "script", "params": {"command": "reload"}}
    quiet = {"type": "script", "params": {"command": "reload", "rollbackCommand": "true"}}
    advice = '; where there is nothing to undo, rollbackCommand: "true" says so'
    (warning,) = handler_warnings(plan(script, script, {"type": "reboot"}), registry)
    assert warning.count("says so") == 1
    assert warning.endswith(advice)
    assert handler_warnings(plan(quiet), registry) == []
    assert handler_warnings(plan({"type": "reboot"}), registry) == [
        "cannot be undone: 'n0' (reboot)"
    ]
