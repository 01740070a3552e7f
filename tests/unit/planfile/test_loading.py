import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitsune.errors import PlanRefused, PlanUnreadable
from kitsune.handlers.registry import load_handlers
from kitsune.planfile.loading import load_and_check, parse_servers_option, preview_of

REGISTRY = load_handlers()
PLANS = Path(__file__).parents[2] / "data" / "plans"
YAML = "servers: [a, b]\nsteps:\n  - {name: n, type: echo, params: {message: 1.10}}\n"


def write(tmp_path, text, name="plan.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_good_file_becomes_the_json_that_goes_to_temporal(tmp_path):
    loaded = load_and_check(write(tmp_path, YAML), REGISTRY)
    assert loaded.wire == {
        "servers": ["a", "b"],
        "steps": [{"name": "n", "type": "echo", "params": {"message": "1.10"}}],
    }
    assert loaded.plan.servers == ["a", "b"]
    json.dumps(loaded.wire)


@pytest.mark.parametrize("path", sorted(PLANS.iterdir()), ids=lambda path: path.name)
def test_the_plans_that_we_ship_for_tests_are_good(path):
    loaded = load_and_check(str(path), REGISTRY)
    assert preview_of(loaded, REGISTRY).servers == len(loaded.wire["servers"])


def test_a_bad_file_is_refused_with_everything_in_one_text(tmp_path):
    path = write(tmp_path, YAML.replace("name", "nam").replace("b]", "a]"))
    with pytest.raises(PlanRefused) as refused:
        load_and_check(path, REGISTRY)
    assert len(refused.value.problems) == 3
    lines = str(refused.value).split("\n")
    assert lines[0] == f"{path} is refused, 3 problems:"
    assert lines[1] == f"{path}:1:14: servers[1]: 'a' stands in the list already, at servers[0]"
    assert lines[2:4] == ["    servers: [a, a]", "                 ^"]


def test_a_key_that_is_written_twice_refuses_a_plan_that_is_good_otherwise(tmp_path):
    with pytest.raises(PlanRefused, match=r"1 problem:\n.*written twice"):
        load_and_check(write(tmp_path, YAML + "servers: [c]\n"), REGISTRY)


def test_servers_of_the_command_line_take_the_place_of_the_plans(tmp_path):
    path = write(tmp_path, YAML.replace("[a, b]", "5"))
    assert load_and_check(path, REGISTRY, servers=["c"]).wire["servers"] == ["c"]
    no_servers = write(tmp_path, YAML.replace("servers: [a, b]\n", ""))
    assert load_and_check(no_servers, REGISTRY, servers=["c"]).plan.servers == ["c"]


@pytest.mark.parametrize(
    ("servers", "text"),
    [
        ([], "--servers: servers: a plan needs at least one server"),
        (["a", "a"], "--servers: servers[1]: 'a' stands in the list already, at servers[0]"),
    ],
)
def test_bad_servers_of_the_command_line_are_not_blamed_on_the_file(tmp_path, servers, text):
    with pytest.raises(PlanRefused) as refused:
        load_and_check(write(tmp_path, YAML), REGISTRY, servers=servers)
    assert text in str(refused.value)


def test_servers_are_named_in_the_option_or_in_a_file(tmp_path):
    assert parse_servers_option("a, b,,c") == ["a", "b", "c"]
    path = write(tmp_path, "# web\na\n\n  b  # the old one\r\nc", "servers.txt")
    assert parse_servers_option(f"@{path}") == ["a", "b", "c"]
    assert parse_servers_option("") == []


def test_a_file_of_servers_that_is_missing_is_told():
    with pytest.raises(PlanUnreadable) as told:
        parse_servers_option("@/nowhere/servers.txt")
    assert str(told.value).startswith(
        "--servers @/nowhere/servers.txt: @ reads a file with one server a line: "
        "/nowhere/servers.txt: no such file or directory"
    )
    assert "--servers web-1,web-2" in str(told.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".yaml", ".json", ""]))
def test_no_bytes_break_the_loader(tmp_path, content, suffix):
    path = tmp_path / f"plan{suffix}"
    path.write_bytes(content)
    with pytest.raises((PlanRefused, PlanUnreadable)):
        load_and_check(str(path), REGISTRY)
