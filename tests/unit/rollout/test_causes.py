"""Failures are grouped by what went wrong, not by the words that differ between servers."""

from kitsune.rollout.causes import group_by_cause, normalise


def test_errors_that_differ_in_numbers_paths_and_names_are_one_cause():
    causes = group_by_cause(
        [
            ("web-1", "step 'copy': cannot write /etc/web-1/a.conf: 12 bytes free on web-1"),
            ("web-2", "step 'copy': cannot write /srv/b.conf: 4096 bytes free on web-2"),
        ]
    )
    assert [cause.servers for cause in causes] == [("web-1", "web-2")]
    assert "12 bytes" in causes[0].text


def test_different_errors_stay_apart_and_the_most_frequent_comes_first():
    causes = group_by_cause(
        [("a", "timed out"), ("b", "exit code 1"), ("c", "exit code 2"), ("d", "not executable")]
    )
    assert [cause.servers for cause in causes] == [("b", "c"), ("a",), ("d",)]


def test_ids_are_no_part_of_a_cause():
    one = normalise("lost 123e4567-e89b-12d3-a456-426614174000 at 0xdeadbeef in 9f86d081884c7d65")
    other = normalise("lost 00000000-0000-0000-0000-000000000001 at 0x1 in 60303ae22b998861")
    assert one == other


def test_words_made_of_hex_letters_stay():
    assert normalise("added a decade of facade") == "added a decade of facade"


def test_a_server_id_that_is_a_plain_word_does_not_hide_a_cause():
    assert normalise("web is down", server_id="web") == "<server> is down"
