"""What is there beside the recipe's detections, at the edges, and what is counted as borderline."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import agreement
from plugins.checks.agreement import Agreement, check_against_oracle
from plugins.checks.detections import Detections, Oracle
from tests.exact_oracles import HALF, MORE, PLAIN, RIGID, STEP, WHOLE, apart, knows, row
from tests.oracles import detections
from tests.training_records import failing

# --- sound ---


def may_be_extra(*rows, kept, present=None, limit: int = 9, tolerance=RIGID) -> bool:
    """Whether the last candidate may be reported."""
    against = knows(*rows, kept=kept, limit=limit)
    present = set(range(len(rows))) if present is None else present
    return agreement._may_be_extra(len(rows) - 1, present, against, tolerance)


@pytest.mark.parametrize(("off", "excused"), [(0, True), (2, True), (3, False)])
def test_of_two_that_overlap_either_may_stay_if_their_scores_are_equal(off, excused):
    first = row(0.75 + off * STEP, WHOLE)
    assert may_be_extra(first, row(0.75, MORE), kept=[0, -1]) == excused


def test_what_suppresses_is_of_the_class_no_worse_and_overlaps_enough():
    low, strong = row(0.75, MORE), row(0.9, WHOLE)
    assert not may_be_extra(strong, low, kept=[0, -1])
    assert may_be_extra(row(0.9, WHOLE, 1), low, kept=[0, -1])
    assert may_be_extra(row(0.7, WHOLE), low, kept=[0, -1])
    assert may_be_extra(row(0.9, WHOLE), row(0.75, HALF), kept=[0, -1])
    assert may_be_extra(strong, low, kept=[-1, -1])


def test_every_suppressor_has_to_be_excused():
    low, strong, equal = row(0.75, MORE), row(0.9, WHOLE), row(0.75, WHOLE)
    assert not may_be_extra(strong, equal, low, kept=[0, 1, -1])
    assert may_be_extra(strong, equal, low, kept=[0, 1, -1], present={1, 2})
    assert not may_be_extra(strong, equal, low, kept=[0, 1, -1], present={0, 2})
    assert may_be_extra(strong, low, kept=[0, -1], present={1})


def test_an_overlap_on_the_edge_is_one_that_rounding_can_undo():
    """Of boxes of 80 px that overlap by 5/8: a pixel does not bring them to one half, eight do."""
    wide = [0, 0, 80, 80], [0, 0, 80, 50]
    rows = [row(0.9, wide[0]), row(0.75, wide[1])]
    for px, excused in ((0.0, False), (1.0, False), (8.0, True)):
        tolerance = dataclasses.replace(RIGID, box_px=px)
        assert may_be_extra(*rows, kept=[0, -1], tolerance=tolerance) == excused


@pytest.mark.parametrize(("px", "excused"), [(2.0, True), (1.9, False)])
def test_an_overlap_that_rounding_brings_to_the_threshold_itself_is_on_the_edge(px, excused):
    """By two pixels a side: 104 x 104 px, of which 64 x 84.5 px are one half."""
    rows = row(0.9, [0, 0, 100, 100]), row(0.75, [1, 1, 69, 89.5])
    tolerance = dataclasses.replace(RIGID, box_px=px)
    assert may_be_extra(*rows, kept=[0, -1], tolerance=tolerance) == excused


def test_what_overlaps_by_the_threshold_does_not_suppress_and_so_excuses_nothing():
    rows = row(0.9, WHOLE), row(0.9, [50, 50, 60, 60]), row(0.75, HALF)
    assert not may_be_extra(*rows, kept=[0, 1, -1], limit=2)


@pytest.mark.parametrize(("off", "excused"), [(0, True), (2, True), (3, False)])
@pytest.mark.parametrize("limit", [2, 3])
def test_what_nothing_suppresses_stood_at_the_cut_or_within_two_roundings_of_it(
    off, excused, limit
):
    """The cut is the last of a full result, else the threshold."""
    last = row(0.75 + off * STEP, [100, 100, 110, 110])
    rows = [row(0.9, [200, 200, 210, 210]), last, row(0.75, WHOLE)]
    assert may_be_extra(*rows, kept=[0, 1, -1], limit=limit) == (excused or limit == 3)


@pytest.mark.parametrize(("steps", "excused"), [(4, True), (5, False)])
def test_a_candidate_below_the_threshold_may_be_reported_within_two_roundings(steps, excused):
    """Below one half a rounding is half a step."""
    rows = [row(0.9, [200, 200, 210, 210]), row(0.5 - steps * STEP / 4, WHOLE)]
    assert may_be_extra(*rows, kept=[0, -1]) == excused
    assert may_be_extra(rows[1], kept=[-1], limit=0) == excused


def test_where_one_of_a_full_result_is_absent_the_next_moves_up():
    rows = [row(0.9, [200, 200, 210, 210]), row(0.85, [100, 100, 110, 110]), row(0.6, WHOLE)]
    kept = [0, 1, -1]
    assert not may_be_extra(*rows, kept=kept, limit=2)
    assert may_be_extra(*rows, kept=kept, limit=2, present={0, 2})
    assert may_be_extra(*rows, kept=kept, limit=2, present=set())
    against = knows(*rows, kept=kept, limit=3)
    assert not agreement._lost_room(set(), np.array([0, 1]), against)


def test_extra_is_what_is_explained_by_a_candidate_that_is_not_reported():
    against = knows(*apart(4), kept=[-1, -1, 0, -1])
    extra = agreement._extra(np.array([1, 2, -1, 0]), against)
    assert extra.tolist() == [0, 3]


def test_each_detection_that_is_not_left_by_the_recipe_is_named():
    rows = [row(0.9, WHOLE), row(0.75, MORE), row(0.7, [0, 0, 8, 7]), row(0.9, WHOLE, 1)]
    against = knows(*rows, kept=[0, -1, -1, 1])
    tight = dataclasses.replace(PLAIN, box_px=0.01)
    failure = failing(check_against_oracle, detections(*rows), against, tight)
    assert failure.what == "detections that should have been suppressed or cut off"
    assert failure.actual.startswith("2 of 4 detections are not left")
    assert failure.worst == [detections(rows[k]).row(0) for k in (1, 2)]


def doubles(*boxes, labels=None, tolerance=RIGID) -> list:
    found = detections(*(row(0.75, box, 0) for box in boxes))
    found = Detections(found.boxes, np.array(labels or [0] * len(boxes)), found.scores)
    return agreement._doubles(found, knows(), tolerance)


def test_two_of_a_class_may_overlap_by_the_threshold_itself():
    assert doubles(WHOLE, HALF) == []
    assert doubles(WHOLE, MORE) == [(0.625, 0, 1)]
    assert doubles(WHOLE, MORE, labels=[0, 1]) == []
    assert doubles(WHOLE, [20, 20, 28, 28], MORE, [0, 0, 8, 7]) == [
        (0.875, 0, 3),
        (5 / 7, 2, 3),
        (0.625, 0, 2),
    ]


def test_the_same_box_twice_is_a_double_unless_it_is_none():
    loose = dataclasses.replace(RIGID, box_px=6.0)  # no overlap is sure
    assert doubles(WHOLE, [0, 0, 8, 7], tolerance=loose) == []
    assert [pair[1:] for pair in doubles(WHOLE, WHOLE, tolerance=loose)] == [(0, 1)]
    assert doubles(WHOLE, WHOLE, labels=[3, 4], tolerance=loose) == []
    for empty in ([0, 0, 0, 8], [0, 0, 8, 0], [8, 8, 0, 0]):
        assert doubles(empty, empty, tolerance=loose) == []


def test_a_double_is_shown_with_its_overlap():
    twice = [row(0.75, WHOLE), row(0.75, WHOLE)]
    failure = failing(check_against_oracle, detections(*twice), knows(twice[0]), PLAIN)
    assert failure.actual == "1 pairs beyond it"
    one = detections(twice[0]).row(0)
    assert failure.worst[0].endswith(f": {one} and {one}")


# --- counted ---


def test_an_agreement_tells_its_largest_differences():
    rows = apart(3)
    found = [rows[0], tuple(np.add(rows[1], [0, -STEP, 0.25, 0, 0, -0.5]))]
    found.append(tuple(np.add(rows[2], [0, STEP / 2, 0.75, 0, 0, 0])))
    told = check_against_oracle(detections(*found), knows(*rows), PLAIN)
    assert (told.found, told.expected, told.matched, told.borderline) == (3, 3, 3, 0)
    assert (told.score_error, told.box_error, told.stress) == (STEP, 0.75, 1.0)
    nothing = check_against_oracle(detections(), knows(), PLAIN)
    assert nothing == Agreement(0, 0, 0, 0, 0.0, 0.0, 0.0)


def swapped(pairs: int, alone: int = 0) -> tuple[Detections, Oracle]:
    """Pairs of equal score of which rounding has kept the other one, and some without a rival."""
    rows = [row(0.75, WHOLE, k) for k in range(pairs)] + [row(0.75, MORE, k) for k in range(pairs)]
    rows += [row(0.75, WHOLE, 50 + k) for k in range(alone)]
    kept = [*range(pairs), *[-1] * pairs, *range(pairs, pairs + alone)]
    return detections(*rows[pairs:]), knows(*rows, kept=kept, limit=99)


@pytest.mark.parametrize(
    ("pairs", "alone", "share", "budget"), [(1, 3, 0.25, 1), (2, 3, 0.25, 2), (2, 2, 0.5, 2)]
)
def test_the_budget_is_a_share_of_what_is_expected_rounded_up(pairs, alone, share, budget):
    tolerance = dataclasses.replace(PLAIN, borderline=share, box_px=0.01)
    found, against = swapped(pairs, alone)
    assert check_against_oracle(found, against, tolerance).borderline == budget
    found, against = swapped(budget + 1, pairs + alone - budget - 1)
    failure = failing(check_against_oracle, found, against, tolerance)
    assert failure.what == "too many detections depend on rounding"
    assert failure.expected.startswith(f"at most {budget} of {pairs + alone} detections")
    assert failure.actual == f"{budget + 1} detections"
    assert failure.needed == f"borderline {(budget + 1) / (pairs + alone):.4g}"
    assert failure.worst == [against.candidates.row(k) for k in range(budget + 1)]


def test_where_nothing_is_expected_one_may_depend_on_rounding():
    tolerance = dataclasses.replace(PLAIN, borderline=1.0)
    explained, extra = np.array([0, 1]), np.array([0, 1])
    for count in (1, 2):
        rows = [row(0.75, [90 * k, 0, 90 * k + 9, 9]) for k in range(count)]
        against = knows(*rows, kept=[-1] * count)
        known = detections(*rows), against, explained[:count], np.zeros(0, int), extra[:count]
        if count == 1:
            assert agreement._agreement(*known, tolerance).borderline == 1
        else:
            assert failing(agreement._agreement, *known, tolerance).needed == "borderline 2"


def test_borderline_is_the_greater_of_what_is_lost_and_what_is_revived():
    rows = apart(4)
    against, found = knows(*rows, kept=[0, 1, 2, -1]), detections(*rows)
    for missing, extra, count in (([0, 1], [3], 2), ([0], [2, 3], 2), ([0], [], 1), ([], [], 0)):
        counted = agreement._borderline(found, against, np.arange(4), missing, extra, PLAIN)
        assert counted == count


def test_who_stands_at_the_cut_is_not_counted():
    rows = [row(0.75, [0, 0, 8, 8]), row(0.5, [50, 0, 58, 8]), row(0.5, [90, 0, 98, 8])]
    against, found = knows(*rows, kept=[0, 1, -1]), detections(*rows)
    for missing, extra in (([1], []), ([], [2])):
        assert agreement._borderline(found, against, np.arange(3), missing, extra, PLAIN) == 0
