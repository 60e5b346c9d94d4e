"""From head outputs to detections: box decoding, and the Ascend rewrite.

Sources: detectron2 60fd4885 (RetinaNet.inference_single_image, Box2BoxTransform) and the published
rewrite for Ascend (Retinanet.diff with Retina_aie.diff): per level the best 200 anchors of each
class, each class with its own boxes, no threshold before the NMS, which is one operator.
"""

from __future__ import annotations

import math

import torch
from torch import nn

SCALE_CLAMP = math.log(1000.0 / 16)


def decode(deltas, anchors):
    """Anchors (R, 4) moved by deltas (R, 4); both xyxy in input pixels, not clipped."""
    widths = anchors[:, 2] - anchors[:, 0]
    heights = anchors[:, 3] - anchors[:, 1]
    centre_x = anchors[:, 0] + 0.5 * widths
    centre_y = anchors[:, 1] + 0.5 * heights
    x = deltas[:, 0] * widths + centre_x
    y = deltas[:, 1] * heights + centre_y
    half_w = 0.5 * torch.exp(torch.clamp(deltas[:, 2], max=SCALE_CLAMP)) * widths
    half_h = 0.5 * torch.exp(torch.clamp(deltas[:, 3], max=SCALE_CLAMP)) * heights
    return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=-1)


def candidates(logits, deltas, anchors, topk: int, decode=decode):
    """The rewrite's candidates of one image.

    Args:
        logits, deltas, anchors: per level (R, classes), (R, 4), (R, 4).
        decode: how deltas move anchors, both (R, 4).
    Returns:
        boxes (N, classes, 4) and scores (N, classes), N = topk x levels.
    """
    boxes, scores = [], []
    for level_logits, level_deltas, level_anchors in zip(logits, deltas, anchors):
        best, rows = torch.topk(level_logits.sigmoid_(), topk, dim=0)
        rows = rows.flatten()
        decoded = decode(level_deltas[rows], level_anchors[rows])
        boxes.append(decoded.reshape(-1, level_logits.shape[1], 4))
        scores.append(best)
    return torch.cat(boxes), torch.cat(scores)


class Recipe(nn.Module):
    """The network that is exported: image (1, 3, S, S) to boxes, labels, scores, image size.

    Shapes: boxes (M, 4) float32 xyxy in input pixels, labels (M, 1) int64, scores (M,) float32,
    and a (2,) int64 that nobody reads: the source's rewrite takes the wrong axes of a batched
    tensor for it, so it holds (3, S). It is kept because consumers count four outputs.
    """

    def __init__(self, network: nn.Module, recipe: dict, decode=decode) -> None:
        super().__init__()
        self.model, self.recipe, self.decode = network, recipe, decode

    def forward(self, image):
        recipe = self.recipe
        logits, deltas, anchors = self.model(image)
        boxes, scores = candidates(
            [x[0] for x in logits],
            [x[0] for x in deltas],
            anchors,
            recipe["topk_per_class"],
            self.decode,
        )
        found_boxes, found_scores, labels, _ = torch.ops.aie.batch_nms(
            boxes.reshape(1, boxes.shape[0], -1, 4).half(),
            scores.reshape(1, scores.shape[0], -1).half(),
            recipe["score_threshold"],
            recipe["iou_threshold"],
            recipe["max_size_per_class"],
            recipe["max_total_size"],
        )
        size = torch.tensor([image.shape[1], image.shape[2]])
        found_boxes = found_boxes.float().reshape(-1, 4)
        return found_boxes, labels.long().reshape(-1, 1), found_scores.float().reshape(-1), size


class Suppression(nn.Module):
    """The NMS operator alone: float32 boxes and scores in, as the recipe's tail treats them.

    boxes (1, N, C, 4) and scores (1, N, C) to boxes (M, 4), labels (M, 1), scores (M,).
    """

    def __init__(self, attributes: list) -> None:
        super().__init__()
        self.attributes = attributes

    def forward(self, boxes, scores):
        found = torch.ops.aie.batch_nms(boxes.half(), scores.half(), *self.attributes)
        boxes, scores, labels = found[0].float(), found[1].float(), found[2].long()
        return boxes.reshape(-1, 4), labels.reshape(-1, 1), scores.reshape(-1)
