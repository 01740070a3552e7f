"""Orders: read from forms and from the API alike, given in the name of whoever is logged in."""

import pytest

from kitsune.dashboard.actions import act
from kitsune.dashboard.roles import Role, User
from kitsune.errors import BadRequest, Conflict, NotAllowed, NotFound, ServerUnavailable

ANNA = User("anna", Role.APPROVER)


async def give(fleet, verb, form, actor=ANNA):
    await act(fleet, verb, "web-1", form, actor=actor)
    return [order.model_dump(exclude_defaults=True, by_alias=False) for _, _, order in fleet.orders]


@pytest.mark.parametrize(
    ("verb", "form", "order"),
    [
        ("pause", {}, {}),
        ("pause", {"drain": "on", "reason": ""}, {"drain": True}),
        ("pause", {"drain": "false"}, {}),
        ("resume", {"reason": "well again"}, {"reason": "well again"}),
        ("approve", {"gate": "canary"}, {"gate": "canary"}),
        ("abort", {"rollback": "true"}, {"rollback": True}),
        ("abort", {"rollback": False}, {}),
        ("skip", {"serverId": "a"}, {"server_id": "a"}),
        (
            "set",
            {"maxFailures": "2", "maxConcurrency": "3"},
            {"max_failures": 2, "max_concurrency": 3},
        ),
        ("set", {"maxFailures": "10%", "maxConcurrency": ""}, {"max_failures": "10%"}),
        ("set", {"maxFailures": -1}, {"max_failures": -1}),
    ],
)
async def test_an_order_says_what_the_form_said_and_who_gave_it(fleet, verb, form, order):
    assert await give(fleet, verb, form) == [{"actor": "anna"} | order]


async def test_nobody_gives_an_order_in_anothers_name(fleet):
    assert await give(fleet, "pause", {"actor": "boss"}) == [{"actor": "anna"}]


async def test_an_order_about_several_servers_is_given_for_each(fleet):
    found = await give(fleet, "retry", {"servers": ["a", "b"]})
    assert [order["server_id"] for order in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("verb", "form", "said"),
    [
        ("explode", {}, "pause"),
        ("__class__", {}, "not an order"),
        ("pause", {"drain": "perhaps"}, "drain"),
        ("abort", {"rollback": "maybe"}, "rollback"),
        ("set", {}, "nothing to set"),
        ("set", {"maxFailures": "many"}, "not a limit"),
        ("set", {"maxConcurrency": "0"}, "maxConcurrency"),
        ("retry", {"servers": [1]}, "not a list of names"),
    ],
)
async def test_a_form_that_makes_no_sense_is_refused_and_nothing_is_ordered(
    fleet, verb, form, said
):
    with pytest.raises(BadRequest, match=said):
        await act(fleet, verb, "web-1", form, actor=ANNA)
    assert fleet.orders == []


@pytest.mark.parametrize("verb", ["pause", "abort", "set", "skip", "approve"])
async def test_a_role_is_asked_for_where_the_order_is_given_as_well(fleet, verb):
    with pytest.raises(NotAllowed, match="needs the role"):
        await act(fleet, verb, "web-1", {}, actor=User("vera", Role.VIEWER))
    with pytest.raises(NotAllowed, match="needs the role approver"):
        await act(fleet, "approve", "web-1", {}, actor=User("otto", Role.OPERATOR))
    assert fleet.calls == []


async def test_what_goes_wrong_is_said_as_it_is(fleet, rollout):
    with pytest.raises(NotFound):
        await act(fleet, "pause", "nowhere", {}, actor=ANNA)
    rollout.end()
    with pytest.raises(Conflict, match="already ended"):
        await act(fleet, "pause", "web-1", {}, actor=ANNA)
    fleet.away = True
    with pytest.raises(ServerUnavailable):
        await act(fleet, "pause", "web-1", {}, actor=ANNA)


async def test_an_order_that_only_waits_for_a_worker_says_so(fleet):
    fleet.idle = True
    done = await act(fleet, "abort", "web-1", {}, actor=ANNA)
    assert done.accepted == "onRecord"
    assert "on record" in done.text


async def test_a_retry_of_an_ended_rollout_is_another_rollout(fleet, rollout):
    rollout.end(b="disk full")
    done = await act(fleet, "retry", "web-1", {"reason": "again"}, actor=ANNA)
    assert (done.rollout_id, done.accepted) == ("web-1-retry-1", "started")
    assert fleet.known["web-1-retry-1"].plan.servers == ["b"]
    assert fleet.started == {"web-1-retry-1": "anna"}


async def test_a_rollback_of_an_ended_rollout_is_another_rollout(fleet, rollout):
    rollout.end()
    done = await act(fleet, "rollback", "web-1", {"serverId": "b"}, actor=ANNA)
    assert done.rollout_id == "web-1-rollback-1"
    assert fleet.known["web-1-rollback-1"].plan.servers == ["b"]


async def test_where_nothing_is_left_to_retry_nothing_starts(fleet, rollout):
    rollout.end()
    with pytest.raises(Conflict, match="nothing to retry"):
        await act(fleet, "retry", "web-1", {}, actor=ANNA)
    assert fleet.started == {}


@pytest.mark.parametrize("verb", ["retry", "skip", "rollback"])
async def test_while_a_rollout_runs_these_orders_are_about_held_servers(fleet, verb):
    with pytest.raises(Conflict, match="name them"):
        await act(fleet, verb, "web-1", {}, actor=ANNA)
