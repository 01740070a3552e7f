"""Orders as they come in, by our own command line or by hand."""

import pytest

from kitsune import names
from kitsune.models.orders import ApproveOrder, PauseOrder, ServerOrder, SetOrder
from kitsune.rollout.orders import read_order


@pytest.mark.parametrize(
    ("verb", "argument", "order"),
    [
        (names.PAUSE, None, PauseOrder()),
        (names.PAUSE, "lunch", PauseOrder(reason="lunch")),
        (names.PAUSE, {"actor": "anna", "drain": True}, PauseOrder(actor="anna", drain=True)),
        (names.APPROVE, "canary", ApproveOrder(gate="canary")),
        (names.SKIP, "web-3", ServerOrder(server_id="web-3")),
        (names.RETRY, {"serverId": "web-3", "new": 1}, ServerOrder(server_id="web-3")),
        (names.SET, {"maxFailures": "10%"}, SetOrder(max_failures="10%")),
    ],
)
def test_an_order_may_be_an_object_or_a_text_or_nothing(verb, argument, order):
    assert read_order(verb, argument) == order


@pytest.mark.parametrize("argument", [7, ["x"], {"drain": "perhaps"}])
def test_a_pause_is_a_pause_however_it_is_written(argument):
    assert read_order(names.PAUSE, argument) == PauseOrder()


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        (None, "nothing to set"),
        ({"maxConcurrency": 0}, "write 1 or more"),
        ({"maxConcurrency": 10**400}, "write 1 or more"),
        ({"maxFailures": 10**400}, "not a limit"),
        ({"maxFailures": -(10**400)}, "not a limit"),
        ({"maxFailures": "many"}, "write 2,"),
        ({"maxFailures": []}, "not what set takes"),
    ],
)
def test_limits_that_make_no_sense_are_refused(argument, why):
    with pytest.raises(ValueError, match=why):
        read_order(names.SET, argument)


def test_an_endless_reason_is_cut():
    order = read_order(names.RESUME, {"reason": "x" * 10_000, "actor": "y" * 10_000})
    assert len(order.reason) <= 500
    assert len(order.actor) <= 100
