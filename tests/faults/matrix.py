"""The fault matrix: each row, and the tests that show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        tier: `P` runs with every push, `L` in the long run.
        why: Why no test is named.
    """

    id: str
    fault: str
    tests: tuple[str, ...] = ()
    tier: str = "P"
    why: str = ""


_COORDINATORS = "tests/faults/test_coordinators.py::test_"
_DEATHS = "tests/faults/test_agent_deaths.py::test_"
_PARTITIONS = "tests/faults/test_partitions.py::test_"
_SERVERS = "tests/faults/test_servers.py::test_"
_CONTROL = "tests/faults/test_control_under_faults.py::test_"
_OPERATORS = "tests/faults/test_operators.py::test_"
_SIZES = "tests/server/test_sizes.py::test_"
_DOCTOR = "tests/server/test_doctor.py::test_"
_FILES = "tests/unit/handlers/test_file_write.py::test_"
_RUNNER = "tests/unit/agent/test_operations.py::test_"
_DURABLE = "tests/unit/agent/test_durability.py::test_"
_BAD_PLANS = "tests/unit/planfile/test_bad_plans.py::test_"
_RANDOM = "tests/faults/test_random_faults.py::test_random_faults_break_no_invariant"

MATRIX = [
    Row(
        "R1",
        "the orchestrator is killed in the middle",
        (f"{_COORDINATORS}a_killed_orchestrator_costs_seconds_and_nothing_else",),
    ),
    Row("R2", "the orchestrator is killed again and again", (_RANDOM,), tier="L"),
    Row(
        "A1",
        "an agent is killed during a script and comes back",
        (f"{_DEATHS}a_script_goes_on_without_its_agent_and_is_found_again",),
    ),
    Row(
        "A2",
        "an agent is killed and comes back after the script has ended",
        (f"{_DEATHS}what_ended_while_the_agent_was_dead_is_told_by_the_next_one",),
    ),
    Row(
        "A3",
        "agent and script are killed",
        (f"{_DEATHS}agent_and_script_killed_is_an_interruption",),
    ),
    Row(
        "A4",
        "an agent stays dead, and comes back after the end",
        (f"{_DEATHS}a_script_of_a_rollout_that_is_closed_is_ended_by_the_next_agent",),
    ),
    Row(
        "A5",
        "the host restarts during a script",
        (
            f"{_DEATHS}a_host_that_restarts_in_the_middle_is_named_as_the_cause",
            f"{_DEATHS}a_script_that_asks_for_a_reboot_runs_again_after_it",
        ),
    ),
    Row(
        "A6",
        "an agent is restarted or upgraded during a script",
        (f"{_DEATHS}an_agent_that_is_upgraded_in_the_middle_lets_the_script_go_on",),
    ),
    Row(
        "T1",
        "Temporal is killed and comes back",
        (f"{_COORDINATORS}a_killed_temporal_comes_back_and_everything_goes_on",),
    ),
    Row(
        "T2",
        "Temporal is away for 30 s while a step ends",
        (f"{_COORDINATORS}a_step_that_ends_while_temporal_is_away_is_not_run_again",),
    ),
    Row(
        "T3",
        "Temporal is down when a rollout is started",
        (f"{_COORDINATORS}without_temporal_a_run_says_so_and_creates_nothing",),
    ),
    Row("N1", "a short partition", (f"{_PARTITIONS}a_short_partition_is_invisible",)),
    Row(
        "N2",
        "a partition longer than the heartbeat timeout",
        (f"{_PARTITIONS}a_long_partition_kills_no_script",),
    ),
    Row(
        "N3",
        "a script ends behind a partition",
        (f"{_PARTITIONS}a_script_that_ends_behind_a_partition_is_told_after_it",),
    ),
    Row(
        "N4",
        "a partition that does not end",
        (
            "tests/server/test_reachability.py::test_a_server_that_goes_away_in_the_middle_ends_as_unknown",
        ),
    ),
    Row(
        "N7",
        "nobody of a batch answers",
        (
            f"{_PARTITIONS}a_batch_of_which_nobody_answers_halts_the_rollout",
            "tests/server/test_reachability.py::test_a_batch_in_which_nobody_answers_stops_the_rollout",
        ),
    ),
    Row(
        "S1",
        "a slow script says nothing",
        (f"{_SERVERS}a_silent_script_outlives_its_heartbeat_timeout",),
    ),
    Row(
        "S2",
        "a script exceeds its timeout",
        (f"{_SERVERS}a_timeout_ends_the_whole_tree_however_stubborn",),
    ),
    Row(
        "S3",
        "a script traps TERM, forks away and closes its streams",
        (
            f"{_SERVERS}a_timeout_ends_the_whole_tree_however_stubborn",
            f"{_SERVERS}an_abort_ends_the_whole_tree_and_starts_nothing_more",
        ),
    ),
    Row(
        "S5",
        "a script asks for input or a terminal",
        (f"{_SERVERS}a_script_that_asks_meets_an_end_of_input",),
    ),
    Row(
        "S6",
        "a process that cannot be killed",
        (
            f"{_SERVERS}what_cannot_be_killed_is_told_and_nothing_is_begun_beside_it",
            f"{_RUNNER}what_could_not_be_ended_is_never_told_as_cancelled",
            f"{_RUNNER}nothing_begins_on_a_server_while_something_cannot_be_ended",
        ),
    ),
    Row(
        "F1",
        "the disk is full when a file is written",
        (
            f"{_SERVERS}a_file_that_does_not_fit_leaves_the_old_one_and_the_rest_is_undone",
            f"{_FILES}without_room_for_the_undo_record_nothing_is_changed",
        ),
    ),
    Row(
        "F2",
        "the disk of the journal is full",
        (f"{_SERVERS}an_agent_that_cannot_record_does_nothing_and_still_answers",),
    ),
    Row(
        "F3",
        "paths that cannot be written",
        (
            f"{_FILES}a_read_only_file_system_is_named",
            f"{_FILES}no_permission_is_named",
            f"{_FILES}a_missing_folder_is_named_with_what_would_work",
            f"{_FILES}too_long_a_name_is_named",
            f"{_FILES}links_in_a_circle_are_named_so",
            f"{_FILES}a_file_that_is_a_mount_point_is_named",
        ),
    ),
    Row(
        "F4",
        "targets that are no plain files",
        (
            f"{_FILES}a_symbolic_link_is_refused",
            f"{_FILES}other_names_of_the_file_keep_the_old_content_and_a_warning_says_so",
            f"{_FILES}what_is_no_regular_file_is_refused_at_once",
            f"{_FILES}a_device_is_refused_and_not_even_opened",
        ),
    ),
    Row(
        "F5",
        "a kill at every fail point of the agent",
        (
            "tests/faults/test_fail_points.py::test_a_kill_at_any_fail_point_leaves_a_world_that_is_right",
            f"{_FILES}a_killed_agent_leaves_a_whole_file_and_its_step_can_run_again",
        ),
    ),
    Row(
        "F6",
        "the power fails",
        (
            f"{_DEATHS}what_is_on_record_outlives_a_power_cut",
            f"{_DURABLE}what_was_is_kept_for_good_before_anything_takes_its_place",
            f"{_DURABLE}a_restart_is_on_disk_with_the_way_to_it_before_the_host_is_asked",
        ),
    ),
    Row("C1", "an agent's clock is ten days off", (f"{_SERVERS}a_wrong_clock_changes_nothing",)),
    Row(
        "C2",
        "the orchestrator's clock is wrong",
        (
            f"{_SERVERS}an_orchestrator_whose_clock_is_wrong_keeps_the_order",
            "tests/guard/test_source_rules.py::test_the_layers_of_the_architecture_hold",
        ),
    ),
    Row(
        "D1",
        "one activity is delivered twice",
        (
            f"{_RUNNER}two_deliveries_at_once_meet_in_one_execution",
            f"{_RUNNER}a_second_delivery_gets_the_recorded_result_and_runs_nothing",
            f"{_COORDINATORS}a_step_that_ends_while_temporal_is_away_is_not_run_again",
        ),
    ),
    Row(
        "D2",
        "a step is delivered after its rollout is over",
        (f"{_PARTITIONS}a_step_that_arrives_after_its_rollout_is_over_is_not_begun",),
    ),
    Row(
        "D3",
        "one plan is submitted by many at once",
        (f"{_COORDINATORS}operators_who_start_the_same_get_one_rollout",),
    ),
    Row(
        "D4",
        "rollouts to the same servers in opposite orders",
        (f"{_COORDINATORS}overlapping_rollouts_in_opposite_orders_take_turns",),
    ),
    Row(
        "X1",
        "an abort in the middle of a batch",
        (f"{_SERVERS}an_abort_ends_the_whole_tree_and_starts_nothing_more",),
    ),
    Row(
        "X2",
        "an abort while an agent is offline",
        (
            f"{_PARTITIONS}an_abort_behind_a_partition_starts_nothing_after_it",
            f"{_CONTROL}an_abort_while_an_agent_is_offline_for_ever_ends_the_rollout",
        ),
    ),
    Row(
        "X4",
        "paused, everything killed, restarted, resumed",
        (f"{_CONTROL}a_paused_rollout_survives_the_death_of_everything",),
    ),
    Row(
        "B1",
        "an undo fails on one server",
        (f"{_SERVERS}a_rollback_that_cannot_write_needs_a_person_and_says_where",),
    ),
    Row(
        "B2",
        "a rollback while an agent is offline",
        (f"{_CONTROL}a_rollback_waits_for_a_server_that_is_away",),
    ),
    Row(
        "B3",
        "a rollback after the journal was lost",
        ("tests/server/test_hostile_world.py::test_a_lost_journal_is_a_rollback_that_failed",),
    ),
    Row(
        "B4",
        "a rollback of a server that is half done",
        (f"{_SERVERS}a_half_done_server_is_put_back_newest_first",),
    ),
    Row(
        "B6",
        "a person changed a file after the rollout",
        (f"{_CONTROL}a_file_that_a_person_changed_is_a_conflict_and_both_are_kept",),
    ),
    Row(
        "O1",
        "a gigabyte of output",
        (f"{_SERVERS}a_gigabyte_of_output_is_cut_and_costs_no_memory",),
    ),
    Row(
        "O2",
        "output that is no text or talks to the terminal",
        (
            f"{_OPERATORS}hostile_output_reaches_nobodys_terminal",
            "tests/unit/handlers/test_script.py::test_bytes_that_are_no_text_come_back_as_replacements",
            "tests/unit/models/test_printable.py::test_what_a_terminal_might_obey_becomes_visible",
            "tests/unit/agent/test_output.py::test_a_progress_bar_shows_its_newest_state",
        ),
    ),
    Row(
        "L3",
        "payloads over Temporal's limits",
        (
            f"{_SIZES}a_plan_runs_up_to_the_limit_and_is_refused_beyond_it",
            f"{_SIZES}an_order_of_any_size_is_taken_in_short_or_refused_and_never_wedges",
            "tests/server/test_fleet.py::test_a_plan_that_temporal_would_not_take_is_refused_before_it_is_sent",
            "tests/server/test_refusals.py::test_a_plan_over_the_limits_is_refused_with_the_figure_and_the_limit",
            "tests/unit/rollout/test_bounds.py::test_five_hundred_servers_with_all_their_output_fit_into_one_payload",
            "tests/server/test_hostile_world.py::test_an_endless_reason_does_not_wedge_the_rollout",
        ),
    ),
    Row("L5", "random faults for minutes", (_RANDOM,), tier="L"),
    Row(
        "V1",
        "plan files that are no plan files",
        (
            f"{_BAD_PLANS}a_bad_plan_is_refused_in_the_right_words",
            f"{_BAD_PLANS}no_refusal_holds_a_control_character_or_a_secret",
            "tests/unit/planfile/test_loading.py::test_no_bytes_break_the_loader",
            "tests/unit/planfile/test_source.py::test_a_file_is_not_read_beyond_its_limit",
            "tests/unit/planfile/test_source.py::test_utf_16_is_told_as_such",
            "tests/unit/planfile/test_scalars.py::test_no_word_changes_in_silence",
            "tests/unit/planfile/test_document.py::test_no_heap_of_yaml_breaks_the_loader",
            "tests/unit/planfile/test_yaml_text.py::test_a_bomb_of_aliases_stays_small",
        ),
    ),
    Row(
        "V2",
        "unknown keys, wrong types, missing values",
        (
            "tests/server/test_refusals.py::test_a_malformed_request_fails_with_the_right_words",
            "tests/server/test_refusals.py::test_all_problems_come_at_once_and_in_the_details",
        ),
    ),
    Row(
        "V3",
        "a server that is listed twice",
        (f"{_BAD_PLANS}a_bad_plan_is_refused_in_the_right_words",),
    ),
    Row(
        "V4",
        "servers without an agent",
        (
            "tests/server/test_reachability.py::test_an_unreachable_server_counts_as_failed_before_anything_is_touched",
            "tests/server/test_reachability.py::test_policy_skip_leaves_a_server_out",
        ),
    ),
    Row(
        "V5",
        "no servers at all",
        ("tests/server/test_refusals.py::test_a_malformed_request_fails_with_the_right_words",),
    ),
    Row(
        "K2",
        "a workflow's code changes during a rollout",
        ("tests/replay/test_replay.py::test_a_saved_history_replays",),
    ),
    Row(
        "G2",
        "a worker that lies",
        (
            "tests/server/test_hostile_world.py::test_a_worker_that_lies_costs_its_own_server_only",
            "tests/server/test_hostile_world.py::test_a_garbled_answer_is_no_answer",
        ),
    ),
    Row(
        "U1",
        "Ctrl-C, a closed terminal",
        (
            f"{_OPERATORS}a_terminal_that_is_closed_takes_nothing_with_it",
            "tests/e2e/test_cli_rollouts.py::test_detaching_leaves_the_rollout_alone",
            "tests/e2e/test_cli_rollouts.py::test_a_signal_gives_the_terminal_its_cursor_back",
        ),
    ),
    Row(
        "U2",
        "closed pipes, narrow and dumb terminals, no locale",
        (f"{_OPERATORS}any_terminal_and_any_pipe_will_do",),
    ),
    Row(
        "A7",
        "two agents with one server id",
        (
            f"{_DOCTOR}a_second_host_refuses_and_a_replaced_one_is_let_in",
            f"{_DOCTOR}of_two_hosts_that_start_together_the_later_one_gives_way",
        ),
    ),
    Row(
        "T4",
        "Temporal restored from a backup",
        (f"{_COORDINATORS}a_temporal_from_a_backup_runs_nothing_again",),
    ),
]
