"""Trains the small subject `retinanet_shapes` on a COCO-format set, on a CPU, in minutes.

Losses and matching are detectron2's for RetinaNet (focal loss alpha 0.25, gamma 2; smooth L1 with
beta 0; both over the number of matched anchors); the schedule is what a quarter-million-parameter
net needs to settle in few iterations: AdamW, warm-up, cosine.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import images
import model
import numpy as np
import torch
import weights as sources
from torch import nn
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou, sigmoid_focal_loss

PRIOR = -np.log((1 - 0.01) / 0.01)
MATCHER = {"high_threshold": 0.5, "low_threshold": 0.4, "allow_low_quality_matches": True}
WARM_UP = 0.1
REPORT_EVERY_S = 20.0


def train(
    arrays,
    *,
    spec: dict,
    preprocess: dict,
    annotations: str,
    iterations: int,
    batch: int,
    rate: float,
    seed: int,
) -> tuple:
    """Train from scratch; returns the state dict as float32 arrays that fp16 can hold.

    Args:
        annotations: instances JSON, its images in the folder beside, as COCO lays them out.
        iterations, batch: steps and images per step; rate: the highest learning rate.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # the thread count changes the bits of the result
    data = _load(Path(annotations), preprocess)
    network = _initial(spec)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=iterations, pct_start=WARM_UP, cycle_momentum=False
    )
    random, order, losses, spoke = np.random.RandomState(seed), [], [], time.monotonic()
    network.train()
    for step in range(iterations):
        if len(order) < batch:
            order = random.permutation(len(data)).tolist()
        chosen, order = order[:batch], order[batch:]
        pictures, targets = zip(*(_flipped(data[i], bool(random.randint(2))) for i in chosen))
        loss = _loss(network, torch.stack(pictures), targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at iteration {step}")
        if time.monotonic() - spoke > REPORT_EVERY_S:
            spoke = time.monotonic()
            print(
                f"iteration {step + 1}/{iterations}: loss {np.mean(losses[-50:]):.4f}", flush=True
            )
    return {}, _frozen(network, spec)


def _load(annotations: Path, preprocess: dict) -> list:
    """[(image (3, S, S), geometry, boxes (n, 4) in input px, labels (n,))], crowds left out."""
    content = json.loads(annotations.read_text())
    labels = {c: i for i, c in enumerate(sorted(c["id"] for c in content["categories"]))}
    split = annotations.stem.split("_")[1]
    objects: dict = {}
    for item in content["annotations"]:
        if not item["iscrowd"]:
            objects.setdefault(item["image_id"], []).append(
                (item["bbox"], labels[item["category_id"]])
            )
    data = []
    for entry in content["images"]:
        path = annotations.parents[1] / split / entry["file_name"]
        tensor, geometry = images.prepare(path, **preprocess)
        found = objects.get(entry["id"], [])
        boxes = np.array([b for b, _ in found], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes[:, 0::2] *= geometry.resized_width / geometry.width
        boxes[:, 1::2] *= geometry.resized_height / geometry.height
        data.append(
            (
                torch.from_numpy(tensor.copy()),
                geometry,
                torch.from_numpy(boxes.astype(np.float32)),
                torch.tensor([k for _, k in found], dtype=torch.long),
            )
        )
    return data


def _flipped(sample: tuple, flip: bool) -> tuple:
    """The picture (without its padding) and its boxes, mirrored or as they are."""
    picture, geometry, boxes, labels = sample
    if flip:
        width = geometry.resized_width
        picture = picture.clone()
        picture[:, :, :width] = picture[:, :, :width].flip(2)
        boxes = boxes.clone()
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return picture, (boxes, labels)


def _initial(spec: dict) -> model.RetinaNet:
    network = model.RetinaNet(spec, norm=nn.BatchNorm2d)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            if name.startswith("head."):
                nn.init.normal_(layer.weight, std=0.01 if "subnet" not in name else 0.05)
            else:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    nn.init.constant_(network.head.cls_score.bias, PRIOR)
    return network


def _loss(network, pictures, targets) -> torch.Tensor:
    logits, deltas, anchors = network(pictures)
    logits, deltas, anchors = torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(anchors)
    matcher, coder = Matcher(**MATCHER), BoxCoder((1.0, 1.0, 1.0, 1.0))
    total, matched = 0.0, 0
    for row, (boxes, labels) in enumerate(targets):
        one_hot = torch.zeros_like(logits[row])
        valid = torch.ones(len(anchors), dtype=torch.bool)
        if len(boxes):
            match = matcher(box_iou(boxes, anchors))
            positive = match >= 0
            one_hot[positive, labels[match[positive]]] = 1.0
            valid = match != Matcher.BETWEEN_THRESHOLDS
            wanted = coder.encode_single(boxes[match[positive]], anchors[positive])
            total = total + (deltas[row][positive] - wanted).abs().sum()
            matched += int(positive.sum())
        total = total + sigmoid_focal_loss(logits[row][valid], one_hot[valid], 0.25, 2.0, "sum")
    return total / max(matched, 1)


def _frozen(network, spec: dict) -> dict:
    """The trained state under the names of the frozen network, rounded to fp16."""
    expected = model.RetinaNet(spec).state_dict()
    state = {k: v for k, v in network.state_dict().items() if not sources.CONSTANTS.search(k)}
    return {k: state[k].half().float().numpy() for k in expected}


OPERATIONS = {"train": train}
