"""The stage check: it names the first stage that differs, and nothing else passes."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.stages import check_stages, largest_difference, spacings
from plugins.contracts import Parity
from plugins.failure import CheckFailure

STAGES = ("res3", "p3", "logits3")
ALLOWED = Parity(case="coffee", samples=8, spacings=4.0, derivation="for this test")
SPACING = np.spacing(np.float32(8.0))


def stages() -> dict[str, np.ndarray]:
    """Three stages of values up to 8."""
    return {name: np.linspace(-8, 8, 8).astype(np.float32) for name in STAGES}


def moved(*names: str, by: float) -> dict[str, np.ndarray]:
    """The stages with the first value of some of them moved."""
    found = stages()
    for name in names:
        found[name][0] += np.float32(by)
    return found


def test_equal_stages_pass():
    check_stages(stages(), stages(), ALLOWED)


@pytest.mark.parametrize("name", STAGES)
def test_rounding_passes_and_is_measured(name):
    found = moved(name, by=4 * SPACING)
    check_stages(found, stages(), ALLOWED)
    assert largest_difference(found, stages()) == 4.0


@pytest.mark.parametrize("name", STAGES)
def test_one_spacing_more_fails_and_says_what_it_needs(name):
    with pytest.raises(CheckFailure) as caught:
        check_stages(moved(name, by=5 * SPACING), stages(), ALLOWED)
    assert caught.value.what == f"the network departs from detectron2 at {name}"
    assert caught.value.needed == "spacings = 5"


def test_the_first_stage_is_named_though_later_ones_are_worse():
    found = moved("p3", by=0.1)
    found["logits3"] += 5
    with pytest.raises(CheckFailure, match=r"(?m)at p3$") as caught:
        check_stages(found, stages(), ALLOWED)
    assert [row.split(":")[0] for row in caught.value.worst] == ["p3", "logits3"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_fails(value):
    with pytest.raises(CheckFailure, match=r"(?m)at logits3$"):
        check_stages(moved("logits3", by=value), stages(), ALLOWED)


def test_fewer_detections_than_recorded_fail():
    found = stages()
    found["logits3"] = found["logits3"][:7]
    with pytest.raises(CheckFailure, match=r"(?m)at logits3$"):
        check_stages(found, stages(), ALLOWED)


@pytest.mark.parametrize("missing_in", ["found", "recorded"])
def test_a_stage_that_only_one_side_has_fails(missing_in):
    sides = {"found": stages(), "recorded": stages()}
    del sides[missing_in]["p3"]
    with pytest.raises(CheckFailure, match="other stages"):
        check_stages(sides["found"], sides["recorded"], ALLOWED)


def test_a_spacing_is_that_of_the_largest_magnitude_of_either_sign():
    for largest in (-8.0, 8.0, -(2.0**-9)):
        recorded = np.array([largest, 0.5 * abs(largest)], np.float32)
        found = recorded.copy()
        found[1] += np.spacing(np.float32(abs(largest)))
        assert spacings(found, recorded) == 1.0


def test_the_worst_sample_and_another_shape_are_shown():
    found = moved("p3", by=1.0)
    found["p3"][5] += np.float32(0.5)
    found["logits3"] = found["logits3"][:7]
    with pytest.raises(CheckFailure) as caught:
        check_stages(found, stages(), ALLOWED)
    assert caught.value.worst == [
        "p3: -7 instead of -8 at sample 0",
        "logits3: shape (7,) instead of (8,)",
    ]


def test_stages_of_one_side_only_are_listed_in_order():
    names = [f"res{i}" for i in range(9)]
    with pytest.raises(CheckFailure) as caught:
        check_stages({**stages(), **dict.fromkeys(names[::2], 0)}, stages(), ALLOWED)
    assert caught.value.worst == names[::2]
