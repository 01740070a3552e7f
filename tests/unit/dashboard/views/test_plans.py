from kitsune.dashboard.views.plans import HIDDEN, marked_lines, plan_page, plan_text
from kitsune.handlers.facts import step_facts
from kitsune.handlers.registry import load_handlers
from kitsune.handlers.validation import secret_paths
from kitsune.models.plan import plan_to_wire
from kitsune.planfile.document import parse_document
from kitsune.planfile.loading import check_document
from kitsune.planfile.source import Source
from kitsune.rollout.preview import preview_plan
from support.rollouts import make_plan

REGISTRY = load_handlers()


def _page(plan):
    return plan_page(preview_plan(plan, facts=step_facts(plan, REGISTRY)))


def test_a_plan_is_told_in_words():
    plan = make_plan(40, type="Canary", canaryPercentage=10, batchSize=12, approval="everyBatch")
    page = _page(plan)
    assert page.summary == ("Runs 1 step on 40 servers, in 4 batches (canary), at most 12 at once.")
    rules = dict(page.rules)
    assert rules["Stop"] == "Stops at the 1st failure; then servers in flight finish."
    assert rules["Gates"] == "Each waits for a person, for ever."
    assert [batch.then for batch in page.batches] == [
        "approve canary",
        "approve batch-2",
        "approve batch-3",
        "",
    ]
    assert not page.steps[0].reversible


def test_many_batches_are_shortened():
    page = _page(make_plan(100, type="Sequential"))
    assert (len(page.batches), page.more) == (12, 88)
    assert page.batches[-1].title == "100"


def test_the_text_of_a_plan_holds_no_secret():
    steps = [
        {
            "name": "work",
            "type": "script",
            "params": {"command": "deploy", "env": {"TOKEN": "hunter2"}, "stdin": "swordfish"},
        }
    ]
    wire = plan_to_wire(make_plan(2, steps=steps))
    secrets = secret_paths(wire, REGISTRY)
    text = plan_text(wire, secrets=secrets)
    assert secrets
    assert "deploy" in text
    assert "hunter2" not in text
    assert HIDDEN in text


def test_the_text_of_a_plan_names_the_first_servers():
    text = plan_text(plan_to_wire(make_plan(10_000)), secrets=())
    assert '"... 9,980 more"' in text
    assert len(text) < 3000


def _marked(text):
    document = parse_document(Source("plan.yaml", text))
    _, located = check_document(document, REGISTRY)
    return located, marked_lines(document, located)


def test_lines_with_problems_are_marked_with_column_and_message():
    _, lines = _marked("name: a\nservers: [a]\nsteps:\n- name: x\n  type: ecko\n")
    (marked,) = [line for line in lines if line.problems]
    assert (marked.number, marked.text) == (5, "  type: ecko")
    assert marked.problems == (
        (9, "steps[0].type: unknown step type 'ecko' (did you mean 'echo'?)"),
    )


def test_a_line_that_holds_a_secret_is_not_repeated():
    located, lines = _marked(
        "name: a\nservers: [a]\nsteps:\n- name: x\n  type: script\n  params: {command: a, env: {T: [hunter2]}}\n"
    )
    assert located
    assert not any("hunter2" in line.text for line in lines if line.problems)
