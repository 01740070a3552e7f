import re
from pathlib import Path

import kitsune.dashboard
from kitsune.dashboard.views.looks import (
    LOOKS,
    STRANGE,
    in_order,
    look_of,
    rollout_sign,
    shown_state,
)
from kitsune.models.progress import Phase, ServerProgress
from kitsune.models.results import RolloutStatus, ServerStatus

STYLES = (Path(kitsune.dashboard.__file__).parent / "static" / "kitsune.css").read_text()


def test_every_state_has_a_letter_a_word_and_a_sign_of_its_own():
    for part in ("code", "word", "glyph"):
        values = [getattr(look, part) for look in LOOKS.values()]
        assert len(set(values)) == len(values)


def test_the_style_sheet_draws_the_same_signs_with_the_same_words():
    drawn = {
        code: (mark, word)
        for code, mark, word in re.findall(
            r'^\.(\w) \{ --cell-mark: "(.)" / "([^"]+)"; \}', STYLES, re.MULTILINE
        )
    }
    expected = {look.code: (look.glyph, look.word) for look in LOOKS.values()}
    assert drawn == expected | {STRANGE.code: (STRANGE.glyph, "not known")}


def test_every_cell_has_a_colour():
    rules = re.findall(r"^((?:\.\w(?:, )?)+) \{ --cell-fill", STYLES, re.MULTILINE)
    coloured = {code for rule in rules for code in re.findall(r"\.(\w)", rule)}
    assert coloured == {look.code for look in LOOKS.values()} | {STRANGE.code}


def test_every_end_of_a_server_and_every_state_of_a_rollout_is_known():
    assert {status.value for status in ServerStatus} <= LOOKS.keys()
    for state in (*Phase, *RolloutStatus):
        assert rollout_sign(state.value).glyph != STRANGE.glyph


def test_a_state_of_a_newer_version_is_shown_by_its_name():
    assert look_of("quarantined").word == "quarantined"
    assert look_of("quarantined").code == STRANGE.code


def test_what_became_of_a_rollback_says_more_than_the_end():
    def server(**fields):
        return ServerProgress(server_id="a", **fields)

    assert shown_state(server(state="failed", rollback_failed=True)) == "rollbackFailed"
    assert shown_state(server(state="succeeded", rolled_back=True)) == "rolledBack"
    assert shown_state(server(state="failed", rolled_back=True)) == "failed"
    assert shown_state(server(state="succeeded", rollback_pending=True)) == "rollbackPending"


def test_states_are_listed_with_what_went_wrong_first():
    counts = {"succeeded": 3, "odd": 1, "failed": 1, "pending": 0}
    assert in_order(counts) == [("failed", 1), ("succeeded", 3), ("odd", 1)]


def test_what_waits_for_a_person_is_said_first():
    assert rollout_sign("running", gate=True).word == "waits for approval"
    assert rollout_sign("running", paused=True, gate=True).word == "paused"
