"""Figures have exactly the labels that they are declared with."""

import pytest

from kitsune import metrics
from kitsune.measures import Measures


def test_a_label_that_is_not_declared_is_refused():
    with pytest.raises(ValueError, match="kitsune_undos_total has the labels"):
        Measures().count(metrics.UNDOS, server="web-1")


def test_names_say_unit_and_kind():
    assert metrics.STEP_DURATION.name == "kitsune_step_duration_seconds"
    assert metrics.STEPS.name == "kitsune_steps_total"
    assert metrics.DISK_FREE.name == "kitsune_state_disk_free_bytes"


def test_no_label_grows_with_the_fleet():
    labels = {label for metric in metrics.METRICS for label in metric.labels}
    assert labels.isdisjoint({"server", "server_id", "rollout", "rollout_id", "step", "host"})


def test_the_words_of_labels_are_those_of_the_results():
    from kitsune.models.results import RolloutStatus, ServerStatus

    assert set(metrics.SERVERS_ENDED.labels["status"]) == {word.value for word in ServerStatus}
    assert set(metrics.ROLLOUTS_ENDED.labels["status"]) == {
        *(word.value for word in RolloutStatus),
        "refused",
    }
