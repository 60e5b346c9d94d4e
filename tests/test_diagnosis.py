"""The name of a defect: each systematic one by its cure, and where no cure is known what is right."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks.attribution import Attribution, attribute
from plugins.checks.detections import Detections
from plugins.checks.diagnosis import CURES, beyond, clipped, diagnose, differences
from plugins.checks.transfer import NONE, Difference, difference
from tests.oracles import TOLERANCE, detections, oracle

# Ten boxes without any symmetry, far from each other.
ROWS = [
    (k, 0.9 - 0.05 * k, 100.0 * k + 10, 7.0 * k + 3, 100.0 * k + 31 + k, 7.0 * k + 50)
    for k in range(10)
]
CANDIDATES = detections(*ROWS)


def exactly(found: Detections, candidates: Detections) -> np.ndarray:
    """The candidate that each detection is, number by number, or -1."""

    def table(some: Detections) -> np.ndarray:
        return np.column_stack([some.boxes, some.labels, some.scores])

    same = np.isclose(table(found)[:, None], table(candidates)[None], rtol=0, atol=1e-9).all(-1)
    return np.where(same.any(1), same.argmax(1), -1)


def spoiled(boxes=None, labels=None, scores=None, rows=slice(None)) -> Detections:
    """The candidates with one of the three changed, in some rows."""
    parts = dataclasses.asdict(CANDIDATES)
    for name, change in (("boxes", boxes), ("labels", labels), ("scores", scores)):
        if change:
            parts[name] = parts[name].copy()
            parts[name][rows] = change(parts[name][rows])
    return Detections(**parts)


def sides(b):
    return np.column_stack([b[:, 0], b[:, 1], b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]])


def centre(b):
    middle = (b[:, :2] + b[:, 2:]) / 2
    return np.column_stack([middle, b[:, 2:] - b[:, :2]])


DEFECTS = {
    "boxes have x and y swapped": {"boxes": lambda b: b[:, [1, 0, 3, 2]]},
    "boxes are x1 x2 y1 y2": {"boxes": lambda b: b[:, [0, 2, 1, 3]]},
    "boxes are x y width height": {"boxes": sides},
    "boxes are centre x y, width height": {"boxes": centre},
    "labels are shifted by +1": {"labels": lambda x: x + 1},
    "labels are shifted by -1": {"labels": lambda x: x - 1},
    "scores are logits: the sigmoid is missing": {"scores": lambda s: np.log(s / (1 - s))},
    "scores went through the sigmoid twice": {"scores": lambda s: 1 / (1 + np.exp(-s))},
    "scores are percentages": {"scores": lambda s: 100 * s},
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_systematic_defect_is_named_by_its_cure(name):
    assert list(CURES) == list(DEFECTS)
    assert diagnose(spoiled(**DEFECTS[name]), CANDIDATES, 10, exactly) == name


def test_what_no_cure_explains_has_no_name():
    assert diagnose(spoiled(boxes=lambda b: b + 50), CANDIDATES, 10, exactly) == ""


@pytest.mark.parametrize(("right", "name"), [(8, "labels are shifted by +1"), (7, "")])
def test_a_cure_must_explain_eight_in_ten(right, name):
    found = spoiled(labels=lambda x: x + 1)
    found.boxes[right:] += 50
    assert diagnose(found, CANDIDATES, 10, exactly) == name


def test_only_as_many_as_are_reported_are_looked_at_the_best_first():
    found = spoiled(labels=lambda x: x + 1)
    found.boxes[8:] += 50
    noise = detections(*((50, 0.01, 1, 2, 3, 4) for _ in range(30)))
    together = Detections(
        *(np.concatenate([getattr(part, name) for part in (noise, found)])
          for name in ("boxes", "labels", "scores"))
    )  # fmt: skip
    assert diagnose(together, CANDIDATES, 10, exactly) == "labels are shifted by +1"
    assert diagnose(together, CANDIDATES, 11, exactly) == ""


def test_where_nothing_is_reported_the_best_one_is_looked_at():
    found = spoiled(labels=lambda x: x + 1)
    found.boxes[1:] += 50
    assert diagnose(found, CANDIDATES, 0, exactly) == "labels are shifted by +1"
    assert diagnose(found, CANDIDATES, 2, exactly) == ""


def test_a_score_of_nothing_or_of_one_has_a_logit():
    ends = detections((0, 0.0, 0, 0, 1, 1), (0, 1.0, 0, 0, 1, 1))
    found = CURES["scores went through the sigmoid twice"](ends).scores
    assert found == pytest.approx([-27.631, 27.631], abs=1e-3)


def test_clipping_is_to_nothing_and_to_the_furthest_coordinate():
    found = detections((0, 0.5, 1, 2, 30, 4))
    wild = detections((0, 0.5, -5, 0.5, 40, 29))
    assert clipped(wild, found).boxes.tolist() == [[0, 0.5, 30, 29]]


def test_what_is_far_beyond_rounding_is_not_called_off():
    assert beyond(20.0) == "some detections are off by up to 20 times what rounding explains"
    assert beyond(20.5) == "detections that nothing explains"


# Allowed are 1 px and one fp16 spacing of the score.
PLAIN = SimpleNamespace(score_logit=0.0, score_ulp=1.0, box_px=1.0, box_ulp=0.0, box_relative=0.0)
SCORES_WRONG = "scores are wrong, boxes and classes are right"


def told(found: Detections) -> str:
    return differences(found, CANDIDATES, PLAIN)


def test_what_is_right_beside_wrong_scores_is_said():
    assert told(spoiled(scores=lambda s: s - 0.3)) == SCORES_WRONG
    assert told(spoiled(scores=lambda s: s + 0.3)) == SCORES_WRONG


def test_what_is_right_beside_wrong_classes_is_said():
    text = "classes are wrong, boxes are right"
    assert told(spoiled(labels=lambda x: x + 50)) == text
    both = dataclasses.replace(spoiled(labels=lambda x: x + 50), scores=CANDIDATES.scores / 2)
    assert told(both) == text


@pytest.mark.parametrize("by", [50.0, -50.0])
def test_how_far_boxes_are_off_beside_right_scores_is_said(by):
    text = "boxes are wrong by 50 px in the median, scores and classes are right"
    assert told(spoiled(boxes=lambda b: b + np.array([by, 0, by, 1]))) == text


def test_of_boxes_and_scores_it_is_said_how_near_they_are():
    def off(change) -> Detections:
        return dataclasses.replace(spoiled(boxes=change), scores=CANDIDATES.scores / 2)

    near = "boxes and scores are near the recipe's: image, weights or network differ"
    assert told(off(lambda b: b + 2)) == near
    assert told(off(lambda b: b + 500)) == near.replace("near", "far from")
    halves = off(lambda b: np.column_stack([b[:, :3], (b[:, 1] + b[:, 3]) / 2]))
    assert told(halves) == near.replace("near", "far from")  # an IoU of half is not near


@pytest.mark.parametrize(("right", "text"), [(8, SCORES_WRONG), (7, "boxes and scores are near")])
def test_nearly_all_is_eight_in_ten(right, text):
    found = spoiled(scores=lambda s: s / 2)
    found.boxes[right:] += 2
    assert told(found).startswith(text)


def test_a_box_is_right_in_all_its_coordinates_and_up_to_its_tolerance():
    halved = {"scores": lambda s: s / 2}
    assert told(spoiled(boxes=lambda b: b + 1, **halved)) == SCORES_WRONG
    for column in range(4):
        step = 2.0 * (np.arange(4) == column)
        assert told(spoiled(boxes=lambda b, step=step: b + step, **halved)) != SCORES_WRONG


def test_a_score_is_right_up_to_its_tolerance():
    candidates = detections((0, 0.5, 0, 0, 8, 8))
    for times, start in ((1, "boxes are wrong by 99 px"), (2, "boxes and scores are far")):
        found = detections((0, 0.5 + times * 2.0**-11, 99, 0, 107, 8))
        assert differences(found, candidates, PLAIN).startswith(start)


# --- stock detectron2, and another pair of torch versions ---


def test_a_share_of_nothing_is_all_of_it():
    assert Attribution(0, 0, 0, 0, []).share_same == 100.0
    assert Attribution(4, 3, 1, 0, []).share_same == 75.0


@pytest.mark.parametrize("lost", range(3))
def test_a_detection_that_is_lost_for_no_reason_is_a_defect_whichever_it_is(lost):
    truth = oracle(detections(*ROWS[:3]))
    found = detections(*(row for k, row in enumerate(ROWS[:3]) if k != lost))
    parts = attribute(found, truth, truth.result, TOLERANCE)
    assert (parts.same, parts.intended, parts.precision, len(parts.defects)) == (2, 0, 0, 1)


def test_what_the_rewrite_does_not_report_either_is_intended():
    truth = oracle(detections(*ROWS[1:3]))
    parts = attribute(detections(*ROWS[1:3]), truth, detections(*ROWS[:3]), TOLERANCE)
    assert (parts.stock, parts.same, parts.intended, parts.defects) == (3, 2, 1, [])


@pytest.mark.parametrize(
    ("stress", "unmatched", "allowed"), [(1.0, 0, True), (1.01, 0, False), (0.0, 1, False)]
)
def test_a_difference_is_allowed_up_to_its_tolerance_and_with_all_partners(
    stress, unmatched, allowed
):
    assert Difference(9.0, 9.0, stress, unmatched).allowed is allowed


def test_the_worse_of_two_differences_is_the_worst_in_each_respect():
    one, other = Difference(1.0, 0.2, 0.3, 4), Difference(0.5, 0.4, 0.6, 1)
    assert one.worse(other) == other.worse(one) == Difference(1.0, 0.4, 0.6, 5)
    assert NONE.worse(NONE) == NONE == Difference(0, 0, 0, 0)


@pytest.mark.parametrize("by", [0.25, -0.25, 4.0, -4.0])
def test_a_difference_is_measured_in_both_directions(by):
    found = spoiled(boxes=lambda b: b + by)
    assert difference(found, CANDIDATES, PLAIN) == Difference(abs(by), 0.0, abs(by), 0)
    found = spoiled(scores=lambda s: s + by)
    assert difference(found, CANDIDATES, PLAIN).score == pytest.approx(abs(by))
    assert difference(found, CANDIDATES, PLAIN).stress > 1


def test_a_detection_is_the_partner_of_one():
    one = detections(ROWS[0])
    assert difference(detections(ROWS[0], ROWS[0]), one, PLAIN).unmatched == 1
    assert difference(one, detections(ROWS[0], ROWS[0]), PLAIN).unmatched == 1
    assert difference(one, detections(), PLAIN) == Difference(0, 0, 0, 1)
    assert difference(detections(), one, PLAIN) == Difference(0, 0, 0, 1)
    assert difference(detections(), detections(), PLAIN) == NONE
