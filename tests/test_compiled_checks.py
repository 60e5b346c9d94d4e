"""Checks of the compiled module and of its environment: accepted, and rejected in words."""

from __future__ import annotations

import pytest

from plugins.checks.compiled import (
    check_options,
    check_placement,
    check_refused,
    check_runtime,
    check_versions,
    version_differences,
)
from plugins.contracts.operators import Version
from plugins.failure import CheckFailure

DECLARED = [Version("torch", "2.0.1", "package"), Version("CANN", "7.0.RC1", "cann")]


def test_a_release_has_one_number_unless_another_is_declared():
    assert DECLARED[0].also == ""


def test_what_the_contract_lets_stay_in_torch_may_stay():
    check_placement({}, [])
    check_placement({"aten::topk": 2}, ["aten::topk"])


def test_operators_that_fell_back_are_counted_and_named():
    with pytest.raises(CheckFailure) as failure:
        check_placement({"aten::topk": 2, "aten::exp": 1, "aten::relu": 5}, ["aten::relu"])
    assert failure.value.what == "operators fell back to torch"
    assert failure.value.expected == "in torch: aten::relu"
    assert failure.value.actual == "3 nodes of 2 operators are not compiled"
    assert failure.value.worst == ["aten::exp: 1", "aten::topk: 2"]


def test_an_operator_that_falls_back_at_one_size_is_told_with_the_size():
    with pytest.raises(CheckFailure) as failure:
        check_placement({"aten::topk": 2}, [], side=1344)
    assert failure.value.actual == "2 nodes of 1 operators are not compiled at 1344x1344"


def test_a_call_that_must_not_work_is_refused_or_fails_the_check():
    check_refused("shape mismatch", "an input of another size")
    with pytest.raises(CheckFailure, match="^an input of another size is accepted"):
        check_refused("", "an input of another size")


CLAIMED = "Ascend310P3 (torch_aie 6.3.rc2)"


@pytest.mark.parametrize("real", [True, False])
def test_a_lane_runs_on_what_it_claims(real):
    check_runtime({"emulated": not real, "runtime": "torch_aie 6.3"}, CLAIMED, real=real)


@pytest.mark.parametrize(
    ("real", "expected", "actual"),
    [
        (True, f"a real NPU: {CLAIMED}", "the emulator: torch_aie 6.3"),
        (False, f"the emulator: {CLAIMED}", "a real NPU: torch_aie 6.3"),
    ],
)
def test_a_lane_that_runs_on_something_else_fails(real, expected, actual):
    with pytest.raises(CheckFailure) as failure:
        check_runtime({"emulated": real, "runtime": "torch_aie 6.3"}, CLAIMED, real=real)
    assert failure.value.what == "the lane does not run on what it claims"
    assert (failure.value.expected, failure.value.actual) == (expected, actual)


def test_a_lane_that_runs_on_another_module_than_it_claims_fails():
    for runtime in ("mindietorch 1.0", "mindietorch 6.3.rc2"):
        with pytest.raises(CheckFailure, match="^the lane does not run on what it cl") as failure:
            check_runtime({"emulated": False, "runtime": runtime}, CLAIMED, real=True)
        assert failure.value.expected == f"a real NPU: {CLAIMED}"
        assert failure.value.actual == f"a real NPU: {runtime}"


def test_versions_are_compared_without_build_marks_and_case():
    check_versions({"torch": "2.0.1+cpu", "CANN": "7.0.rc1"}, DECLARED, strict=True)


@pytest.mark.parametrize("same", ["6.3.rc2", "6.3rc2", "6.3-RC2", "6.3_rc2"])
def test_a_pre_release_is_the_same_with_and_without_its_separator(same):
    check_versions({"torch_aie": same}, [Version("torch_aie", "6.3.rc2", "package")], strict=True)


@pytest.mark.parametrize("other", ["6.3.rc1", "6.3rc20", "6.3", "6.3.2", "63rc2", "6.3.b2"])
def test_another_pre_release_is_another_version(other):
    assert version_differences({"torch_aie": other}, [Version("torch_aie", "6.3.rc2", "package")])


@pytest.mark.parametrize(
    ("observed", "row"),
    [
        ({"torch": "2.0.10", "CANN": "7.0.RC1"}, "torch is 2.0.10, not 2.0.1"),
        ({"torch": "2.0.1", "CANN": ""}, "CANN is not found, not 7.0.RC1"),
        ({"torch": "2.0.1"}, "CANN is not found, not 7.0.RC1"),
    ],
)
def test_another_version_fails_on_real_hardware_only(observed, row):
    check_versions(observed, DECLARED, strict=False)
    with pytest.raises(CheckFailure) as failure:
        check_versions(observed, DECLARED, strict=True)
    assert failure.value.what == "the environment is not the source's"
    assert failure.value.actual == "1 of 2 differ"
    assert failure.value.worst == [row]


TOLD = {"precision_policy": "FP16", "min_block_size": "3", "inputs": "[1, 3, 8, 8]"}
OPTIONS = {"precision_policy": "FP16", "min_block_size": 3, "optimization_level": 0}


def test_a_compiler_that_was_told_the_contract_passes():
    """What a release does not know is not told, and an Input that cannot be read is not judged."""
    check_options(TOLD, OPTIONS, [1, 3, 8, 8])
    check_options({**TOLD, "inputs": "unknown"}, OPTIONS, [1, 3, 8, 8])


@pytest.mark.parametrize(
    ("name", "value"),
    [("precision_policy", "PREF_FP32"), ("min_block_size", "1"), ("inputs", "['a range']")],
)
def test_a_compiler_that_was_told_otherwise_is_named(name, value):
    with pytest.raises(CheckFailure) as caught:
        check_options({**TOLD, name: value}, OPTIONS, [1, 3, 8, 8])
    assert name in caught.value.what
    assert len(caught.value.worst) == 1
