"""The emulator's NMS kernels on cases small enough to know the answer; runs in a child."""

from __future__ import annotations

import numpy as np
import torch
from emulator_stage import scenario, serve, switched
from torch_aie._emulator.nms_310p import batch_nms


def suppress(boxes, scores, score=0.05, iou=0.5, per_class=10, total=4):
    """batch_nms on one image: boxes (N, 4) or (N, C, 4), scores (N, C) or (N,); lists come back."""
    boxes, scores = torch.tensor(boxes).half(), torch.tensor(scores).half()
    boxes = boxes[:, None] if boxes.dim() == 2 else boxes
    scores = scores[:, None] if scores.dim() == 1 else scores
    found = batch_nms(boxes[None], scores[None], score, iou, per_class, total)
    kept, values, classes, count = found
    return {
        "boxes": kept[0].tolist(),
        "scores": values[0].tolist(),
        "classes": classes.tolist(),
        "count": int(count[0]),
    }


def points(values, classes=1):
    """Boxes without area, which suppress nothing, so that every one of them comes out again."""
    corners = torch.tensor(np.asarray(values)).reshape(classes, -1).T[..., None].expand(-1, -1, 4)
    ranks = torch.arange(corners.shape[0] * classes, 0, -1).reshape(classes, -1).T / 2**15 + 0.1
    size = corners.shape[0]
    kept, _, _, _ = batch_nms(corners[None], ranks[None], 0.0, 0.5, size, size * classes)
    return kept[0].float()


def published(seed, draw, shape):
    """Boxes and scores as Ascend/pytorch's test_multiclass_nms.py draws them; 80 of 81 columns."""
    random = np.random.RandomState(seed)
    boxes = random.randn(*shape) if draw == "randn" else random.randint(1, 255, size=shape)
    scores = random.randn(*shape[: -2 if len(shape) == 4 else -1], 81)[..., :80]
    boxes, scores = torch.tensor(boxes).half(), torch.tensor(scores).float().half()
    if boxes.dim() == 2:
        boxes, scores = boxes[None, :, None], scores[None]
    kept, values, classes, _ = batch_nms(boxes, scores, 0.3, 0.5, 3, 3)
    rows = torch.cat([kept, values[..., None]], -1).float().reshape(-1, 5)
    return {"rows": rows.tolist(), "labels": classes.tolist()}


@scenario
def published_cases():
    return {
        "integers": published(123, "randint", (1000, 4)),
        "normals": published(123, "randn", (1000, 4)),
        "batched": published(339, "randint", (4, 200, 80, 4)),
    }


@scenario
def integer_images():
    images = points(np.arange(1, 256, dtype=np.float32))
    order = images[:, 0].argsort()
    return {"low": images[order, 0].tolist(), "high": images[order, 2].tolist()}


@scenario
def coordinate_errors():
    """Largest |error| over a dense grid in each range of the reference's table."""
    edges, worst = [0, 64, 128, 256, 512, 1024, 1344], {}
    for low, high in zip(edges, edges[1:]):
        grid = torch.linspace(low, high, 128 * 32 + 1)[:-1]
        images = points(grid.numpy(), classes=32)
        order = images[:, 2].sort()[0]
        worst[high] = [
            float((images[:, 0].sort()[0] - grid).abs().max()),
            float((order - grid).abs().max()),
        ]
    return worst


@scenario
def score_threshold():
    spread = [[k * 100.0, 0, k * 100.0 + 50, 50] for k in range(3)]
    cases = {}
    for threshold in (0.05, 0.3):  # fp16 rounds the first down, the second up
        edge = np.float16(threshold)
        scores = [float(edge), float(np.nextafter(edge, np.float16(1))), 0.9]
        cases[threshold] = suppress(spread, scores, score=threshold)
    return cases


@scenario
def iou_threshold():
    base = [0.0, 0, 160, 80]
    return {
        "half": suppress([base, [0.0, 0, 80, 80]], [0.9, 0.8])["count"],
        "more": suppress([base, [0.0, 0, 90, 80]], [0.9, 0.8])["count"],
    }


@scenario
def padding():
    boxes = [[k * 100.0, 0, k * 100.0 + 50, 50] for k in range(2)]
    scores = [[0.01, 0.02, 0.03], [0.9, 0.01, 0.02]]
    legacy = suppress(boxes, scores)
    with switched("NMS", "ops-cv"):
        return {"legacy": legacy, "ops-cv": suppress(boxes, scores)}


@scenario
def caps_and_ties():
    boxes = [[k * 50.0, 0, k * 50.0 + 30, 30] for k in range(20)]
    tied = [[0.5, 0.5]] * 20
    return {
        "class": suppress(boxes, tied, per_class=3, total=20)["count"],
        "total": suppress(boxes, tied, per_class=20, total=5),
        "order": suppress(boxes, tied, per_class=2, total=4),
    }


@scenario
def overflow():
    return {
        str(side): suppress([[0.0, 0, side, side]] * 2, [0.9, 0.8])["count"]
        for side in (1000, 1900)
    }


@scenario
def sort_queue():
    boxes = [[0.0, 0, 50, 50]] * 4080 + [[100.0, 100, 150, 150]]
    late = np.linspace(0.9, 0.2, 4081).astype(np.float32)
    early = late.copy()
    early[-1] = 0.95
    return {"late": suppress(boxes, late)["count"], "early": suppress(boxes, early)["count"]}


@scenario
def chunked_merge():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(20, 40, generator=generator).half()
    boxes = [[k * 50.0, 0, k * 50.0 + 30, 30] for k in range(20)]
    got = suppress(boxes, scores.tolist(), per_class=200, total=100)
    best, order = scores.T.reshape(-1).float().sort(descending=True, stable=True)
    return {
        "scores": got["scores"] == best[:100].tolist(),
        "classes": got["classes"] == (order[:100] // 20).tolist(),
    }


@scenario
def degenerate_boxes():
    boxes, scores = [[50.0, 50, 20, 20], [100.0, 100, 130, 130]], [0.9, 0.8]
    legacy = suppress(boxes, scores)
    with switched("NMS", "ops-cv"):
        return {
            "legacy": legacy["count"],
            "inverted": legacy["boxes"][0],
            "ops-cv": suppress(boxes, scores)["count"],
        }


if __name__ == "__main__":
    serve()
