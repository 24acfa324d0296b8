"""Which test shows which fault, on which surface: the forty faults that a run, a file or a client can bring.

Every accepted item reaches exactly one end, a result or a fixed code, and none can spoil another. The tests are all over
the suite; this is the table, and the check that it names all faults and only tests that there are.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """A row of the table."""

    what: str
    tests: dict[str, str]
    """Surface -> tests: "file: name name", several files apart by a semicolon."""
    untested: str = ""
    """What of the row no test reaches, and why."""


FAULTS: dict[int, Fault] = {
    1: Fault("no message, no part", {
        "python": "test_messages: test_a_fault_is_named_with_its_place",
        "server": "serve/test_requests: test_conversations_that_are_none; "
        "serve/test_connections: test_before_the_model_is_there_faults_are_told_and_good_requests_put_off",
    }),
    2: Fault("unknown part, misspelt key, two sources", {
        "python": "test_messages: test_a_fault_is_named_with_its_place",
        "server": "serve/test_requests: test_conversations_that_are_none test_unknown_keys_are_named",
    }),
    3: Fault("a million characters", {
        "python": "test_model: test_a_conversation_beyond_the_context_is_refused_with_both_numbers; "
        "test_pipeline: test_truncate_answers_what_is_too_long",
        "server": "serve/test_requests: test_prompts_that_are_too_long",
    }),
    4: Fault("NUL, surrogates, bidi marks in text and ids", {
        "python": "test_messages: test_a_fault_is_named_with_its_place; test_records: "
        "test_an_id_says_nothing_of_the_words_and_is_given_once",
        "batch": "batch/test_items: test_names_are_hashes_of_ids",
        "server": "serve/test_requests: test_conversations_that_are_none test_signal_tokens_and_placeholders_in_text_are_text",
    }),
    5: Fault("the model's own signal tokens as text", {
        "python": "test_pipeline: test_user_text_cannot_order_media; test_chat: test_text_never_becomes_special_tokens",
        "server": "serve/test_requests: test_signal_tokens_and_placeholders_in_text_are_text",
        "demo": "demos/test_chat: test_signal_tokens_of_a_visitor_are_words",
    }),
    6: Fault("more or fewer placeholders than media", {
        "python": "test_model: test_merge_names_both_counts",
        "server": "serve/test_requests: test_placeholders_are_only_ever_made_for_media",
    }),
    7: Fault("a file of no bytes", {
        "media": "media/test_image_file: test_empty_file; media/test_decode: test_cut_and_empty_files",
        "server": "serve/test_requests: test_pictures_that_are_none",
    }),
    8: Fault("random bytes with a good name", {
        "media": "media/test_image_file: test_random_bytes_named_png; media/test_decode: test_random_bytes_named_mp4",
        "server": "serve/test_requests: test_pictures_that_are_none",
        "demo": "demos/test_chat: test_a_file_that_is_none_is_refused_with_the_fixed_sentence",
    }),
    9: Fault("a cut picture", {
        "media": "media/test_image_file: test_cut_files test_an_open_image_that_is_cut",
        "server": "serve/test_requests: test_pictures_that_are_none; serve/test_engine: "
        "test_one_bad_medium_spoils_no_other_request",
    }),
    10: Fault("a picture that is a bomb", {
        "media": "media/test_image_file: test_bombs_are_refused_by_their_header test_the_limits_of_the_caller_count",
        "server": "serve/test_requests: test_pictures_that_are_none",
    }),
    11: Fault("slivers of pictures", {"media": "media/test_image_file: test_slivers_are_pictures test_a_picture_without_area"}),
    12: Fault("CMYK, 16 bit, palettes, turned, animated", {
        "media": "media/test_image_file: test_cmyk_is_turned_into_rgb test_sixteen_bit_grey_is_scaled_not_clipped "
        "test_transparency_is_laid_on_white test_exif_rotation_is_applied test_of_several_pictures_the_first",
    }),
    13: Fault("SVG, EPS, PDF, PSD, TIFF", {
        "media": "media/test_image_file: test_formats_that_are_not_allowed",
        "server": "serve/test_requests: test_pictures_that_are_none",
    }),
    14: Fault("odd codecs", {
        "media": "media/test_decode: test_odd_codecs_are_refused test_a_decoder_without_memory_takes_only_itself_down; "
        "media/test_mutations: test_damaged_files_end_as_a_medium_or_with_a_code",
    }),
    15: Fault("play lists as films", {
        "media": "media/test_decode_worker: test_play_lists_are_refused_and_open_nothing "
        "test_the_confined_process_can_open_nothing",
        "server": "serve/test_requests: test_films_and_sounds_that_are_none",
    }),
    16: Fault("films without frames, sound, rate or sense of time", {
        "media": "media/test_decode: test_nothing_to_see_or_hear test_one_frame test_films_begin_with_their_first_frame "
        "test_variable_rate_is_made_even",
        "server": "serve/test_requests: test_films_and_sounds_that_are_none",
    }),
    17: Fault("films without end", {
        "media": "media/test_decode: test_long_films_are_refused test_a_header_that_claims_a_thousand_million_frames; "
        "media/test_sources: test_a_sparse_file_of_four_gigabytes",
    }),
    18: Fault("a decoder that hangs", {"media": "media/test_decode: test_the_decoder_is_killed_at_its_deadline"}),
    19: Fault("odd sounds", {
        "media": "media/test_decode: test_silence_one_sample_and_none test_eight_channels_become_one "
        "test_high_rates_are_brought_down "
        "test_sound_formats",
        "server": "serve/test_requests: test_films_and_sounds_that_are_none",
    }),
    20: Fault("values that are not finite", {
        "media": "media/test_arrays: test_values_that_are_not_finite; media/test_save: "
        "test_values_that_are_not_finite_are_never_written; "
        "media/test_decode: test_sound_files_with_values_that_are_not_finite",
        "python": "test_decoding: test_states_that_are_not_finite_end_the_call; "
        "generators/test_contract: test_values_that_are_not_finite_are_never_given_out",
    }),
    21: Fault("arrays of the wrong type or shape", {
        "media": "media/test_arrays: test_every_clear_picture_is_the_same_picture "
        "test_unclear_pictures_are_refused_with_their_shape "
        "test_unclear_sounds_are_refused",
    }),
    22: Fault("base64 that is none, or too much", {
        "media": "media/test_sources: test_base64_that_is_none test_the_size_of_base64_is_checked_before_it_is_decoded",
        "server": "serve/test_requests: test_addresses_that_name_no_medium test_frames_without_number_are_capped "
        "test_the_media_type_of_an_address_is_not_believed; "
        "serve/test_connections: test_a_body_that_claims_a_gigabyte_is_refused_before_it_comes",
    }),
    23: Fault("private addresses in every spelling", {
        "media": "media/test_sources: test_addresses_are_refused",
        "server": "serve/test_url_guard: test_private_addresses_in_every_spelling test_urls_are_off_unless_allowed "
        "test_addresses_that_two_readers_might_read_differently test_private_hosts_are_refused_without_a_connection; "
        "serve/test_requests: test_addresses_that_name_no_medium",
        "demo": "demos/test_chat: test_an_address_is_not_fetched",
    }),
    24: Fault("redirects and names that change their mind", {
        "server": "serve/test_url_guard: test_redirects_are_followed_three_times_each_vetted "
        "test_a_public_name_that_redirects_to_a_private_one test_a_medium_is_fetched_from_the_vetted_address_by_its_name",
    }),
    25: Fault("slow, endless, lying and busy peers", {
        "server": "serve/test_url_guard: test_bodies_are_bounded_while_they_come test_slow_bodies_end_at_the_deadline "
        "test_wrong_lengths_and_compressed_bodies test_a_busy_site_is_asked_three_times_and_a_refusing_one_once; "
        "serve/test_connections: test_slow_heads_bodies_and_idlers_are_not_waited_for test_an_endless_body_is_cut_off "
        "test_a_reader_that_reads_nothing_is_hung_up_on",
    }),
    26: Fault("paths that lead out", {
        "media": "media/test_sources: test_paths_that_are_no_files",
        "server": "serve/test_path_guard: test_all_else_is_not test_links_that_lead_out_are_refused "
        "test_pipes_and_devices_are_refused_at_once; serve/test_connections: test_media_of_the_network_and_of_a_folder",
        "demo": "demos/test_chat: test_a_path_of_the_server_is_no_upload",
    }),
    27: Fault("ids that are double, missing or hostile", {
        "batch": "batch/test_items: test_names_are_hashes_of_ids; batch/test_inputs: test_lines_of_every_kind "
        "test_a_line_that_is_no_item_costs_itself_only; batch/test_run: test_wrong_usage_is_status_2_before_anything_is_loaded",
    }),
    28: Fault("lines that are none", {
        "batch": "batch/test_inputs: test_a_line_that_is_no_item_costs_itself_only "
        "test_a_line_without_end_is_not_read_into_memory",
    }),
    29: Fault("parameters out of bounds", {
        "python": "test_pipeline: test_a_wrong_parameter_is_named_with_its_rule",
        "batch": "batch/test_inputs: test_what_is_wrong_with_parameters_is_found_when_they_are_read",
        "server": "serve/test_requests: test_parameters_are_refused_with_the_rule test_numbers_that_json_has_not "
        "test_endpoints_for_one_medium_check_their_own_parameters",
        "demo": "demos/test_chat: test_parameters_have_bounds",
    }),
    30: Fault("a modality that no generator serves", {
        "python": "test_model: test_a_modality_that_no_part_serves_is_refused",
        "server": "serve/test_openai_client: test_speech_is_refused_with_what_there_is; "
        "serve/test_engine: test_a_modality_that_the_model_lacks_is_refused_with_what_there_is",
    }),
    31: Fault("out of memory", {
        "python": "test_scheduling: test_out_of_memory_halves_the_batch_and_goes_on test_the_hosts_memory_is_recognised",
    }),
    32: Fault("a device or a worker that dies", {
        "python": "test_scheduling: test_a_lost_device_is_raised",
        "batch": "batch/test_local: test_an_item_that_kills_its_process_ends_alone; "
        "batch/test_processes: test_a_death_costs_its_own_job_only; "
        "batch/test_ray_engine: test_one_of_two_actors_is_killed_and_nothing_is_lost",
        "server": "serve/test_engine: test_a_lost_device_ends_the_server_and_every_request_with_it",
    }, "the real assertion on a GPU: there is none where the suite runs; its exception is raised by hand"),
    33: Fault("killed while it writes", {
        "batch": "batch/test_folder: test_a_torn_line_is_dropped test_half_written_files_are_removed; "
        "batch/test_run: test_whatever_stops_a_run_the_same_command_ends_with_the_same_bytes test_kills_at_random_moments",
        "cli": "test_records: test_a_torn_last_line_is_dropped_and_whole_ones_are_kept",
    }),
    34: Fault("SIGTERM, Ctrl-C", {
        "cli": "test_cli: test_an_interrupt_ends_with_a_record_and_status_130",
        "server": "serve/test_soak: test_sixty_requests_then_a_signal test_a_second_signal_ends_it_at_once "
        "test_what_is_not_done_in_time_is_given_up",
    }),
    35: Fault("a disk that is full or shut", {
        "batch": "batch/test_folder: test_a_full_disk_is_a_storage_error "
        "test_a_folder_that_cannot_be_written_is_a_storage_error; "
        "batch/test_local: test_a_disk_that_is_full_ends_the_run",
        "cli": "test_records: test_a_folder_that_cannot_be_made_is_a_storage_error "
        "test_a_medium_that_cannot_be_written_leaves_no_file",
        "media": "media/test_save: test_places_that_cannot_be_written test_a_write_that_fails_leaves_the_old_file",
    }),
    36: Fault("two runs, or another run, in one folder", {
        "batch": "batch/test_folder: test_two_runs_at_once_are_refused "
        "test_another_run_is_refused_with_the_difference_and_kept_by_force",
    }),
    37: Fault("checkpoints that are damaged or do not fit", {
        "python": "test_checkpoint: test_a_wrong_config_is_named test_wrong_projectors_are_named test_a_missing_file_is_named "
        "test_a_tensor_that_the_llm_lacks_is_named; generators/test_contract: test_a_folder_of_unknown_classes_is_refused",
        "server": "serve/test_soak: test_a_model_that_cannot_be_loaded_ends_the_server_with_status_1",
    }, "a pickle in a model folder (folders are only ever read as safetensors) and NaN weights (their output is row 20)"),
    38: Fault("the hub out of reach", {"python": "test_checkpoint: test_the_hub_out_of_reach_is_said_so"},
        "a gated repository and an interrupted download: they need the network"),
    39: Fault("clients that leave, floods, a film among pictures", {
        "server": "serve/test_connections: test_a_client_that_goes_away_costs_at_most_another_step "
        "test_clients_that_leave_the_line_free_their_places test_a_deadline_ends_what_is_at_work_and_what_waits; "
        "serve/test_engine: test_a_flood_is_answered_or_put_off_and_never_lost "
        "test_light_requests_go_in_between_the_steps_of_a_film_and_the_film_gets_its_share",
        "demo": "demos/test_chat: test_a_visitor_who_leaves_frees_the_desk",
    }),
    40: Fault("training that meets damage", {
        "training": "nano/training/test_loop: test_a_step_that_is_not_finite_is_skipped "
        "test_a_resumed_run_ends_where_the_unbroken_one_does",
    }, "damaged samples and another number of workers: nano's recipe renders its own data, in one process"),
}  # fmt: skip


@cache
def names_in(file: str) -> frozenset[str]:
    """The tests of a file under tests/."""
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_all_forty_faults_are_named():
    assert list(FAULTS) == list(range(1, 41)) and len({fault.what for fault in FAULTS.values()}) == 40


@pytest.mark.parametrize("number", FAULTS)
def test_every_test_of_the_table_is_there(number):
    fault = FAULTS[number]
    assert fault.tests or fault.untested
    for surface, named in fault.tests.items():
        assert surface in ("python", "media", "cli", "batch", "server", "demo", "training")
        for group in named.split(";"):
            file, _, names = group.strip().partition(": ")
            missing = set(names.split()) - names_in(file)
            assert names.split() and not missing, f"row {number}, tests/{file}.py: no {missing}"
