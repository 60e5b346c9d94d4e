"""What a model returns, judged by its values: number, dtype, layout, ranges, order, padding.

A dump of 400 floats is well-shaped whatever it holds, so the layout is decided from the values:
under exactly one reading all valid rows are boxes with x1 <= x2 and y1 <= y2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from plugins.checks.detections import check_finite, rows_of
from plugins.failure import CheckFailure

# Readings of a box buffer, by the mistake that leads to each.
READINGS = {
    "detection first, x1 y1 x2 y2": lambda b: b.reshape(-1, 4),
    "coordinate first, (4, n)": lambda b: b.reshape(4, -1).T,
    "detection first, x1 x2 y1 y2": lambda b: b.reshape(-1, 4)[:, [0, 2, 1, 3]],
    "detection first, with width and height": lambda b: _corners(b.reshape(-1, 4)),
}
RIGHT = "detection first, x1 y1 x2 y2"
NAMES = ("boxes", "labels", "scores")
# Boxes of which no coordinate exceeds this are fractions of the image, not pixels of it (they are
# not clipped, so fractions may exceed 1).
LARGEST_FRACTION = 2.0


def check_runs(sentence: str) -> None:
    """The model runs; `sentence` says why it does not, or nothing."""
    if sentence:
        raise CheckFailure(
            f"the model does not run: {sentence}", expected="outputs", actual="an error"
        )


def check_count(outputs: Sequence[np.ndarray], declared: Sequence) -> None:
    """As many outputs as declared; optional ones may be absent from the end."""
    least = sum(not o.optional for o in declared)
    if not least <= len(outputs) <= len(declared):
        raise CheckFailure(
            "the number of outputs is wrong",
            expected=f"{least} to {len(declared)}: {', '.join(o.name for o in declared)}",
            actual=f"{len(outputs)}: {', '.join(_form(o) for o in outputs)}",
        )


def check_dtypes(outputs: Sequence[np.ndarray], declared: Sequence, *, device: bool) -> None:
    """Each output's dtype, exactly; a compiled module may use its declared device dtypes."""
    check_count(outputs, declared)
    wrong = []
    for array, output in zip(outputs, declared):
        allowed = output.device_dtypes if device else [output.dtype]
        if array.dtype.name not in allowed:
            wrong.append(f"{output.name} is {array.dtype.name}, not {' or '.join(allowed)}")
    if wrong:
        raise CheckFailure(
            f"{wrong[0]}",
            expected=", ".join(f"{o.name} {o.dtype}" for o in declared),
            actual=", ".join(f"{o.name} {a.dtype.name}" for a, o in zip(outputs, declared)),
            worst=wrong,
        )


def check_shapes(outputs: Sequence[np.ndarray], declared: Sequence) -> None:
    """Each output's shape, axis by axis."""
    check_count(outputs, declared)
    for array, output in zip(outputs, declared):
        if list(array.shape) != list(output.shape):
            other = next((o.name for o in declared if list(o.shape) == list(array.shape)), "")
            turned = list(array.shape) == list(output.shape)[::-1]
            raise CheckFailure(
                f"{output.name} {'is transposed' if turned else _shape_of(other)}",
                expected=f"{output.name} ({_axes(output)})",
                actual=f"{output.name} {tuple(array.shape)}",
            )


def check_order(outputs: Sequence[np.ndarray], classes: int) -> None:
    """Which output holds boxes, labels and scores, decided from sizes and values alone."""
    flat = [np.asarray(o, np.float64).ravel() for o in outputs[:3]]
    reasons = _misfits(flat, classes)
    if not reasons:
        return
    for order in permutations(range(len(flat))):
        if not _misfits([flat[i] for i in order], classes):
            found = ", ".join(NAMES[order.index(i)] for i in range(3))
            raise CheckFailure(
                f"the outputs come as {found}",
                expected=", ".join(NAMES),
                actual=f"{found}, as sizes and values show",
            )
    raise CheckFailure(
        reasons[0],
        expected=f"boxes: 4 n px; labels: n integers 0..{classes - 1}; scores: n in (0, 1], unlike",
        actual="; ".join(f"output {i}: {len(o)} of {_range(o)}" for i, o in enumerate(flat)),
    )


