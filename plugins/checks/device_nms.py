"""The NPU's own NMS on the corpus: the same decisions as ours, in fp16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plugins.checks.detections import fp16_spacing
from plugins.checks.ops import NmsResult
from plugins.failure import CheckFailure


def check_device_nms(found: NmsResult, wanted: NmsResult, name: str, contract) -> None:
    """The same detections: scores exact, classes as a multiset per score, boxes within tolerance.

    Args:
        name: the corpus case. Where the contract says how the device is known to decide otherwise,
            either decision passes, and no third one.
    """
    difference = _difference(found, wanted, contract)
    known = contract.unlike.get(name)
    if known is not None and found.num[0] == known.detections:
        return
    if difference:
        raise CheckFailure(
            f"the device decides otherwise: {difference[0]}",
            expected=f"{int(wanted.num[0])} detections, as aie::batch_nms of mmdet_ops decides",
            actual=f"{int(found.num[0])} detections",
            worst=difference,
        )


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
