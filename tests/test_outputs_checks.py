"""Output checks: a good result passes each, and each way to be wrong fails by its name."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import outputs as checks
from plugins.contracts import Output
from plugins.failure import CheckFailure

CLASSES, SIDE = 6, 256
DECLARED = [
    Output("boxes", "float32", ["detection", "coordinate"], [5, 4], ["float32"]),
    Output("labels", "int64", ["detection", "one"], [5, 1], ["int64", "int32"]),
    Output("scores", "float32", ["detection"], [5], ["float32"]),
    Output("image_size", "int64", ["side"], [2], ["int64", "int32"], True),
]
BOXES = [[3, 50, 40, 90], [100, 20, 220, 60], [-8, 130, 70, 240], [0] * 4, [0] * 4]


def good() -> list:
    """Three detections and two rows of padding."""
    return [
        np.array(BOXES, np.float32),
        np.array([[5], [0], [2], [0], [0]], np.int64),
        np.array([0.9, 0.6, 0.0502, 0, 0], np.float32),
        np.array([3, SIDE]),
    ]


def changed(index: int, change) -> list:
    """A good result with one output changed: a function of it, or {row: value}."""
    outputs = good()
    if callable(change):
        outputs[index] = change(outputs[index])
    else:
        for row, value in change.items():
            outputs[index][row] = value
    return outputs


def judge(name: str, outputs: list) -> None:
    """One check with the arguments that it takes here."""
    more = {
        "check_dtypes": {"declared": DECLARED, "device": False},
        "check_shapes": {"declared": DECLARED},
        "check_count": {"declared": DECLARED},
        "check_order": {"classes": CLASSES},
        "check_values": {"classes": CLASSES, "side": SIDE, "threshold": 0.05},
        "check_padding": {"labels_too": True},
        "check_not_vacuous": {"least": 3, "classes": 3},
    }
    getattr(checks, name)(outputs, **more.get(name, {}))


def words(name: str, outputs: list) -> str:
    with pytest.raises(CheckFailure) as failure:
        judge(name, outputs)
    assert failure.value.expected
    assert failure.value.actual
    return failure.value.what


ALL = ("count", "dtypes", "shapes", "order", "layout", "values", "sorted", "padding", "not_vacuous")


@pytest.mark.parametrize("name", ALL)
def test_a_good_result_passes(name):
    judge(f"check_{name}", good())
    judge(f"check_{name}", good()[:3])


@pytest.mark.parametrize(
    ("name", "outputs", "what"),
    [
        ("count", good()[:2], "the number of outputs is wrong"),
        ("count", good() + good()[:1], "the number of outputs is wrong"),
        ("dtypes", changed(0, np.float64), "boxes is float64, not float32"),
        ("dtypes", changed(1, np.int32), "labels is int32, not int64"),
        ("dtypes", changed(2, np.float16), "scores is float16, not float32"),
        ("dtypes", changed(3, np.float32), "image_size is float32, not int64"),
        ("shapes", changed(0, np.transpose), "boxes is transposed"),
        ("shapes", changed(1, np.transpose), "labels is transposed"),
        ("shapes", changed(1, np.ravel), "labels has the shape of scores"),
        ("shapes", changed(0, lambda b: b[None]), "boxes has another shape"),
        ("shapes", changed(2, lambda s: s[:4]), "scores has another shape"),
        ("order", [good()[i] for i in (0, 2, 1)], "the outputs come as boxes, scores, labels"),
        ("order", [good()[i] for i in (1, 0, 2)], "the outputs come as labels, boxes, scores"),
        ("order", [good()[i] for i in (2, 1, 0)], "the outputs come as scores, labels, boxes"),
        ("order", changed(2, lambda s: s * 2), "scores are not in (0, 1]"),
        ("order", changed(2, lambda s: (s > 0) * 0.5), "scores are all alike"),
        ("order", changed(1, lambda c: c + 1), "labels are not integers 0..5"),
        ("order", changed(1, lambda c: c + 0.5), "labels are not integers 0..5"),
        ("order", changed(0, lambda b: b / SIDE), "boxes are fractions of the image, not pixels"),
        ("order", changed(2, lambda s: s * 0), "there is no detection to read the order from"),
        (
            "layout",
            changed(0, lambda b: b.T.reshape(5, 4)),
            "boxes are laid out coordinate first, (4, n)",
        ),
        (
            "layout",
            changed(0, lambda b: b[:, [0, 2, 1, 3]]),
            "boxes are laid out detection first, x1 x2 y1 y2",
        ),
        (
            "layout",
            changed(0, lambda b: np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], 1)),
            "boxes are laid out detection first, with width and height",
        ),
        ("layout", changed(2, lambda s: s * 0), "no detection to read a layout from"),
        ("values", changed(0, {4: np.nan}), "boxes hold NaN or infinity"),
        ("values", changed(2, {4: np.inf}), "scores hold NaN or infinity"),
        ("values", changed(2, {0: 1.01}), "scores are out of range"),
        ("values", changed(2, {4: -0.1}), "scores are out of range"),
        ("values", changed(2, {2: 0.049}), "scores are out of range"),
        ("values", changed(1, {0: 6}), "labels are no classes"),
        ("values", changed(1, {0: -1}), "labels are no classes"),
        ("values", changed(0, {0: 1e6}), "boxes are far outside the input"),
        ("sorted", changed(2, {1: 0.95}), "detections are not sorted by score"),
        ("padding", changed(2, {1: 0.0}), "valid rows come after padding"),
        ("padding", changed(0, {4: 7.0}), "padding rows hold leftovers"),
        ("padding", changed(1, {3: 1}), "padding rows hold leftovers"),
        ("not_vacuous", changed(2, {2: 0.0}), "the result is vacuous"),
        ("not_vacuous", changed(1, {0: 2}), "the result is vacuous"),
        ("not_vacuous", changed(0, {0: BOXES[1]}), "the result is vacuous"),
        ("not_vacuous", changed(2, lambda s: (s > 0) * 0.5), "the result is vacuous"),
        ("values", [good()[i] for i in (0, 2, 2)], "labels are no classes"),
        ("sorted", good()[:2], "the outputs are not n boxes, n labels and n scores"),
    ],
)
def test_what_is_wrong_fails_by_its_name(name, outputs, what):
    assert words(f"check_{name}", outputs) == what


def test_a_compiled_module_may_narrow_its_labels_and_nothing_else():
    checks.check_dtypes(changed(1, np.int32), DECLARED, device=True)
    with pytest.raises(CheckFailure, match="scores is float16, not float32"):
        checks.check_dtypes(changed(2, np.float16), DECLARED, device=True)


def test_a_device_may_leave_the_class_of_a_padding_row_and_not_its_box():
    checks.check_padding(changed(1, {3: 1}), labels_too=False)
    with pytest.raises(CheckFailure, match="padding rows hold leftovers"):
        checks.check_padding(changed(0, {3: 1}), labels_too=False)


def test_equal_scores_are_sorted_and_an_empty_result_is_no_leftover():
    checks.check_sorted(changed(2, lambda s: (s > 0) * np.float32(0.5)))
    nothing = [output * 0 for output in good()]
    checks.check_padding(nothing, labels_too=True)
    judge("check_values", nothing)


def test_every_row_that_rises_is_shown():
    with pytest.raises(CheckFailure) as failure:
        checks.check_sorted(changed(2, {1: 0.95}))
    assert failure.value.worst == ["row 0: 0.9000, row 1: 0.9500"]


@pytest.mark.parametrize(
    ("index", "change", "same"),
    [
        (0, {}, True),
        (1, {4: 3}, True),  # the label of a padding row
        (3, {0: 9}, True),  # nobody reads the image size
        (0, {0: np.nextafter(np.float32(3), np.float32(4))}, False),
        (2, {0: 0.8}, False),
        (1, {0: 4}, False),
        (2, np.float64, False),
        (0, lambda b: b[:4], False),
        (0, {1: np.nan}, False),
    ],
)
def test_two_runs_are_the_same_bit_by_bit_or_not(index, change, same):
    if same:
        checks.check_same(changed(index, change), good(), what="runs differ")
    else:
        with pytest.raises(CheckFailure, match="^runs differ"):
            checks.check_same(changed(index, change), good(), what="runs differ")


def test_a_model_that_does_not_run_fails_with_its_reason():
    checks.check_runs("")
    with pytest.raises(CheckFailure, match="^the model does not run: no kernel"):
        checks.check_runs("no kernel")
