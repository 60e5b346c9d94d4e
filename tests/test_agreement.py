"""Agreement: what rounding explains passes, and each kind of defect fails in its own words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins import contracts
from plugins.checks.agreement import check_against_oracle
from plugins.checks.attribution import attribute, check_no_defect
from plugins.checks.detections import Detections, box_allowance, score_allowance
from plugins.failure import CheckFailure
from tests.oracles import TOLERANCE, detections, oracle, oracles

quickly = settings(derandomize=True, max_examples=80, deadline=None, database=None)
NONE = detections()
# Two boxes of class 0, one of class 1, one of class 2 just above the threshold; two candidates that
# NMS drops: one far beyond the IoU threshold (0.82), one on its edge (0.51 against 0.5).
APART, OTHER = (0, 0.9, 100, 100, 200, 200), (0, 0.8, 400, 400, 500, 600)
SECOND, FAINT = (1, 0.7, 700, 100, 900, 300), (2, 0.0502, 50, 700, 150, 800)
COVERED, EDGE = (0, 0.6, 105, 105, 205, 205), (1, 0.5, 764.9, 100, 964.9, 300)
WHOLE = oracle(detections(APART, OTHER, SECOND, FAINT, COVERED, EDGE))
FOUND = detections(APART, OTHER, SECOND, FAINT)
# Room for two of three, the last two of almost equal score.
NARROW = oracle(
    detections((0, 0.9, 0, 0, 9, 9), (0, 0.5, 50, 0, 59, 9), (0, 0.4999, 90, 0, 99, 9)), 2
)


def moved(row, **fields):
    """A row with some of its fields (label, score, x1, ...) changed by so much."""
    names = ("label", "score", "x1", "y1", "x2", "y2")
    return tuple(value + fields.get(name, 0) for name, value in zip(names, row))


def judged(found: Detections, against=WHOLE, tolerance=TOLERANCE):
    return check_against_oracle(found, against, tolerance)


def failed(found: Detections, against=WHOLE, tolerance=TOLERANCE) -> CheckFailure:
    with pytest.raises(CheckFailure) as failure:
        judged(found, against, tolerance)
    return failure.value


def test_the_hand_made_oracle_is_what_it_claims_to_be():
    assert WHOLE.kept.tolist() == [0, 1, 2, -1, -1, 3]
    assert NARROW.kept.tolist() == [0, 1, -1]


def test_an_exact_result_agrees_and_is_counted():
    agreement = judged(FOUND)
    assert (agreement.found, agreement.expected, agreement.matched) == (4, 4, 4)
    assert (agreement.borderline, agreement.score_error, agreement.box_error) == (0, 0.0, 0.0)
    assert (agreement.stress, agreement.share_matched) == (0.0, 100.0)


@pytest.mark.parametrize("share", [0.99, -0.99])
def test_differences_within_the_allowance_agree(share):
    boxes = FOUND.boxes + share * box_allowance(FOUND.boxes, TOLERANCE)
    scores = FOUND.scores + share * score_allowance(FOUND.scores, TOLERANCE)
    agreement = judged(Detections(boxes, FOUND.labels, scores))
    assert agreement.stress == pytest.approx(0.99)
    assert agreement.matched == 4


@pytest.mark.parametrize("field", ["x1", "y1", "x2", "y2"])
def test_a_box_that_moved_further_is_a_stray_and_its_neighbour_is_named(field):
    allowed = 0.1 + 0.25 + 2.0  # of a side of 200 px up to 900 px, or up to 300 px
    allowed += 0.25 if field.startswith("x") else 0.0
    failure = failed(detections(APART, OTHER, moved(SECOND, **{field: 1.02 * allowed}), FAINT))
    assert failure.what.startswith("some detections are off by up to ")
    assert failure.actual == "1 of 4 detections are not"
    assert "nearest: class 1 score 0.7000 box [700.0 100.0 900.0 300.0]" in failure.worst[0]
    assert failure.needed == "tolerances 1.02 times as wide"


def test_a_score_that_is_off_is_a_stray():
    failure = failed(detections(APART, OTHER, moved(SECOND, score=-0.01), FAINT))
    assert failure.what.startswith("some detections are off by up to ")
    assert "(score off by -0.0100, box by 0.00 px)" in failure.worst[0]


def test_a_class_that_no_candidate_has_is_a_stray():
    failure = failed(detections(APART, OTHER, moved(SECOND, label=4), FAINT))
    assert "class 5 score 0.7000" in failure.worst[0]
    assert failure.worst[0].endswith("; no candidate of this class")
    assert failure.needed is None


def test_nan_is_explained_by_nothing():
    broken = moved(SECOND, x1=float("nan"))
    assert failed(detections(APART, OTHER, broken, FAINT)).actual == "1 of 4 detections are not"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_detection_missing_in_the_middle_fails(count):
    rows = [APART, OTHER, SECOND, FAINT]
    lost = rows.pop(count)
    failure = failed(detections(*rows))
    assert failure.what == "detections are missing"
    assert failure.actual.startswith("3 detections; 1 of the expected are not among them")
    assert failure.worst == [detections(lost).row(0)]


def test_a_detection_missing_at_the_threshold_is_excused():
    agreement = judged(detections(APART, OTHER, SECOND))
    assert (agreement.matched, agreement.expected) == (3, 4)
    assert agreement.borderline == 0


def test_a_detection_at_the_cut_may_give_way_to_its_equal():
    found = NARROW.candidates.take(np.array([0, 2]))
    assert judged(found, NARROW).matched == 1


def test_a_detection_well_above_the_cut_may_not_give_way():
    against = oracle(
        detections((0, 0.9, 0, 0, 9, 9), (0, 0.5, 50, 0, 59, 9), (0, 0.4, 90, 0, 99, 9)), 2
    )
    found = against.candidates.take(np.array([0, 2]))
    assert failed(found, against).what == "detections are missing"


def test_a_detection_may_give_way_to_one_that_nearly_overlaps_it():
    """Equal scores of one class, overlapping on the edge: either may be the one that stays."""
    twins = [(0, 0.6, 100, 100, 200, 200), (0, 0.5999, 132.9, 100, 232.9, 200)]
    against = oracle(detections(*twins))
    assert against.kept.tolist() == [0, -1]
    assert judged(detections(twins[1]), against).borderline == 1


def test_a_detection_may_be_suppressed_by_one_that_overlaps_it_almost_enough():
    pair = [(0, 0.9, 100, 100, 200, 200), (0, 0.6, 134, 100, 234, 200)]
    against = oracle(detections(*pair))
    assert against.kept.tolist() == [0, 1]
    assert judged(detections(pair[0]), against).borderline == 1
    assert failed(detections(pair[1]), against).what == "detections are missing"


def test_a_suppressed_candidate_fails():
    failure = failed(detections(APART, OTHER, SECOND, FAINT, COVERED))
    assert failure.what == "detections that should have been suppressed or cut off"
    assert failure.worst == [detections(COVERED).row(0)]


def test_a_candidate_on_the_edge_of_suppression_is_borderline():
    agreement = judged(detections(APART, OTHER, SECOND, FAINT, EDGE))
    assert (agreement.matched, agreement.borderline) == (4, 1)


def test_a_candidate_well_below_a_full_result_is_not_reported_beside_it():
    extra = detections((0, 0.9, 0, 0, 9, 9), (0, 0.5, 50, 0, 59, 9), (0, 0.3, 90, 0, 99, 9))
    assert failed(extra, oracle(extra, 2)).what == (
        "detections that should have been suppressed or cut off"
    )


def test_a_detection_that_is_there_twice_fails():
    failure = failed(detections(APART, APART, OTHER, SECOND, FAINT))
    assert failure.what == "two detections of one class overlap beyond the NMS threshold"
    assert failure.expected == "IoU <= 0.5 within a class"


def test_a_small_detection_that_is_there_forty_times_fails():
    """Small boxes far out: rounding may turn any overlap of two of them into any other."""
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) * 60.0 + 600
    boxes = np.concatenate([grid, grid + 8], axis=1)
    full = oracle(Detections(boxes, np.zeros(100, int), np.linspace(0.9, 0.3, 100)))
    repeated = np.concatenate([np.arange(60), np.full(40, 59)])
    assert failed(full.candidates.take(repeated), full).what


def test_the_same_box_in_another_class_is_another_detection():
    both = detections(APART, moved(APART, label=1))
    assert judged(both, oracle(both)).matched == 2


def test_more_borderline_detections_than_budgeted_fail():
    pairs = [
        [(k, 0.6, 100 * k, 0, 100 * k + 50, 50), (k, 0.5999, 100 * k, 16, 100 * k + 50, 66)]
        for k in range(5)
    ]
    against = oracle(detections(*(row for pair in pairs for row in pair)))
    found = detections(*(pair[k < 2] for k, pair in enumerate(pairs)))
    failure = failed(found, against)
    assert failure.what == "too many detections depend on rounding"
    assert failure.expected == "at most 1 of 5 detections (borderline 0.2)"
    assert failure.needed == "borderline 0.4"
    assert judged(found, against, dataclasses.replace(TOLERANCE, borderline=0.4)).borderline == 2


def test_nothing_found_where_nothing_is_agrees():
    agreement = judged(NONE, oracle(NONE))
    assert (agreement.matched, agreement.share_matched) == (0, 100.0)


def test_nothing_found_where_something_is_fails():
    failure = failed(NONE)
    assert failure.what == "there are no detections"
    assert len(failure.worst) == 3


def test_something_found_where_nothing_is_fails():
    assert failed(detections(APART), oracle(NONE)).what == "detections that nothing explains"


def crowd(count: int = 8) -> Detections:
    """Boxes of unlike shape on a diagonal, each of its own class."""
    return detections(
        *((k, 0.9 - 0.05 * k, 150 * k, 90 * k, 150 * k + 120, 90 * k + 60) for k in range(count))
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: dict(boxes=d.boxes[:, [1, 0, 3, 2]]), "boxes have x and y swapped"),
        (lambda d: dict(boxes=d.boxes + 300), "boxes are wrong by 3e+02 px"),
        (lambda d: dict(boxes=d.boxes + 0.5 * np.diff(d.boxes[:, ::2])), "boxes are wrong by "),
        (lambda d: dict(labels=d.labels + 1), "labels are shifted by +1"),
        (lambda d: dict(labels=d.labels - 1), "labels are shifted by -1"),
        (lambda d: dict(scores=d.scores / 2), "scores are wrong, boxes and classes are right"),
    ],
)
def test_a_defect_of_all_detections_is_called_by_its_name(change, words):
    found = dataclasses.replace(crowd(), **change(crowd()))
    assert failed(found, oracle(crowd())).what.startswith(words)


@quickly
@given(oracles())
def test_an_oracle_agrees_with_itself(any_oracle):
    agreement = judged(any_oracle.result, any_oracle)
    assert agreement.matched == agreement.expected == agreement.found
    assert (agreement.borderline, agreement.stress) == (0, 0.0)


@quickly
@given(oracles(), st.sampled_from(["retinanet_shapes", "retinanet_r50_fpn_3x"]))
def test_an_oracle_rounded_to_fp16_agrees_under_the_shipped_tolerance(any_oracle, name):
    tolerance = contracts.load_all()[name].tolerance["reference"]
    result = any_oracle.result
    rounded = Detections(
        result.boxes.astype(np.float16).astype(float),
        result.labels,
        result.scores.astype(np.float16).astype(float),
    )
    agreement = judged(rounded, any_oracle, tolerance)
    assert agreement.matched == agreement.expected


@quickly
@given(oracles(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_never_matters(any_oracle, seed):
    """Also for results that fail: some rows are dropped, moved or relabelled first."""
    random = np.random.RandomState(seed)
    found = any_oracle.candidates.take(
        np.flatnonzero(random.rand(len(any_oracle.candidates)) < random.choice([0.5, 0.9, 1.0]))
    )
    boxes = found.boxes + random.choice([0, 0, 0, 0.5, 40], (len(found), 1))
    found = Detections(boxes, found.labels + (random.rand(len(found)) < 0.05), found.scores)
    assert verdict(found, any_oracle) == verdict(
        found.take(random.permutation(len(found))), any_oracle
    )


def verdict(found: Detections, against) -> tuple:
    try:
        return (judged(found, against),)
    except CheckFailure as failure:
        return (failure.what, failure.actual, sorted(failure.worst))


def test_what_detectron2_finds_is_split_into_its_four_fates():
    """The rewrite drops one class of stock's five; rounding one; one is lost; two are there."""
    stock = detections(APART, OTHER, SECOND, FAINT, (3, 0.6, 10, 10, 60, 60))
    parts = attribute(detections(APART, OTHER), WHOLE, stock, TOLERANCE)
    assert (parts.stock, parts.same, parts.intended, parts.precision) == (5, 2, 1, 1)
    assert parts.defects == [detections(SECOND).row(0)]
    assert parts.share_same == 40.0
    with pytest.raises(CheckFailure) as failure:
        check_no_defect(parts)
    assert failure.value.what == "detections of detectron2 are lost without a reason"
    assert failure.value.actual == "1 of 5 are not (1 intended, 1 precision)"


def test_no_defect_is_found_where_stock_and_device_agree():
    parts = attribute(FOUND, WHOLE, FOUND, TOLERANCE)
    assert (parts.same, parts.intended, parts.precision, parts.defects) == (4, 0, 0, [])
    check_no_defect(parts)
    check_no_defect(attribute(NONE, oracle(NONE), NONE, TOLERANCE))
