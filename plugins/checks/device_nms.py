"""The NPU's own NMS on the corpus: the same decisions as ours, in fp16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plugins.checks.detections import fp16_spacing
from plugins.checks.ops import NmsResult
from plugins.checks.ops_corpus import NmsCase
from plugins.failure import CheckFailure


def check_device_nms(found: NmsResult, wanted: NmsResult, case: NmsCase, contract) -> None:
    """The same detections: scores exact, classes as a multiset per score, boxes within tolerance.

    Where the contract says how the device is known to decide otherwise on this case, either decision
    passes, and no third one: so many rows must be candidates, each once, the best of all first.
    """
    count, known = int(found.num[0]), contract.unlike.get(case.name)
    if known is not None and count == known.detections:
        difference = _no_candidates(found, count, case, contract)
        expected = f"{count} detections, candidates of the case, each once, the best first"
    else:
        difference = _difference(found, wanted, contract)
        expected = f"{int(wanted.num[0])} detections, as aie::batch_nms of mmdet_ops decides"
    if difference:
        raise CheckFailure(
            f"the device decides otherwise: {difference[0]}",
            expected=expected,
            actual=f"{count} detections",
            worst=difference,
        )


def _no_candidates(found: NmsResult, count: int, case: NmsCase, contract) -> list[str]:
    """Which rows no NMS can return, as text: no candidate, one that was returned before, out of order."""
    scores, options = case.scores[0].astype(np.float64), case.options
    boxes = np.broadcast_to(case.boxes[0], (*scores.shape, 4)).astype(np.float64)
    allowed = contract.box_px + contract.box_ulp * fp16_spacing(boxes)
    free, (_, labels) = scores > options.score_threshold, np.indices(scores.shape)
    last, bad = np.inf, []
    for row in range(count):
        box, score, label = found.boxes[0, row], found.scores[0, row], found.classes[row]
        near = (np.abs(boxes - box) <= allowed).all(-1)
        fits = np.argwhere(free & near & (scores == score) & (labels == label))
        said = f"row {row}, score {score:.4g}, class {label}, box {box.tolist()}"
        if not len(fits):
            bad.append(f"{said} is no candidate that is left")
        elif score > last or (row == 0 and score < scores.max()):
            bad.append(f"{said} is out of order")
        free[tuple(fits[:1].T)] = False
        last = score
    return bad


def _difference(found: NmsResult, wanted: NmsResult, contract) -> list[str]:
    """What differs, as text, most serious first."""
    if found.num[0] != wanted.num[0]:
        return [f"{int(found.num[0])} detections instead of {int(wanted.num[0])}"]
    count = int(wanted.num[0])
    mine, ours = (_rows(result, count) for result in (found, wanted))
    if not np.array_equal(mine["score"], ours["score"]):
        return ["other scores survive"]
    if not np.array_equal(mine["class"], ours["class"]):
        return ["other classes survive"]
    allowed = contract.box_px + contract.box_ulp * fp16_spacing(ours["box"])
    with np.errstate(invalid="ignore"):  # infinity less infinity
        error = np.abs(mine["box"] - ours["box"])
    # Where an infinity was rounded, both sides must hold the same one.
    bad = np.where(np.isfinite(ours["box"]), error > allowed, mine["box"] != ours["box"]).any(1)
    return [
        f"box {mine['box'][i].tolist()} instead of {ours['box'][i].tolist()}"
        for i in np.flatnonzero(bad)
    ]


def _rows(result: NmsResult, count: int) -> Mapping[str, np.ndarray]:
    """Valid rows in an order that does not depend on ties: score, class, box."""
    box = result.boxes[0, :count].astype(np.float64)
    score = result.scores[0, :count].astype(np.float64)
    label = result.classes[:count]
    order = np.lexsort([*np.round(box, 0).T[::-1], label, -score])
    return {"box": box[order], "score": score[order], "class": label[order]}
