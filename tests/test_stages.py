"""The stage check: it names the first stage that differs, and nothing else passes."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.stages import check_stages, largest_difference
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
