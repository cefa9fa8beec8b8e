"""Which test on a real server shows which row of the dependency file's tables, and which shows its failure.

A failure is what becomes of the row's promise when it cannot be kept: the condition that never comes true, the edge that breaks, the
hook that fails, the value that nobody can act on. Its test says exit code, message and what was left alone. tests/unit/test_rows.py
sees that each key and each condition that the parser knows has its row here, and that every test named exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """Tests of one row, each as FILE::TEST within tests/servers, without `test_` and `.py` of the file."""

    shown: tuple[str, ...]
    fails: tuple[str, ...]


ENTRY: Final[Mapping[str, Row]] = {
    "pre": Row(
        ("run::test_the_seeds_four_jobs_come_up_in_order",),
        ("run::test_a_failed_job_keeps_its_dependents_from_being_registered",),
    ),
    "depends_on": Row(
        ("keys::test_depends_on_of_a_compose_file_is_obeyed_as_it_stands",),
        ("keys::test_depends_on_that_breaks_frees_nobody", "keys::test_depends_on_a_migration_that_fails_frees_nobody"),
    ),
    "post": Row(
        ("hooks::test_post_jobs_run_side_by_side_unless_they_name_each_other_and_only_an_edge_at_started_does_not_wait_for_them",),
        ("hooks::test_a_post_job_that_fails_is_a_failure_of_its_owner",),
    ),
    "pre_stop": Row(
        ("hooks::test_hooks_run_between_the_stops_and_are_no_part_of_a_run",),
        (
            "hooks::test_where_a_pre_stop_job_fails_its_owner_goes_on_running_and_so_does_what_that_needs",
            "hooks::test_a_pre_stop_job_that_does_not_come_to_an_end_times_out_and_its_owner_goes_on_running",
        ),
    ),
    "post_stop": Row(
        ("hooks::test_hooks_run_between_the_stops_and_are_no_part_of_a_run",),
        (
            "hooks::test_a_post_stop_job_that_fails_leaves_what_its_owner_needs_running",
            "hooks::test_a_post_stop_job_that_failed_is_run_again_by_the_next_stop_and_one_that_still_runs_is_awaited",
        ),
    ),
    "wait_cond": Row(
        ("readiness::test_started_waits_for_running_and_not_for_healthy",),
        (
            "keys::test_conditions_that_never_come_true_are_exit_6_and_free_nobody",
            "readiness::test_a_condition_that_a_job_can_never_reach_is_told_before_anything_is_registered",
        ),
    ),
    "timeout": Row(
        ("keys::test_a_timeout_of_an_entry_lets_a_slow_job_come_up",),
        ("readiness::test_a_timeout_is_exit_6_and_names_what_was_awaited",),
    ),
    "retries": Row(("rerun::test_retries_run_it_again_until_it_succeeds",), ("rerun::test_exhausted_retries_are_a_failure",)),
    "on_failure": Row(
        (
            "on_failure::test_dependents_go_on_without_a_job_whose_failure_is_put_up_with",
            "on_failure::test_what_a_run_changed_is_returned_in_reverse_order_and_is_healthy_again",
        ),
        ("on_failure::test_what_somebody_else_changed_meanwhile_is_left_alone_and_the_rollback_incomplete",),
    ),
    "run": Row(
        (
            "completing::test_what_nomad_has_collected_is_not_run_twice_and_a_changed_one_is",
            "completing::test_what_is_run_once_is_never_run_again_until_a_purge_forgets_it",
            "completing::test_what_is_always_run_is_run_each_time_although_nomad_sees_no_change",
        ),
        (
            "completing::test_a_migration_that_failed_is_remembered_as_no_success",
            "completing::test_what_is_run_once_and_failed_is_run_again",
            "completing::test_what_is_run_once_and_completed_unseen_is_refused_until_somebody_says_how_it_ended",
            "completing::test_what_is_run_once_and_completed_after_an_interrupt_is_not_run_again",
            "completing::test_what_is_always_run_and_fails_the_second_time_fails_the_run",
        ),
    ),
    "file": Row(
        ("keys::test_a_job_file_may_lie_elsewhere",),
        ("keys::test_a_job_file_that_is_not_where_its_entry_says_is_told_before_the_first_registration",),
    ),
    "template": Row(
        ("keys::test_a_job_file_that_is_no_template_is_passed_as_it_is",),
        ("keys::test_a_job_file_that_should_be_no_template_is_told_with_the_key",),
    ),
    "version": Row(
        ("keys::test_a_version_and_values_reach_the_job", "git_versions::test_everything_agrees_on_what_runs"),
        ("keys::test_a_version_that_is_a_number_is_told_before_the_first_registration",),
    ),
    "vars": Row(
        ("keys::test_a_version_and_values_reach_the_job", "variables_in_jobs::test_each_layer_wins_over_the_ones_below"),
        (
            "keys::test_a_value_that_nobody_gave_is_told_before_the_first_registration",
            "variables_in_jobs::test_a_value_that_nomad_does_not_take_is_told_where_it_was_given",
        ),
    ),
    "namespace": Row(
        ("namespaces::test_one_file_in_two_namespaces_is_two_jobs_to_every_command",),
        (
            "namespaces::test_a_namespace_that_does_not_exist_is_told_before_anything_is_changed",
            "namespaces::test_a_healthy_namesake_in_another_namespace_does_not_satisfy_an_edge",
        ),
    ),
    "region": Row(
        ("regions::test_a_tree_across_two_regions_is_run_looked_at_and_stopped",),
        (
            "regions::test_a_region_that_does_not_exist_is_told_before_anything_is_changed",
            "regions::test_a_region_that_is_gone_for_good_ends_in_a_timeout_with_the_reason",
        ),
    ),
    "dispatch": Row(
        (
            "dispatch::test_children_get_their_meta_and_payload_and_are_awaited_before_anything_that_needs_them",
            "dispatch::test_children_are_awaited_at_the_version_of_their_parent_which_was_changed_or_stopped_before",
            "dispatch::test_a_periodic_job_is_run_out_of_its_turn",
            "dispatch::test_a_periodic_job_that_was_changed_is_run_out_of_its_turn_again",
        ),
        (
            "dispatch::test_a_child_that_fails_is_a_failure_with_its_id_task_exit_code_and_logs",
            "dispatch::test_what_completed_beside_a_child_that_failed_is_not_dispatched_again_although_nomad_has_forgotten_it",
            "dispatch::test_a_periodic_job_whose_forced_run_fails_fails_the_run",
            "dispatch::test_what_nomad_would_not_take_is_told_before_anything_is_registered",
        ),
    ),
    "promote": Row(
        (
            "canaries::test_auto_promotes_healthy_canaries_and_only_then_come_the_dependents",
            "canaries::test_after_promotes_once_the_canaries_have_been_healthy_for_so_long",
        ),
        (
            "canaries::test_a_canary_that_nobody_promotes_is_exit_7_until_the_command_does",
            "canaries::test_a_canary_that_falls_over_meanwhile_is_a_failure_and_is_not_promoted",
        ),
    ),
    "irreversible": Row(
        ("on_failure::test_an_irreversible_job_that_was_updated_stays_as_it_was_updated",),
        ("on_failure::test_what_cannot_or_must_not_be_undone_stays_and_is_told_before_and_after",),
    ),
    "tags": Row(
        ("part::test_only_wants_ready_what_it_leaves_out_and_registers_nothing_where_it_is_not",),
        ("keys::test_a_tag_that_no_job_has_selects_nothing_and_registers_nothing",),
    ),
}

EDGE: Final[Mapping[str, Row]] = {
    "job": ENTRY["pre"],
    "condition": Row(
        ("edges::test_a_dependent_starts_at_started_while_another_waits_for_healthy_of_the_same_job",),
        (
            "edges::test_a_condition_of_an_edge_that_never_comes_true_times_out_and_frees_nobody",
            "edges::test_a_condition_of_an_edge_that_its_job_never_meets_is_told_before_the_first_registration",
        ),
    ),
    "required": Row(
        (
            "edges::test_the_failure_of_an_optional_job_is_tolerated_and_named",
            "edges::test_an_optional_job_without_a_file_is_left_out",
            "edges::test_a_line_that_only_an_optional_edge_waits_for_and_that_does_not_come_fails_nobody",
            "hooks::test_post_jobs_and_hooks_that_one_can_do_without_fail_and_nothing_else_does",
        ),
        ("edges::test_the_same_failure_is_one_where_another_requires_the_job",),
    ),
    "external": Row(
        (
            "edges::test_an_external_job_is_waited_for_and_never_touched",
            "edges::test_a_dependent_waits_for_an_external_job_whose_owner_is_updating_it",
            "edges::test_of_the_post_jobs_those_of_others_are_waited_for_and_those_that_run_restarted",
        ),
        ("edges::test_an_external_job_that_is_never_there_times_out",),
    ),
    "on_update": Row(
        (
            "edges::test_a_running_dependent_outside_of_the_goals_is_restarted_in_place_one_by_one",
            "edges::test_a_running_dependent_is_redeployed_with_new_allocations",
            "edges::test_a_system_job_is_redeployed_and_a_sysbatch_job_cannot_be",
            "edges::test_a_job_that_does_not_come_back_is_run_again_as_often_as_its_retries_say",
            "edges::test_a_restart_that_a_promotion_by_hand_came_before_is_made_up_for_by_the_next_run",
            "edges::test_of_the_post_jobs_those_of_others_are_waited_for_and_those_that_run_restarted",
        ),
        (
            "edges::test_a_dependent_that_does_not_come_back_fails_the_run_and_its_other_allocations_are_left_alone",
            "edges::test_where_the_dependency_fails_its_dependents_are_not_restarted",
            "edges::test_a_restart_that_a_run_did_not_get_to_is_made_up_for_by_the_next",
        ),
    ),
    "wait_cond": Row(
        ("hooks::test_a_post_job_as_goal_brings_its_owner_and_wait_cond_beats_its_own",),
        ("hooks::test_one_post_job_with_different_settings_is_told_before_the_first_registration",),
    ),
    "restart": Row(
        ("edges::test_a_running_dependent_outside_of_the_goals_is_restarted_in_place_one_by_one",),
        ("edges::test_a_dependent_that_does_not_come_back_fails_the_run_and_its_other_allocations_are_left_alone",),
    ),
}

_NEVER_TRUE = "keys::test_conditions_that_never_come_true_are_exit_6_and_free_nobody"

CONDITION: Final[Mapping[str, Row]] = {
    "a number": Row(
        (
            "readiness::test_seconds_are_waited_for_from_acceptance_on",
            "readiness::test_seconds_are_not_waited_for_where_the_job_is_unchanged",
        ),
        ("readiness::test_a_failure_while_seconds_are_waited_for_is_a_failure",),
    ),
    "ready": Row(
        (
            "readiness::test_a_service_is_ready_when_its_allocations_are_healthy",
            "readiness::test_a_system_job_is_ready_when_it_is_healthy_on_its_node",
            "readiness::test_a_batch_job_is_ready_when_all_its_allocations_have_completed",
            "readiness::test_a_sysbatch_job_is_ready_when_it_has_completed_on_its_node",
            "readiness::test_a_periodic_job_is_ready_when_it_is_registered",
            "readiness::test_a_parameterized_job_is_ready_when_it_is_registered",
        ),
        ("readiness::test_a_timeout_is_exit_6_and_names_what_was_awaited",),
    ),
    "registered": Row(
        ("readiness::test_registered_waits_for_nothing_but_nomads_word",),
        ("keys::test_a_job_that_nomad_does_not_accept_is_never_registered",),
    ),
    "started": Row(("readiness::test_started_waits_for_running_and_not_for_healthy",), (_NEVER_TRUE,)),
    "healthy": Row(("readiness::test_healthy_and_completed_can_be_asked_for_by_name",), (_NEVER_TRUE,)),
    "completed": Row(
        (
            "readiness::test_healthy_and_completed_can_be_asked_for_by_name",
            "readiness::test_a_batch_job_that_succeeds_after_a_reschedule_is_ready",
        ),
        (_NEVER_TRUE, "keys::test_depends_on_a_migration_that_fails_frees_nobody"),
    ),
    "service_started": Row(
        ("keys::test_depends_on_of_a_compose_file_is_obeyed_as_it_stands",),
        ("keys::test_depends_on_that_breaks_frees_nobody",),
    ),
    "service_healthy": Row(
        ("edges::test_a_dependent_starts_at_started_while_another_waits_for_healthy_of_the_same_job",),
        ("keys::test_depends_on_that_breaks_frees_nobody",),
    ),
    "service_completed_successfully": Row(
        ("keys::test_depends_on_of_a_compose_file_is_obeyed_as_it_stands",),
        ("keys::test_depends_on_a_migration_that_fails_frees_nobody",),
    ),
    "{seconds}": Row(("keys::test_seconds_in_a_map_are_waited_for",), (_NEVER_TRUE,)),
    "{service}": Row(
        (
            "conditions::test_so_many_instances_of_a_service_pass_their_checks",
            "conditions::test_instances_in_consul_pass_their_checks",
        ),
        (
            "conditions::test_a_registered_service_whose_check_fails_does_not_pass",
            "conditions::test_instances_in_consul_whose_checks_fail_do_not_pass",
            "conditions::test_instances_of_another_job_do_not_count",
        ),
    ),
    "{http}": Row(
        (
            "conditions::test_every_allocation_answers_http_at_its_port",
            "conditions::test_one_address_is_enough_where_it_is_named",
        ),
        (
            "conditions::test_another_status_than_the_wanted_one_times_out_and_is_told",
            "conditions::test_one_address_where_nobody_answers_times_out",
        ),
    ),
    "{tcp}": Row(
        (
            "conditions::test_every_allocation_accepts_connections_at_its_port",
            "conditions::test_one_address_is_enough_where_it_is_named",
        ),
        (
            "conditions::test_a_port_where_nothing_listens_times_out_and_is_told",
            "conditions::test_one_address_where_nobody_answers_times_out",
        ),
    ),
    "{log}": Row(
        (
            "conditions::test_a_line_of_the_log_makes_it_ready",
            "conditions::test_a_line_that_was_seen_and_rotated_away_since_counts_as_long_as_it_is_noted",
        ),
        (
            "conditions::test_a_line_that_never_comes_times_out",
            "conditions::test_the_log_of_an_old_version_meets_nothing",
        ),
    ),
    "{all}": Row(
        ("conditions::test_all_and_any_are_composed_of_the_others",),
        ("conditions::test_all_breaks_by_the_timeout_of_one_part",),
    ),
    "{any}": Row(
        ("conditions::test_all_and_any_are_composed_of_the_others",),
        ("conditions::test_any_breaks_once_none_of_its_parts_can_come",),
    ),
}

PROMISES: Final[Mapping[str, tuple[str, ...]]] = {
    "a healthy old version never satisfies an edge": (
        "readiness::test_a_healthy_old_version_never_satisfies_an_edge",
        "readiness::test_a_rolling_update_is_waited_for_to_the_last_new_allocation",
    ),
    "a batch job that succeeds in 20 ms is a success": ("readiness::test_a_batch_job_that_completes_in_20_ms_is_ready_and_no_failure",),
    "a job with count 0 does not hang": (
        "readiness::test_a_job_of_count_0_hangs_nobody",
        "canaries::test_a_count_of_0_has_no_canaries_and_hangs_nothing",
    ),
    "an auto-reverted deployment is a failure with the reason of the version that failed": (
        "readiness::test_an_auto_revert_is_a_failure_with_the_reason_of_the_version_that_failed",
        "canaries::test_a_canary_that_fails_is_told_with_the_reason_of_its_version_though_nomad_reverts",
    ),
    "a job that somebody else supersedes in mid-run is reported as that": (
        "readiness::test_a_job_that_somebody_else_registers_meanwhile_is_superseded",
        "readiness::test_a_job_that_somebody_scales_meanwhile_is_not_superseded",
        "readiness::test_a_job_that_somebody_stops_meanwhile_is_a_failure",
        "readiness::test_a_job_that_somebody_else_registers_after_it_was_ready_is_superseded",
        "readiness::test_a_job_that_somebody_stops_before_the_end_is_superseded",
        "canaries::test_a_newer_version_of_somebody_else_supersedes_the_canary",
    ),
    "waiting costs three standing queries, however many jobs there are": (
        "standing_queries::test_three_hundred_jobs_are_waited_for_by_three_standing_queries",
        "namespaces::test_three_standing_queries_serve_all_namespaces",
        "regions::test_three_standing_queries_serve_each_region",
    ),
}
"""What holds whatever the file says."""
