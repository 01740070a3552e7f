"""Keys of the live view do what they say, never more, and an abort asks first."""

import pytest

from kitsune.cli.controls import KEYS, Ui, Wish, hints, keys_of, press
from kitsune.models.orders import Gate
from kitsune.models.progress import Phase


@pytest.fixture
def running(progress_of):
    return progress_of({"a": "running"})


@pytest.fixture
def gated(progress_of, noon):
    return progress_of({"a": "running"}, gate=Gate(id="canary", opened_at=noon))


def test_keys_order_what_makes_sense_and_say_why_not(running, gated, progress_of):
    paused = progress_of({"a": "running"}, paused=True)
    assert press("p", Ui(), running) == (Ui(), Wish.PAUSE)
    assert press("p", Ui(), paused) == (Ui(message="it is paused already: r resumes"), None)
    assert press("r", Ui(), paused) == (Ui(), Wish.RESUME)
    assert press("r", Ui(), running) == (Ui(message="it is not paused"), None)
    assert press("a", Ui(), gated) == (Ui(), Wish.APPROVE)
    assert press("a", Ui(), running) == (Ui(message="no gate waits for approval"), None)


@pytest.mark.parametrize(("answer", "wish"), [("y", Wish.ABORT), ("u", Wish.ABORT_AND_UNDO)])
def test_an_abort_asks_once(running, answer, wish):
    asking, nothing = press("A", Ui(), running)
    assert (asking.asking, nothing) == (True, None)
    assert press(answer, asking, running) == (Ui(), wish)


@pytest.mark.parametrize("answer", ["n", "A", "q", " ", "\x1b", "p"])
def test_any_other_answer_aborts_nothing(running, answer):
    assert press(answer, Ui(asking=True), running) == (Ui(message="not aborted"), None)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("p", ["p"]),
        ("\x1b", ["\x1b"]),
        ("\x1b[A", []),
        ("\x1b[1;5Dp", ["p"]),
        ("\x1bOP", []),
        ("lr", ["l", "r"]),
        ("\x1b[200~Ay\x1b[201~", []),
        ("a whole sentence", []),
        ("", []),
    ],
)
def test_arrow_keys_and_what_is_pasted_do_nothing(typed, keys):
    assert keys_of(typed) == keys


def test_views_are_turned_on_and_off(running):
    failed, _ = press("f", Ui(), running)
    assert failed == Ui(failed_only=True)
    logs, _ = press("l", failed, running)
    assert logs == Ui(logs=True)
    assert press("l", logs, running)[0] == Ui()
    helped, _ = press("?", Ui(), running)
    assert helped.help
    for key in "?\x1b ":
        assert press(key, helped, running) == (Ui(), None)
    assert press("q", helped, running) == (Ui(), Wish.DETACH)


def test_before_anything_is_known_and_after_the_end_nothing_is_ordered(progress_of):
    done = progress_of({"a": "succeeded"}, phase=Phase.DONE)
    for progress, keys in ((None, "pra"), (done, "praA")):
        for key in keys:
            ui, wish = press(key, Ui(), progress)
            assert (ui.asking, wish) == (False, None)
    assert press("A", Ui(), None)[0].asking, "the order is on record for whoever comes"
    assert press("q", Ui(), None)[1] is Wish.DETACH


def test_other_keys_point_to_the_help(running):
    assert press("x", Ui(), running)[0].message == "? shows the keys"


def test_the_hints_name_what_makes_sense_and_fit(running, gated):
    assert hints(gated, Ui(), width=80).startswith("a approve  p pause  f failed  l logs")
    assert "a approve" not in hints(running, Ui(), width=80)
    for width in range(20, 100):
        line = hints(gated, Ui(), width=width)
        assert len(line) <= width
        assert line.endswith("q detach  ? help")


def test_the_help_explains_every_key():
    assert set(KEYS) == set("praAlfq?")
