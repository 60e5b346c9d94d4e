"""Agreement at its edges: exactly what rounding allows is explained, the next number is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import agreement
from plugins.checks.agreement import Agreement, check_against_oracle, explain, may_be_missing
from tests.exact_oracles import HALF, MORE, PLAIN, RIGID, STEP, WHOLE, apart, knows, row
from tests.oracles import detections
from tests.training_records import failing

# --- explained ---


def test_the_share_that_is_matched_is_of_what_is_expected():
    some = Agreement(5, 4, 1, 0, 0.0, 0.0, 0.0)
    assert some.share_matched == 25.0
    assert dataclasses.replace(some, expected=0, matched=0).share_matched == 100.0


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", range(4))
def test_a_corner_may_be_off_by_the_allowance_itself(place, sign):
    box = [20.0, 20, 40, 40]
    against = knows(row(box=box))
    box[place] += sign
    found = check_against_oracle(detections(row(box=box)), against, PLAIN)
    assert (found.matched, found.box_error, found.score_error, found.stress) == (1, 1.0, 0.0, 1.0)
    box[place] += sign * 0.5
    failure = failing(check_against_oracle, detections(row(box=box)), against, PLAIN)
    assert failure.needed == "tolerances 1.5 times as wide"
    assert failure.worst[0].endswith("(score off by +0.0000, box by 1.50 px)")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_score_may_be_off_by_the_allowance_itself(sign):
    against = knows(row())
    found = check_against_oracle(detections(row(0.75 + sign * STEP)), against, PLAIN)
    assert (found.matched, found.score_error, found.box_error, found.stress) == (1, STEP, 0, 1)
    failure = failing(check_against_oracle, detections(row(0.75 + sign * 4 * STEP)), against, PLAIN)
    assert failure.needed == "tolerances 4 times as wide"
    assert failure.worst[0].endswith(f"(score off by {sign * 4 * STEP:+.4f}, box by 0.00 px)")


def test_a_detection_is_the_nearest_candidate_of_its_class():
    candidates = detections(
        row(box=[0, 0, 8, 8]),
        row(label=1),
        row(box=[0.5, 0, 8, 8]),
        row(label=1, box=[50, 0, 60, 9]),
    )
    found = detections(
        row(label=1, box=[50, 0, 60, 9]), row(box=[0.4, 0, 8, 8]), row(label=2), row()
    )
    assert explain(found, candidates, PLAIN).tolist() == [3, 2, -1, 0]
    far = detections(row(box=[0, 0, 8, 10]))
    assert explain(far, candidates, PLAIN).tolist() == [-1]
    assert explain(far, candidates, PLAIN, times=2.0).tolist() == [0]
    assert explain(far, candidates, PLAIN, times=1.9).tolist() == [-1]
    assert explain(detections(), candidates, PLAIN).tolist() == []


def test_the_furthest_stray_is_shown_first_beside_its_nearest_candidate():
    rows = apart(5)
    found = [*rows[:3], tuple(np.add(rows[3], [0, 0, 3, 0, 0, 0]))]
    found.append(tuple(np.add(rows[4], [0, 0, 0, -7, 0, 0])))
    failure = failing(check_against_oracle, detections(*found), knows(*rows), PLAIN)
    assert failure.what == "some detections are off by up to 7 times what rounding explains"
    assert failure.actual == "2 of 5 detections are not"
    assert failure.needed == "tolerances 7 times as wide"
    assert [line.partition(" score")[0] for line in failure.worst] == ["class 4", "class 3"]
    nearest = detections(rows[4]).row(0)
    assert f"; nearest: {nearest} (score off by +0.0000, box by 7.00 px)" in failure.worst[0]


def test_one_class_that_no_candidate_has_needs_no_tolerance():
    rows = apart(3)
    found = [rows[0], tuple(np.add(rows[1], [0, 0, 2, 0, 0, 0])), (9, *rows[2][1:])]
    failure = failing(check_against_oracle, detections(*found), knows(*rows), PLAIN)
    assert failure.needed is None and len(failure.worst) == 2


@pytest.mark.parametrize(("strays", "named"), [(2, False), (3, True)])
def test_a_defect_is_looked_for_where_more_than_half_are_strays(strays, named):
    rows = apart(4)
    spread = [(one[0] * 10, *one[1:]) for one in rows]
    found = [(one[0] * 10 + (k < strays), *one[1:]) for k, one in enumerate(rows)]
    failure = failing(check_against_oracle, detections(*found), knows(*spread), PLAIN)
    assert (failure.what == "detections that nothing explains") != named


@pytest.mark.parametrize(("off", "named"), [(20.0, True), (20.25, False)])
def test_after_a_cure_twenty_tolerances_are_allowed(off, named):
    rows = apart(4)
    found = [tuple(np.add(one, [1, 0, off, 0, 0, 0])) for one in rows]
    failure = failing(check_against_oracle, detections(*found), knows(*rows), PLAIN)
    assert (failure.what == "labels are shifted by +1") == named


def test_a_cure_has_to_work_for_as_many_of_the_best_as_are_reported():
    """Of five that are reported one is no candidate: four fifths are enough; what follows is not asked."""
    rows = apart(5)
    rest = [(7, 0.55, 900 + 40 * k, 900, 930 + 40 * k, 990) for k in range(4)]
    against = knows(*rows, *rest, kept=[0, 1, 2, 3, 4, -1, -1, -1, -1])
    found = [(one[0] + 1, *one[1:]) for one in rows]
    found[0] = (1, found[0][1], 600, 600, 700, 650)
    found += [(30, 0.52, 10, 10, 20, 20)] * 5
    failure = failing(check_against_oracle, detections(*found), against, PLAIN)
    assert failure.what == "labels are shifted by +1"


def test_where_all_fit_candidates_that_are_clipped_that_is_said():
    against = knows(row(box=[-30, -20, 50, 60]), row(0.7, [10, 10, 40, 140], 1))
    found = detections(row(box=[0, 0, 50, 60]), row(0.7, [10, 10, 40, 100], 1))
    failure = failing(check_against_oracle, found, against, PLAIN)
    assert failure.what == "boxes are clipped to the input"
    one = detections(row(box=[0, 0, 50, 60]), row(0.7, [90, 10, 99, 100], 1))
    assert failing(check_against_oracle, one, against, PLAIN).what != failure.what


# --- complete ---


def test_each_detection_of_the_oracle_that_is_lost_is_named():
    rows = apart(5)
    failure = failing(check_against_oracle, detections(*rows[:3]), knows(*rows), PLAIN)
    assert failure.what == "detections are missing"
    assert failure.expected == "the 5 detections of the recipe in float64"
    assert failure.actual.startswith("3 detections; 2 of the expected are not among them")
    assert failure.worst == [detections(*rows).row(3), detections(*rows).row(4)]
    failure = failing(check_against_oracle, detections(), knows(*rows), PLAIN)
    assert failure.what == "there are no detections"


def test_another_class_in_its_place_does_not_replace_a_detection():
    against = knows(row(), row(0.75, label=1), kept=[0, -1])
    assert agreement._missing(detections(row(label=1)), against, PLAIN).tolist() == [0]
    assert agreement._missing(detections(row()), against, PLAIN).tolist() == []
    assert agreement._missing(detections(), against, PLAIN).tolist() == [0]
    for off, lost in ((1, []), (1.5, [0])):
        near = detections(row(box=[off, 0, 8, 8]))
        assert agreement._missing(near, against, PLAIN).tolist() == lost


@pytest.mark.parametrize(
    ("score", "excused"), [(0.5 + STEP, True), (0.5 + 2 * STEP, False), (0.5, True)]
)
def test_a_score_within_its_rounding_of_the_threshold_may_be_missing(score, excused):
    assert may_be_missing(0, detections(), knows(row(score)), PLAIN) == excused


@pytest.mark.parametrize(("above", "excused"), [(2, True), (3, False), (0, True)])
@pytest.mark.parametrize("limit", [2, 3])
def test_a_score_within_two_roundings_of_the_last_of_a_full_result_may_be_missing(
    above, excused, limit
):
    against = knows(row(0.75 + above * STEP), limit=limit)
    found = detections(row(0.9, label=1), row(0.75, label=2))
    assert may_be_missing(0, found, against, PLAIN) == (excused and limit == 2)


@pytest.mark.parametrize(
    ("rival", "excused"),
    [
        (row(0.75, MORE), True),
        (row(0.75, HALF), False),
        (row(0.75 - 2 * STEP, MORE), True),
        (row(0.75 - 3 * STEP, MORE), False),
        (row(0.9, MORE), True),
        (row(0.75, MORE, 1), False),
    ],
)
def test_a_detection_may_be_suppressed_by_one_that_is_no_worse_and_overlaps_it(rival, excused):
    found = detections(rival, row(0.9, [50, 50, 60, 60]))
    assert may_be_missing(0, found, knows(row(box=WHOLE)), RIGID) == excused