def _misfits(flat: Sequence[np.ndarray], classes: int) -> list[str]:
    """Why the first three outputs cannot be boxes, labels and scores; nothing if they can."""
    if len(flat) < 3 or [len(o) for o in flat] != [4 * len(flat[2]), len(flat[2]), len(flat[2])]:
        return ["the outputs are not n boxes, n labels and n scores"]
    boxes, labels, scores = flat
    valid = scores > 0
    if not valid.any():
        return ["there is no detection to read the order from"]
    reasons = []
    if not (valid | (scores == 0)).all() or scores.max() > 1:
        reasons.append("scores are not in (0, 1]")
    if valid.sum() > 1 and len(np.unique(scores[valid])) == 1:
        reasons.append("scores are all alike")
    if not _look_like_labels(labels[valid], classes):
        reasons.append(f"labels are not integers 0..{classes - 1}")
    if np.abs(boxes).max() <= LARGEST_FRACTION:
        reasons.append("boxes are fractions of the image, not pixels")
    return reasons


def check_layout(outputs: Sequence[np.ndarray]) -> None:
    """The box buffer is detection-first xyxy: decided from the values of the valid rows."""
    boxes, valid = outputs[0], rows_of(outputs)[2] > 0
    if not valid.any():
        raise CheckFailure(
            "no detection to read a layout from",
            expected="at least one valid row",
            actual="all scores are 0",
        )
    fits = {
        name: _share_of_boxes(read(np.asarray(boxes)), valid) for name, read in READINGS.items()
    }
    best = max(fits, key=lambda name: (fits[name], name == RIGHT))
    if best != RIGHT:
        raise CheckFailure(
            f"boxes are laid out {best}",
            expected=f"{RIGHT}: x1 <= x2 and y1 <= y2 in every valid row",
            actual=f"{100 * fits[RIGHT]:.4g} % of the rows are boxes read so, "
            f"{100 * fits[best]:.4g} % read {best}",
        )


def check_values(
    outputs: Sequence[np.ndarray], *, classes: int, side: int, threshold: float
) -> None:
    """Finite everywhere; valid scores over the threshold, at most 1; labels whole and in range."""
    boxes, labels, scores = rows_of(outputs)
    check_finite(boxes, labels, scores)
    valid = scores > 0
    # The threshold is compared in fp16 by the operator; one step below it is never a detection.
    if (
        (scores[valid] < threshold * (1 - 2.0**-10)).any()
        or (scores > 1).any()
        or (scores < 0).any()
    ):
        raise CheckFailure(
            "scores are out of range",
            expected=f"0, or {threshold:.4g} < score <= 1",
            actual=_range(scores[valid]) if valid.any() else _range(scores),
        )
    inside = (labels[valid] >= 0) & (labels[valid] < classes) & (labels[valid] % 1 == 0)
    if not inside.all():
        raise CheckFailure(
            "labels are no classes",
            expected=f"integers 0..{classes - 1}",
            actual=_range(labels[valid]),
        )
    # A box may leave the image (the source does not clip), but no box is larger than anchors allow.
    if (np.abs(boxes[valid]) > 64 * side).any():
        raise CheckFailure(
            "boxes are far outside the input",
            actual=_range(boxes[valid]),
            expected=f"coordinates within 64 sides of the {side} px input",
        )


def check_sorted(outputs: Sequence[np.ndarray]) -> None:
    """Scores do not increase from row to row."""
    scores = rows_of(outputs)[2]
    rises = np.flatnonzero(np.diff(scores) > 0)
    if len(rises):
        worst = [f"row {i}: {scores[i]:.4f}, row {i + 1}: {scores[i + 1]:.4f}" for i in rises]
        raise CheckFailure(
            "detections are not sorted by score",
            expected="scores never increase",
            actual=f"they increase {len(rises)} times",
            worst=worst,
        )


