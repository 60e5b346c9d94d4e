"""The torch_aie emulator: same API, a fixed arithmetic, and the traps of a real device.

Everything runs in child interpreters (emulator_scenarios.py, emulator_nms.py), because torch stays
out of this process. Each child runs its scenarios once for the whole module.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
EMULATOR = HERE.parent / "plugins" / "workers" / "emulator"
LIMIT_S = 180
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="no torch here to run the emulator with"
)

# What Ascend/pytorch expects of the device on seeded inputs (test/contrib/test_multiclass_nms.py):
# x1, y1, x2, y2, score of the three best rows of each image, and their classes.
EXPECTED = {
    "integers": ([[81.9375, 183.875, 35, 172, 4.1797], [52, 47, 196.875, 67, 3.875],
                  [76, 140, 42, 132, 3.8613]], [69, 31, 48]),
    "normals": ([[0.1643, 0.748, 0.1807, -0.2734, 4.1836],
                 [-0.9736, -0.1373, 0.9473, 1.0938, 4.1641],
                 [1.5234, -0.6831, -1.8359, 1.1035, 4.0664]], [46, 8, 69]),
    "batched": ([[195, 133, 123, 36, 4.3984], [70, 113, 149, 22.9844, 3.8184],
                 [203, 250, 9, 81.9375, 3.5996], [60, 19, 233.875, 142, 3.7852],
                 [147, 218, 223, 86.9375, 3.6426], [19, 113, 91.9375, 238.875, 3.5449],
                 [163.875, 47.9688, 221.875, 218, 3.8281], [5.9961, 81.9375, 110, 171, 3.7734],
                 [155, 133, 138, 108, 3.4844], [238.875, 78, 188, 17, 3.9121],
                 [79, 115.9375, 83, 246, 3.5879], [11, 94, 243, 226.875, 3.4805]],
                [27, 36, 78, 19, 27, 39, 54, 18, 27, 72, 43, 31]),
}  # fmt: skip
# Boxes printed in the CANN 7.0 pages of npu_batched_multiclass_nms (12) and npu_multiclass_nms (3);
# drawn as integers from 1 to 254, the draw itself is not published.
PRINTED = [
    [221.875, 60, 183, 22], [167, 250, 136, 144], [45.9688, 147, 67, 241.875],
    [5, 178, 243.875, 138], [238, 132, 47, 84], [32, 110, 131, 73],
    [111.9375, 120.9375, 54, 231], [147, 162, 78, 1.001], [157, 118, 57, 115],
    [80, 126.9375, 54, 246.875], [31, 253.875, 19, 138], [54, 253.875, 78, 75],
    [57, 198.875, 45.9688, 221.875], [215, 155, 236.875, 137], [208.875, 221, 228, 17],
]  # fmt: skip


def child(script: str, *arguments: object) -> dict:
    """Run one scenario of a script in a fresh interpreter; returns what it printed."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EMULATOR)}
    command = [sys.executable, str(HERE / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def seen() -> dict:
    return child("emulator_scenarios", "everything")


@pytest.fixture(scope="module")
def nms() -> dict:
    return child("emulator_nms", "everything")


def test_the_published_sample_runs_as_written(seen):
    sample = seen["published_sample"]
    assert sample["script"]
    assert sample["container"] == "tuple"
    assert sample["shapes"] == [[10, 4], [10, 1], [10], [2]]
    assert sample["dtypes"] == ["float32", "int64", "float32", "int64"]


def test_the_emulator_says_what_it_is_and_invents_no_api(seen):
    sample = seen["published_sample"]
    assert sample["emulated"]
    assert "emulator" in sample["version"]
    assert not sample["event"]


def test_without_rounding_the_walk_is_bit_equal_to_the_module(seen):
    assert seen["exactness"]["equal"] == [True, True, True]


def test_outputs_stay_nested_as_the_module_nested_them(seen):
    assert seen["containers"]["types"] == ["tuple", "tuple", "list"]
    assert seen["containers"]["values"] == [1.0, 1.0, 2.0, 2.0]


def test_fp16_makes_binary16_values_and_the_fp32_policies_do_not(seen):
    assert seen["fp16_values"]["binary16"] == {"PREF_FP32": False, "FP16": True, "FP32": False}


def test_even_the_fp32_policy_narrows_what_enters_a_convolution(seen):
    worst = seen["fp16_values"]["worst"]
    assert 0 < worst["FP32"] < worst["FP16"]


@pytest.mark.parametrize("case", ["after a convolution", "on its own"])
def test_a_variance_above_fp16_survives_because_batch_norm_is_not_rounded(seen, case):
    figures = seen["batch_norm"][case]
    assert figures["naive"] == 0.0, "rounding the statistics loses nothing here: no evidence"
    assert figures["worst"] < 2**-8 * figures["exact"]


def test_folding_batch_norm_scales_the_bias_of_the_convolution_too(seen):
    assert seen["batch_norm"]["with a bias"]["worst"] < 2**-8 * 3.0


def test_a_constant_that_the_graph_writes_to_starts_anew_in_every_forward(seen):
    assert seen["written_constants"] == [[3.0] * 4] * 3


def test_a_result_is_unfilled_until_the_stream_is_synchronised(seen):
    assert seen["asynchronous"] == {"unfilled": True, "filled": True, "copy": True}


def test_an_input_that_breaks_the_promise_is_refused_by_name_and_the_next_call_works(seen):
    messages = seen["bad_inputs"]["messages"]
    assert "[1, 3, 60, 60]" in messages["shape"]
    assert "torch.float64" in messages["dtype"]
    assert "npu:1" in messages["device"]
    assert seen["bad_inputs"]["survived"]


def test_host_and_strided_inputs_are_taken_unless_switched_off(seen):
    messages, refused = seen["bad_inputs"]["messages"], seen["bad_inputs"]["refused"]
    assert messages["host"] == messages["strided"] == ""
    assert "host memory" in refused["host"]
    assert "contiguous" in refused["strided"]


def test_held_outputs_stay_unless_the_pool_is_switched_to_reuse(seen):
    assert seen["held_outputs"] == {"kept": True, "overwritten": True}


def test_work_that_fails_on_the_device_is_reported_by_synchronise(seen):
    failing = seen["failing_work"]
    assert failing["accepted"]
    assert "out of bounds" in failing["message"]
    assert failing["survived"] == [1.0, 1.0]


def test_what_is_left_in_torch_shows_in_the_compiled_graph(seen):
    left = seen["left_in_torch"]
    assert left["census"] == ["strange::third"]
    assert left["by_name"] == ["aten::div"]
    assert left["whole"] == left["foreign"] == []


def test_what_is_left_in_torch_runs_unrounded(seen):
    left = seen["left_in_torch"]
    assert left["value"] == float(np.float32(2) / np.float32(3))
    assert left["named"] == float(np.float32(1) / np.float32(3))


def test_full_compilation_refuses_what_would_be_left_in_torch(seen):
    assert "strange::third" in seen["left_in_torch"]["refused"]


@pytest.mark.parametrize(("case", "word"), [
    ("control flow", "prim::Loop"), ("eager", "ScriptModule"), ("soc", "Ascend910B4"),
    ("count", "1 inputs"), ("device id", "1025"), ("nothing", "list of Input"),
    ("host operator", "compiled module"),
])  # fmt: skip
def test_compile_refuses_with_the_cause(seen, case, word):
    assert word in seen["refusals"][case]


def test_an_input_takes_every_documented_form_and_no_other(seen):
    forms = seen["input_forms"]
    assert forms["same"]
    assert forms["unbounded"]
    assert (forms["default"], forms["mode"]) == ("FLOAT", "DYNAMIC")
    assert all(forms["refused"])


def test_gears_take_their_shapes_only_and_a_range_all_between(seen):
    assert seen["gears"] == {"gears": [True, False, True], "range": [True, True, False]}


def test_integer_outputs_are_kept_or_truncated_as_switched(seen):
    assert seen["integer_outputs"] == {"keep": "torch.int64", "truncate": "torch.int32"}


def test_a_saved_module_gives_the_same_bits_in_a_fresh_process_and_notices_alteration(tmp_path):
    saved = child("emulator_scenarios", "save", tmp_path / "model.pt")
    loaded = child("emulator_scenarios", "load", tmp_path / "model.pt")
    assert loaded["outputs"] == saved["outputs"]
    assert "altered" in loaded["altered"]


def test_an_operator_library_that_is_there_first_keeps_its_operators():
    assert child("emulator_registered") == {"answer": 7.0}


@pytest.mark.parametrize("case", list(EXPECTED))
def test_the_310p_kernel_reproduces_published_inputs_and_outputs_bit_by_bit(nms, case):
    rows, labels = EXPECTED[case]
    got = np.array(nms["published_cases"][case]["rows"], np.float16)
    np.testing.assert_array_equal(got, np.array(rows, np.float16))
    assert nms["published_cases"][case]["labels"] == labels


def explained(images: dict) -> int:
    """How many printed coordinates are the image of their nearest integer."""
    return sum(
        np.float16(images["low" if axis < 2 else "high"][round(value) - 1]) == np.float16(value)
        for box in PRINTED for axis, value in enumerate(box)
    )  # fmt: skip


def test_the_310p_kernel_explains_all_60_printed_coordinates(nms):
    assert explained(nms["integer_images"]) == 60
    changed = sum(v != i for i, v in enumerate(nms["integer_images"]["high"][:254], 1))
    assert 67 <= changed <= 69, "a model that changes nothing or everything explains nothing"


def test_simpler_kernels_do_not_explain_the_printed_coordinates(nms):
    plain, low = list(range(1, 256)), nms["integer_images"]["low"]
    assert explained({"low": plain, "high": plain}) == 44
    assert explained({"low": low, "high": low}) == 59


def test_coordinate_errors_stay_within_the_reference_table(nms):
    limits = {"64": 0.047, "128": 0.094, "256": 0.19, "512": 0.375, "1024": 0.75, "1344": 1.5}
    for end, limit in limits.items():
        assert 0.9 * limit < max(nms["coordinate_errors"][end]) <= limit, end


def test_a_score_at_the_fp16_threshold_is_dropped_and_its_upper_neighbour_kept(nms):
    for threshold, case in nms["score_threshold"].items():
        neighbour = float(np.nextafter(np.float16(float(threshold)), np.float16(1)))
        assert case["scores"] == [float(np.float16(0.9)), neighbour, 0.0, 0.0], threshold


def test_an_overlap_at_the_threshold_is_kept_and_a_larger_one_suppressed(nms):
    assert nms["iou_threshold"] == {"half": 2, "more": 1}


def test_unused_slots_keep_stale_classes_on_the_310p_and_zeros_on_ops_cv(nms):
    legacy, modern = nms["padding"]["legacy"], nms["padding"]["ops-cv"]
    assert legacy["count"] == modern["count"] == 1
    assert not np.any(legacy["boxes"][1:])
    assert not np.any(legacy["scores"][1:])
    assert any(legacy["classes"][1:])
    assert not any(modern["classes"][1:])


def test_caps_hold_per_class_and_in_all(nms):
    assert nms["caps_and_ties"]["class"] == 6
    assert nms["caps_and_ties"]["total"]["count"] == 5


def test_equal_scores_come_by_class_then_by_row(nms):
    order = nms["caps_and_ties"]["order"]
    assert order["classes"] == [0, 0, 1, 1]
    assert [box[0] for box in order["boxes"]] == [0.0, 50.0, 0.0, 50.0]


def test_boxes_whose_areas_overflow_are_never_suppressed(nms):
    assert nms["overflow"] == {"1000": 1, "1900": 2}


def test_only_the_best_4080_candidates_of_a_class_are_looked_at(nms):
    assert nms["sort_queue"] == {"late": 1, "early": 2}


def test_merging_in_chunks_of_classes_loses_nothing(nms):
    assert nms["chunked_merge"] == {"scores": True, "classes": True}


def test_inverted_boxes_pass_the_310p_and_not_ops_cv(nms):
    case = nms["degenerate_boxes"]
    assert (case["legacy"], case["ops-cv"]) == (2, 1)
    assert case["inverted"][0] > case["inverted"][2]
