"""The device's NMS beside ours: what may differ, and by how much."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks.device_nms import check_device_nms
from plugins.checks.ops import NmsOptions, NmsResult
from plugins.checks.ops_corpus import NmsCase
from tests.training_records import failing

CONTRACT = SimpleNamespace(
    box_px=0.25,
    box_ulp=2.0,
    unlike={"known": SimpleNamespace(detections=1), "two": SimpleNamespace(detections=2)},
)
# In class order 5, 3, 3; between 64 and 128 px an fp16 spacing is 1/16 px, so that 0.375 px is allowed.
ROWS = [(5, 0.5, 64, 64, 100, 100), (3, 0.5, 64, 64, 100, 100), (3, 0.25, 70, 64, 100, 90)]
ALLOWED = 0.375
LOW = (2, 0.0625, 8, 8, 16, 16)  # not above the score threshold
OPTIONS = NmsOptions(score_threshold=0.0625)


def result(*rows, room: int = 5, num=None) -> NmsResult:
    """One image's rows (class, score, x1, y1, x2, y2), padded with what no detection has."""
    table = np.full((room, 6), 7.0)
    table[: len(rows)] = np.array(rows, float).reshape(-1, 6)
    count = np.array([len(rows) if num is None else num], np.float32)
    return NmsResult(table[None, :, 2:], table[None, :, 1], table[:, 0].astype(np.int64), count)


def moved(row: int, column: int, by: float) -> NmsResult:
    rows = [list(one) for one in ROWS]
    rows[row][column] += by
    return result(*rows)


def judge(found: NmsResult, wanted: NmsResult, name: str = "a case") -> None:
    case = NmsCase(name, "chosen here", *candidates(*ROWS, LOW), OPTIONS)
    check_device_nms(found, wanted, case, CONTRACT)


def candidates(*rows):
    """Boxes (1, N, 1, 4) and scores (1, N, 9) in which each row is a candidate of its own class."""
    table = np.array(rows, float)
    scores = np.zeros((1, len(rows), 9), np.float16)
    scores[0, np.arange(len(rows)), table[:, 0].astype(int)] = table[:, 1]
    return table[None, :, None, 2:].astype(np.float16), scores


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_same_detections_in_any_order_are_the_same_decision(order):
    judge(result(*(ROWS[i] for i in order)), result(*ROWS))
    judge(result(*ROWS), result(*(ROWS[i] for i in order)))


def test_what_lies_beyond_the_detections_is_not_looked_at():
    judge(result(*ROWS, room=3), result(*ROWS, (9, 0.1, 1, 2, 3, 4), room=9, num=3))


def test_boxes_of_one_score_and_class_may_stand_in_any_order():
    twins = [(3, 0.5, 0, 0, 9, 9), (3, 0.5, 0, 30, 9, 39), (3, 0.5, 0, 60, 9, 69)]
    judge(result(*twins[::-1]), result(*twins))
    judge(result(*twins), result(*twins[::-1]))


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("column", [2, 3, 4, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_box_may_move_by_what_its_own_fp16_spacing_allows_and_not_more(row, column, sign):
    wanted = result(*ROWS)
    judge(moved(row, column, sign * ALLOWED), wanted)
    failure = failing(judge, moved(row, column, sign * (ALLOWED + 1e-6)), wanted)
    assert failure.what.startswith("the device decides otherwise: box [")
    assert len(failure.worst) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS[:2], "2 detections instead of 3"),
        ([*ROWS, ROWS[2]], "4 detections instead of 3"),
        ([(5, 0.5 + 2**-12, *ROWS[0][2:]), *ROWS[1:]], "other scores survive"),
        ([(4, *ROWS[0][1:]), *ROWS[1:]], "other classes survive"),
        ([(3, *ROWS[0][1:]), *ROWS[1:]], "other classes survive"),
    ],
)
def test_another_number_score_or_class_is_another_decision(rows, words):
    failure = failing(judge, result(*rows), result(*ROWS))
    assert failure.what == f"the device decides otherwise: {words}"
    assert failure.actual == f"{len(rows)} detections"
    assert failure.worst == [words]


def test_each_box_that_is_elsewhere_is_shown():
    found = result(*((label, score, x, y, x2 + 1, y2) for label, score, x, y, x2, y2 in ROWS))
    assert len(failing(judge, found, result(*ROWS)).worst) == 3


