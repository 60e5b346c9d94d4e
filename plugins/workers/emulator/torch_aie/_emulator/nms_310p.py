"""Batched multi-class NMS as the Ascend operator does it (BatchMultiClassNonMaxSuppression).

Profile "legacy-310P" follows the public TBE sources of the operator, whose arithmetic reproduces
input and output pairs that Ascend/pytorch publishes (test/contrib/test_multiclass_nms.py): fp16
throughout, coordinates scaled by 0.1, score filter last, classes of unused slots left as they fell.
Profile "ops-cv" follows the newer open operator: float32 overlap, filter first, clean padding.
"""

from __future__ import annotations

import torch

from . import behaviour

SCALE_DOWN = float(torch.tensor(0.1).half())  # 0.0999756: the kernel's constant is itself fp16
SORT_QUEUE = 4080  # candidates per class that the sort keeps (255 blocks of 16)
BLOCK = 16


def batch_nms(boxes, scores, score_threshold, iou_threshold, max_size_per_class, max_total_size):
    """Suppress overlapping boxes per class, merge the classes by score.

    Args:
        boxes: (B, N, C or 1, 4) corners in px, any float type. scores: (B, N, C).
    Returns:
        boxes (B, M, 4) float16, scores (B, M) float16, classes (B * M,) int64, counts (B,) float32
        with M = max_total_size; shapes and types of the operator as TorchScript exports it.
    """
    kernel = KERNELS[behaviour.choice("NMS")]
    scores = scores.half().float().transpose(1, 2)
    boxes = boxes.half().float().transpose(1, 2).expand(-1, scores.shape[1], -1, -1)
    images = [
        kernel(b, s, score_threshold, iou_threshold, max_size_per_class, max_total_size)
        for b, s in zip(boxes, scores)
    ]
    kept, values, classes, counts = zip(*images)
    return (
        torch.stack(kept).half(),
        torch.stack(values).half(),
        torch.cat(classes),
        torch.stack(counts).float(),
    )


def _legacy(boxes, scores, score_threshold, iou_threshold, max_size_per_class, max_total_size):
    """One image on the 310P kernel: boxes (C, N, 4), scores (C, N)."""
    corners = _fp16(boxes * SCALE_DOWN)
    # The region-proposal instructions add 1 to every extent; taking 1 off here makes up for it.
    corners[..., 2:] = _fp16(corners[..., 2:] - 1)
    scores, corners = _by_score(scores, corners, SORT_QUEUE)
    limit = min(max_size_per_class, _blocks(max_total_size))
    threshold = _fp16(torch.tensor(iou_threshold / (1 + iou_threshold)))
    alive = torch.ones_like(scores, dtype=torch.bool)
    picks = _greedy(alive, limit, _legacy_overlap(corners, threshold))
    scores, corners = _picked(scores, corners, picks)
    scores, classes, corners = _merge(scores, corners, max_size_per_class, max_total_size)
    valid = scores > _fp16(torch.tensor(score_threshold))
    corners[..., 2:] = _fp16(corners[..., 2:] + 1)
    kept = _fp16(corners * 10).where(valid[:, None], torch.zeros(()))
    return kept, scores.where(valid, torch.zeros(())), classes, valid.sum()


def _legacy_overlap(corners, threshold):
    """inter > (areaA + areaB) * fp16(t / (1 + t)): IoU > t without a division, in fp16."""

    def area(low, high):
        # Clamped: what the instruction makes of an inverted box is not documented.
        sides = _fp16(_fp16(high - low) + 1).clamp(min=0)
        return _fp16(sides[..., 0] * sides[..., 1])

    low, high = corners[..., :2], corners[..., 2:]
    areas = area(low, high)

    def overlaps(pick):
        inter = area(
            torch.maximum(low[pick][:, None], low), torch.minimum(high[pick][:, None], high)
        )
        return inter > _fp16(_fp16(areas[pick][:, None] + areas) * threshold)

    return overlaps