def check_padding(outputs: Sequence[np.ndarray], *, labels_too: bool) -> None:
    """Rows without a detection have score 0 and a zero box; on the CPU also label 0.

    The device's operator does not clear the class of an unused row, so there it says nothing.
    """
    boxes, labels, scores = rows_of(outputs)
    empty = scores <= 0
    count = int((~empty).sum())
    if empty[:count].any():
        raise CheckFailure(
            "valid rows come after padding",
            expected=f"the first {count} rows are valid",
            actual=f"{int(empty[:count].sum())} of them are padding",
        )
    dirty = np.flatnonzero(empty & (boxes != 0).any(1))
    if labels_too:
        dirty = np.union1d(dirty, np.flatnonzero(empty & (labels != 0)))
    if len(dirty):
        rows = [f"row {i}: box {boxes[i].tolist()} label {labels[i]:g}" for i in dirty]
        raise CheckFailure(
            "padding rows hold leftovers",
            expected="zero boxes where the score is 0",
            actual=f"{len(dirty)} of {int(empty.sum())} padding rows are not zero",
            worst=rows,
        )


def check_not_vacuous(outputs: Sequence[np.ndarray], *, least: int, classes: int) -> None:
    """Enough distinct detections, of enough classes, with spread scores, to be worth comparing."""
    boxes, labels, scores = rows_of(outputs)
    valid = scores > 0
    distinct = len(np.unique(boxes[valid], axis=0))
    seen = len(np.unique(labels[valid]))
    spread = float(np.ptp(scores[valid])) if valid.any() else 0.0
    if distinct < least or seen < classes or spread == 0.0:
        raise CheckFailure(
            "the result is vacuous",
            expected=f"at least {least} distinct boxes of {classes} classes with unlike scores",
            actual=f"{distinct} distinct boxes of {seen} classes, scores spread over {spread:.4g}",
        )


def check_same(obtained: Sequence[np.ndarray], wanted: Sequence[np.ndarray], *, what: str) -> None:
    """Two runs of the same thing are equal bit by bit (padding labels aside)."""
    forms = [", ".join(map(_form, some)) for some in (wanted, obtained)]
    if forms[0] != forms[1]:
        raise CheckFailure(what, expected=forms[0], actual=forms[1])
    # What is padding in both says nothing; NaN is no padding.
    valid = ~((rows_of(wanted)[2] == 0) & (rows_of(obtained)[2] == 0))
    for index, (a, b) in enumerate(zip(obtained[:3], wanted[:3])):
        a, b = a.reshape(len(valid), -1)[valid], b.reshape(len(valid), -1)[valid]
        if a.tobytes() != b.tobytes():
            far = np.nan_to_num(np.abs(a.astype(float) - b.astype(float)))
            raise CheckFailure(
                what,
                expected="the same bits",
                actual=f"output {index}: {int((a != b).any(1).sum())} rows differ, "
                f"by up to {far.max():.4g}",
            )


def _share_of_boxes(rows: np.ndarray, valid: np.ndarray) -> float:
    rows = rows[valid]
    return float(((rows[:, 0] <= rows[:, 2]) & (rows[:, 1] <= rows[:, 3])).mean())


def _corners(rows: np.ndarray) -> np.ndarray:
    """Only a reading in which widths and heights are smaller than most far corners: see check_layout."""
    ordered = (rows[:, 0] <= rows[:, 2]) & (rows[:, 1] <= rows[:, 3])
    if ordered.all():
        return np.full_like(rows, np.nan)
    return np.concatenate([rows[:, :2], rows[:, :2] + np.abs(rows[:, 2:])], axis=1)


def _look_like_labels(values: np.ndarray, classes: int) -> bool:
    return bool(
        np.isfinite(values).all()
        and (values % 1 == 0).all()
        and (values >= 0).all()
        and (values < classes).all()
    )


def _shape_of(other: str) -> str:
    return f"has the shape of {other}" if other else "has another shape"


def _form(array: np.ndarray) -> str:
    return f"{array.dtype.name}{tuple(array.shape)}"


def _axes(output) -> str:
    return ", ".join(f"{axis}={size}" for axis, size in zip(output.axes, output.shape))


def _range(values: np.ndarray) -> str:
    if not values.size:
        return "nothing"
    return f"{np.nanmin(values):.4g} .. {np.nanmax(values):.4g}"
