"""What the contracts say of their own sensitivity is measured, and a cheap part of it again here."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from plugins import contracts
from plugins.store import Store
from tests import sensitivity
from tests import sensitivity_of_detections as of_detections
from tests.bisection import smallest

GOLDEN = Store(sensitivity.HOUSE / "golden")
SMALL = contracts.load_all()[sensitivity.SMALL]


@pytest.mark.parametrize("limit", [1e-9, 0.3, 7.0, 1e6])
def test_the_smallest_deviation_is_found_from_either_side(limit):
    assert smallest(lambda by: by >= limit, 0.01) == pytest.approx(limit, rel=0.02)


def test_what_is_never_caught_is_infinite_and_what_always_is_nothing():
    assert smallest(lambda by: False, 1.0) == math.inf
    assert smallest(lambda by: True, 1.0) == 0.0


def test_each_figure_of_a_contract_is_the_measured_one():
    measured = json.loads(sensitivity.FILE.read_text(encoding="utf-8"))["tolerances"]
    tables = [*sensitivity.detections(GOLDEN), *sensitivity.others(GOLDEN), *sensitivity.whole()]
    assert {one.name for one in tables} == set(measured)
    wrong = [
        line
        for one in tables
        for line in sensitivity.disagreements(
            one.name, one.declared.caught, measured[one.name]["caught"]
        )
    ]
    assert wrong == []


def test_a_figure_that_no_longer_holds_is_said():
    declared, found = {"one_box_px": 0.5, "gone": 1.0}, {"one_box_px": 0.8, "new": 1.0}
    assert sensitivity.disagreements("t", declared, found) == [
        "t: caught.gone is not measured",
        "t: caught.one_box_px says 0.5, measured 0.8",
        "t: caught.new says None, measured 1.0",
    ]


@pytest.mark.parametrize("backend", ["reference", "aie"])
@pytest.mark.parametrize("name", ["all_boxes_px", "all_logits"])
def test_a_change_of_all_detections_is_caught_from_where_the_contract_says(backend, name):
    tolerance = SMALL.tolerance[backend]
    change, start = of_detections.ALL[name]
    known = of_detections.oracles(SMALL, GOLDEN)
    found = of_detections.of_all(known, tolerance, change, start)
    assert found == pytest.approx(tolerance.caught[name], rel=sensitivity.AGREE)


@pytest.mark.parametrize("part", ["batch_nms", "parity", "throughput"])
def test_cheap_figures_are_measured_again(part):
    for one in sensitivity.others(GOLDEN):
        if part in one.name:
            assert sensitivity.disagreements(one.name, one.declared.caught, one.measure()) == []


def test_a_detection_that_is_lost_alone_is_mostly_noticed():
    shares = {
        backend: of_detections.lost(of_detections.oracles(SMALL, GOLDEN)[:2], tolerance)
        for backend, tolerance in SMALL.tolerance.items()
    }
    assert shares["reference"] > 0.9
    assert np.all([share > 0.6 for share in shares.values()]), shares