def _ops_cv(boxes, scores, score_threshold, iou_threshold, max_size_per_class, max_total_size):
    """One image on the open ops-cv operator: boxes (C, N, 4), scores (C, N)."""
    scores, corners = _by_score(scores, boxes, boxes.shape[1])
    proper = (corners[..., 2:] > corners[..., :2]).all(-1)
    limit = min(max_size_per_class, max_total_size)
    alive = proper & (scores > score_threshold)
    picks = _greedy(alive, limit, _iou_above(corners, iou_threshold))
    scores, corners = _picked(scores, corners, picks)
    scores, classes, corners = _merge(scores, corners, max_size_per_class, max_total_size)
    valid, zero = torch.isfinite(scores), torch.zeros(())
    return (
        corners.where(valid[:, None], zero),
        scores.where(valid, zero),
        classes.where(valid, torch.zeros_like(classes)),
        valid.sum(),
    )


def _iou_above(corners, threshold):
    def area(low, high):
        return (high - low).clamp(min=0).prod(-1)

    low, high = corners[..., :2], corners[..., 2:]
    areas = area(low, high)

    def overlaps(pick):
        inter = area(
            torch.maximum(low[pick][:, None], low), torch.minimum(high[pick][:, None], high)
        )
        return inter / (areas[pick][:, None] + areas - inter).clamp(min=1e-12) > threshold

    return overlaps


def _by_score(scores, corners, limit: int):
    """Each class by falling score, at most `limit`; equal scores keep their order."""
    scores, order = torch.sort(scores, dim=1, descending=True, stable=True)
    order = order[:, :limit]
    return scores[:, :limit], corners.gather(1, order[..., None].expand(-1, -1, 4))


def _greedy(alive, limit: int, overlaps):
    """Indices (C, K) of the boxes kept in each class, -1 where none is left; all classes at once.

    No class can place more rows in the result than the result has, so `limit` may stop there:
    what a class would keep after that never shows.
    """
    rows, picks = torch.arange(len(alive)), []
    while len(picks) < limit and alive.any():
        first = alive.to(torch.uint8).argmax(1)
        picks.append(first.where(alive.any(1), torch.full_like(first, -1)))
        alive = alive & ~overlaps((rows, first))
        alive[rows, first] = False
    return torch.stack(picks, 1) if picks else torch.full((len(alive), 1), -1)


def _picked(scores, corners, picks):
    index = picks.clamp(min=0)
    values = scores.gather(1, index).masked_fill(picks < 0, float("-inf"))
    return values, corners.gather(1, index[..., None].expand(-1, -1, 4))


def _merge(scores, corners, max_size_per_class: int, max_total_size: int):
    """The best max_total_size rows over all classes: scores (M,), classes (M,), corners (M, 4).

    The kernel merges as many classes at a time as fit half its sort queue (9 for 200 a class) and
    carries the best rows on, rounded up to a block (112 for 100). Equal scores: lower class first.
    """
    at_once = max(1, SORT_QUEUE // 2 // _blocks(max_size_per_class))
    best = (torch.empty(0), torch.empty(0, dtype=torch.int64), torch.empty(0, 4))
    labels = torch.arange(len(scores))[:, None].expand_as(scores)
    for start in range(0, len(scores), at_once):
        chunk = [t[start : start + at_once].flatten(0, 1) for t in (scores, labels, corners)]
        pool = [torch.cat(pair) for pair in zip(best, chunk)]
        order = torch.sort(pool[0], descending=True, stable=True)[1][: _blocks(max_total_size)]
        best = tuple(t[order] for t in pool)
    missing = max(0, max_total_size - len(best[0]))
    fill = (
        torch.full((missing,), float("-inf")),
        torch.zeros(missing, dtype=torch.int64),
        torch.zeros(missing, 4),
    )
    return tuple(torch.cat(pair)[:max_total_size] for pair in zip(best, fill))


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _fp16(value):
    return value.half().float()


KERNELS = {"legacy-310P": _legacy, "ops-cv": _ops_cv}
