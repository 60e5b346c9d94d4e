"""What is right, for given weights and one image: the rewrite in float64, and stock detectron2.

Both read the same network outputs. `recipe` answers what the Ascend rewrite intends, free of any
fp16; `stock` answers what the model means (score threshold, best 1000 anchor-class pairs per level,
NMS per class, best 100). Neither uses aie::batch_nms, which it is there to judge.
"""

from __future__ import annotations

import math

import numpy as np
import recipe as rewrite
import torch
import torchvision

# How many candidates behind the last of a class and level are looked at, and how near in logits they
# must be to stand for it: twice what fp16 was seen to do to a logit.
SPARE, NEAR_TIE = 56, 0.15


def judge(
    network: torch.nn.Module, image: np.ndarray, recipe: dict, stock: dict, band: float
) -> dict:
    """Run one image (1, 3, S, S) in the network's precision.

    Args:
        band: how far below the lowest kept score candidates are still returned, in logits.
    Returns:
        arrays: recipe_* (every candidate that noise of size `band` could bring into the result,
        best first, with `recipe_kept`: rank in the result or -1) and stock_* (the result).
        boxes (n, 4) float64 xyxy in input pixels, labels int64, scores float64.
    """
    parameter = next(network.parameters())
    with torch.no_grad():
        logits, deltas, anchors = network(torch.from_numpy(image).to(parameter.dtype))
        logits, deltas = [x[0] for x in logits], [x[0] for x in deltas]
        found = stock_result(logits, deltas, anchors, stock)
        out = {f"stock_{k}": v.numpy() for k, v in found.items()}
        out.update(
            {f"recipe_{k}": v for k, v in _recipe(logits, deltas, anchors, recipe, band).items()}
        )
    return out


def _recipe(logits, deltas, anchors, recipe: dict, band: float) -> dict:
    boxes, scores, chosen = _candidates(logits, deltas, anchors, recipe["topk_per_class"])
    floor = _below(recipe["score_threshold"], band)
    rows, labels = torch.nonzero(scores > floor, as_tuple=True)
    boxes, scores, chosen = boxes[rows, labels], scores[rows, labels], chosen[rows, labels]
    order = _best_first(scores)
    boxes, scores, labels, chosen = boxes[order], scores[order], labels[order], chosen[order]
    judged = torch.nonzero(chosen & (scores > recipe["score_threshold"]))[:, 0]
    over = len(judged)
    kept = judged[_suppress(boxes[judged], scores[judged], labels[judged], recipe)]
    rank = np.full(len(scores), -1, np.int64)
    rank[kept.numpy()] = np.arange(len(kept))
    full = len(kept) == recipe["max_total_size"]
    lowest = float(scores[kept[-1]]) if full else recipe["score_threshold"]
    near = int((scores >= _below(lowest, band)).sum())
    return {
        "boxes": boxes[:near].numpy().astype(np.float64),
        "scores": scores[:near].numpy().astype(np.float64),
        "labels": labels[:near].numpy(),
        "kept": rank[:near],
        "over": np.array([over]),
    }


def _candidates(logits, deltas, anchors, topk: int) -> tuple:
    """The rewrite's candidates, and those behind the last one that rounding can put before it.

    Returns:
        boxes (N, classes, 4), scores (N, classes), chosen (N, classes): whether float64 takes it.
    """
    wide = min(topk + SPARE, *(len(level) for level in logits))
    boxes, scores = rewrite.candidates(logits, deltas, anchors, wide)
    levels = scores.reshape(len(logits), wide, -1)
    chosen = torch.zeros_like(levels, dtype=torch.bool)
    chosen[:, :topk] = True
    nearly = torch.logit(levels) >= torch.logit(levels[:, topk - 1 : topk]) - NEAR_TIE
    scores = torch.where(nearly, levels, torch.zeros_like(levels)).reshape(scores.shape)
    return boxes, scores, chosen.reshape(scores.shape)


def _best_first(scores):
    """Indices by falling score, ties in order; torch 1.10's argsort cannot promise the latter."""
    return torch.sort(scores, stable=True, descending=True)[1]


def _below(score: float, band: float) -> float:
    """The score whose logit is `band` lower."""
    return 1.0 / (1.0 + (1.0 / score - 1.0) * math.exp(band)) if 0.0 < score < 1.0 else score


def _suppress(boxes, scores, labels, recipe: dict):
    """Greedy NMS per class with its two caps; indices, best first."""
    keep = _nms(boxes, scores, labels, recipe["iou_threshold"])
    seen: dict = {}
    allowed = []
    for index, label in zip(keep.tolist(), labels[keep].tolist()):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= recipe["max_size_per_class"]:
            allowed.append(index)
    return torch.tensor(allowed[: recipe["max_total_size"]], dtype=torch.long)


def _nms(boxes, scores, labels, threshold: float):
    """Greedy NMS, class by class; indices, best first.

    Not torchvision's batched_nms: it moves each class away by the largest coordinate, and boxes
    with negative coordinates, which nothing clips here, then meet boxes of the class before.
    """
    kept = [torch.zeros(0, dtype=torch.long)]
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        kept.append(rows[torchvision.ops.nms(boxes[rows], scores[rows], threshold)])
    keep = torch.cat(kept).sort()[0]
    return keep[_best_first(scores[keep])]


def stock_result(logits, deltas, anchors, stock: dict) -> dict:
    """What detectron2 itself reports for one image; per level (R, classes), (R, 4), (R, 4)."""
    boxes, scores, labels = [], [], []
    for level_logits, level_deltas, level_anchors in zip(logits, deltas, anchors):
        classes = level_logits.shape[1]
        flat = level_logits.flatten().sigmoid()
        over = torch.nonzero(flat > stock["score_threshold"])[:, 0]
        best = _best_first(flat[over])[: stock["topk_per_level"]]
        pairs = over[best]
        rows = torch.div(pairs, classes, rounding_mode="floor")
        boxes.append(rewrite.decode(level_deltas[rows], level_anchors[rows]))
        scores.append(flat[pairs])
        labels.append(pairs % classes)
    boxes, scores, labels = torch.cat(boxes), torch.cat(scores), torch.cat(labels)
    keep = _nms(boxes, scores, labels, stock["iou_threshold"])[: stock["max_total_size"]]
    return {"boxes": boxes[keep].double(), "scores": scores[keep].double(), "labels": labels[keep]}
