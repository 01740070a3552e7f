import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from kitsune.models.plan import Plan, check_server_id, plan_to_wire
from kitsune.names import ORCHESTRATOR_QUEUE

PLAN = {"servers": ["a"], "steps": [{"name": "s", "type": "echo"}]}


@pytest.mark.parametrize("server_id", ["server-1", "a", "A.b_c-9", "x" * 200, "..a"])
def test_a_server_id_names_a_queue_and_a_folder(server_id):
    assert check_server_id(server_id) == server_id


@pytest.mark.parametrize(
    "server_id", ["", ".", "..", "a b", "a/b", "ü", "x" * 201, "a\n", "-\x00", "٣"]
)
def test_other_server_ids_are_refused_with_what_would_work(server_id):
    with pytest.raises(ValueError, match="write 1 to 200 letters, digits"):
        check_server_id(server_id)


def test_the_orchestrators_queue_is_no_server():
    with pytest.raises(ValueError, match="the orchestrator's own task queue"):
        check_server_id(ORCHESTRATOR_QUEUE)


def test_the_defaults_are_those_that_a_careful_operator_expects():
    plan = Plan.model_validate(PLAN)
    assert plan.name == "rollout"
    assert plan.rollout_strategy.type == "Parallel"
    assert plan.rollout_strategy.max_failures == 0
    assert plan.rollback.scope == "server"
    assert plan.step_timeout == timedelta(minutes=5)
    assert plan.unreachable.policy == "fail"
    assert plan.busy.timeout == timedelta(minutes=30)
    assert plan.steps[0].stops_server


@pytest.mark.parametrize(
    ("required", "continue_on_failure", "stops"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_a_failed_step_stops_its_server_by_the_table(required, continue_on_failure, stops):
    flags = {"required": required, "continueOnFailure": continue_on_failure}
    plan = Plan.model_validate({**PLAN, "steps": [{"name": "s", "type": "echo", **flags}]})
    assert plan.steps[0].stops_server is stops


def test_only_what_was_written_goes_over_the_wire():
    assert plan_to_wire(Plan.model_validate(PLAN)) == PLAN


def test_the_wire_form_means_the_same_plan():
    plan = Plan.model_validate(
        {**PLAN, "stepTimeout": "1h30m", "rolloutStrategy": {"type": "Rolling", "batchSize": "25%"}}
    )
    wire = plan_to_wire(plan)
    assert wire["stepTimeout"] == 5400
    assert Plan.model_validate(json.loads(json.dumps(wire))) == plan


def test_a_timeout_of_nothing_is_refused():
    with pytest.raises(ValidationError, match="must be longer than 0s"):
        Plan.model_validate({**PLAN, "stepTimeout": 0})


def test_a_heartbeat_that_no_agent_can_keep_is_refused():
    with pytest.raises(ValidationError, match="2s is too short for a heartbeat"):
        Plan.model_validate({**PLAN, "heartbeatTimeout": 2})


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[2J", "\u202ea"])
def test_a_name_is_one_line_that_can_be_printed(name):
    with pytest.raises(ValidationError, match="one line of printable text"):
        Plan.model_validate({**PLAN, "name": name})