def test_where_the_contract_knows_the_device_either_decision_passes_and_no_third():
    judge(result(ROWS[0]), result(*ROWS), "known")
    judge(result(*ROWS), result(*ROWS), "known")
    failing(judge, result(*ROWS[:2]), result(*ROWS), "known")
    failing(judge, moved(0, 2, 9), result(*ROWS), "known")
    failing(judge, result(ROWS[0]), result(*ROWS), "another case")


NEAR = (5, 0.5, 64 + ALLOWED, 64, 100 - ALLOWED, 100)
FAR = (5, 0.5, 64, 64, 100 + ALLOWED + 1e-6, 100)
NONE, ORDER = "is no candidate that is left", "is out of order"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([ROWS[0], ROWS[2]], []), ([ROWS[1], ROWS[0]], []), ([NEAR, ROWS[2]], []),
        ([FAR, ROWS[2]], [f"row 0, {NONE}"]), ([ROWS[0], ROWS[0]], [f"row 1, {NONE}"]),
        ([ROWS[0], LOW], [f"row 1, {NONE}"]), ([ROWS[2], ROWS[0]], [f"row 0, {ORDER}", f"row 1, {ORDER}"]),
        ([ROWS[0], (3, 0.25, np.nan, 64, 100, 90)], [f"row 1, {NONE}"]),
        ([ROWS[0], (3, 0.25, 70, 64, np.inf, 90)], [f"row 1, {NONE}"]),
        ([ROWS[0], (3, np.nan, *ROWS[2][2:])], [f"row 1, {NONE}"]),
        ([ROWS[0], (3, 0.25 + 2**-12, *ROWS[2][2:])], [f"row 1, {NONE}"]),
        ([ROWS[0], (4, *ROWS[2][1:])], [f"row 1, {NONE}"]), ([ROWS[0], (9, *ROWS[2][1:])], [f"row 1, {NONE}"]),
        ([FAR, LOW], [f"row 0, {NONE}", f"row 1, {NONE}"]),
    ],
)  # fmt: skip
def test_the_other_decision_is_one_of_candidates(rows, told):
    if not told:
        return judge(result(*rows), result(*ROWS), "two")
    failure = failing(judge, result(*rows), result(*ROWS), "two")
    said = [f"{one.split(', ')[0]}, {one[one.index(' is ') + 1 :]}" for one in failure.worst]
    assert said == told
    assert failure.what == f"the device decides otherwise: {failure.worst[0]}"
    assert failure.expected == "2 detections, candidates of the case, each once, the best first"
    assert failure.actual == "2 detections"


def test_candidates_that_are_alike_may_all_be_kept():
    twins = NmsCase("two", "chosen here", *candidates(ROWS[0], ROWS[0]), OPTIONS)
    check_device_nms(result(ROWS[0], ROWS[0]), result(ROWS[0]), twins, CONTRACT)


def test_the_other_decision_keeps_the_best_of_all():
    (told,) = failing(judge, result(ROWS[2]), result(*ROWS), "known").worst
    assert told == "row 0, score 0.25, class 3, box [70.0, 64.0, 100.0, 90.0] is out of order"


@pytest.mark.parametrize("wrong", [np.inf, 0.0, 65504.0, np.nan])
def test_an_infinity_is_met_by_the_same_infinity_alone(wrong):
    infinite = result((1, 0.5, -np.inf, 0, 8, 8))
    judge(infinite, infinite)
    failing(judge, result((1, 0.5, wrong, 0, 8, 8)), infinite)


def test_nothing_beside_nothing_is_the_same_decision():
    judge(result(), result())


def test_boxes_that_rounding_puts_into_another_order_are_still_paired():
    wanted = result((3, 0.5, 70, 64.1, 99, 90), (3, 0.5, 70, 64.3, 99, 130))
    judge(result((3, 0.5, 70, 64.3, 99, 90), (3, 0.5, 70, 64.1, 99, 130)), wanted)


def test_boxes_that_differ_across_alone_are_paired():
    twins = [(3, 0.5, 64, 0, 90, 9), (3, 0.5, 30, 0, 45, 9)]
    judge(result(*twins[::-1]), result(*twins))
