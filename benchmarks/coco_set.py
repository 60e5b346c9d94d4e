"""A set like COCO's val2017 in size and shape, and two detectors on it; all of it follows from a seed.

Person-heavy classes, crowds, small objects; 100 detections on every image: objects that were found,
found twice, found in another class, and noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import images
import numpy as np
import result_files

DETECTIONS, CLASSES, OBJECTS = 100, 80, 7.36
WIDTHS = ((640, 480), (640, 427), (480, 640), (500, 375))
RULE = {"shortest": 800, "longest": 1333}


class Detected(NamedTuple):
    """boxes (n, 100, 4) float32 xyxy in px of the input, labels (n, 100) int64, scores (n, 100) float32."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def objects(count: int, seed: int = 0) -> dict:
    """An instances document of `count` images."""
    random = np.random.RandomState(seed)
    sizes = [WIDTHS[k] for k in random.randint(len(WIDTHS), size=count)]
    often = 1 / np.arange(1, CLASSES + 1)
    of_image = np.repeat(np.arange(count), random.poisson(OBJECTS, count))
    classes = random.choice(CLASSES, len(of_image), p=often / often.sum())
    sides = np.exp(random.normal(3.9, 1.0, (len(of_image), 2))).clip(4, 400)
    corners = random.rand(len(of_image), 2) * (np.array(sizes)[of_image] - sides).clip(1)
    boxes = np.c_[corners, sides].round(2)
    crowd = random.rand(len(of_image)) < 0.012
    fill = random.uniform(0.4, 1, len(of_image))
    notes = [
        {
            "id": k + 1,
            "image_id": int(i) + 1,
            "category_id": int(c) + 1,
            "bbox": box,
            "area": box[2] * box[3] * share,
            "iscrowd": int(many),
        }
        for k, (i, c, box, share, many) in enumerate(
            zip(of_image, classes, boxes.tolist(), fill.tolist(), crowd)
        )
    ]
    pictures = [
        {"id": k + 1, "width": w, "height": h, "file_name": f"{k + 1:012}.jpg"}
        for k, (w, h) in enumerate(sizes)
    ]
    categories = [{"id": k + 1, "name": str(k + 1)} for k in range(CLASSES)]
    return {"images": pictures, "annotations": notes, "categories": categories}


def detected(document: dict, seed: int, blur: float = 0.1) -> Detected:
    """What a detector finds; `blur` is how far its boxes lie off, in their own sides."""
    random, count = np.random.RandomState(seed), len(document["images"])
    notes = document["annotations"]
    of_image = np.array([note["image_id"] - 1 for note in notes])
    truth = np.array([note["bbox"] for note in notes])
    classes = np.array([note["category_id"] - 1 for note in notes])
    start = np.searchsorted(of_image, np.arange(count + 1))
    length = np.maximum(np.diff(start), 1)
    # each image's objects in turn, until there are 100 detections; then most of them become noise
    pick = (start[:-1, None] + np.arange(DETECTIONS) % length[:, None]).clip(max=len(truth) - 1)
    turn = np.arange(DETECTIONS) // length[:, None]
    noise = (random.rand(count, DETECTIONS) < 0.25 + 0.5 * turn.clip(max=1)) | (
        np.diff(start) == 0
    )[:, None]
    boxes = (
        truth[pick] + random.normal(0, blur, (count, DETECTIONS, 4)) * truth[pick][..., [2, 3] * 2]
    )
    boxes[noise] = _anywhere(random, np.count_nonzero(noise))
    labels = np.where(random.rand(count, DETECTIONS) < 0.9, classes[pick], 0)
    labels = np.where(noise, random.randint(CLASSES, size=labels.shape), labels)
    scores = random.beta(2, 3, labels.shape) * np.where(noise, 0.35, 1 / (1 + 0.3 * turn))
    order = np.argsort(-scores, axis=1)
    sides = boxes[..., 2:].clip(1)
    corners = np.concatenate([boxes[..., :2], boxes[..., :2] + sides], -1) * _scales(document)
    parts = corners.astype("<f4"), labels.astype("<i8"), scores.clip(1e-3).astype("<f4")
    return Detected(
        *(np.take_along_axis(p, order.reshape(order.shape + (1,) * (p.ndim - 2)), 1) for p in parts)
    )


def _anywhere(random: np.random.RandomState, count: int) -> np.ndarray:
    sides = np.exp(random.normal(3.9, 1.0, (count, 2))).clip(4, 400)
    return np.c_[random.rand(count, 2) * 400, sides]


def geometries(document: dict) -> list[images.Geometry]:
    """The sizes of each image, as it is and as the model sees it."""
    sizes = [(one["width"], one["height"]) for one in document["images"]]
    return [images.Geometry(*size, *images.resized_size(*size, **RULE)) for size in sizes]


def _scales(document: dict) -> np.ndarray:
    known = geometries(document)
    scale = [(g.resized_width / g.width, g.resized_height / g.height) * 2 for g in known]
    return np.array(scale)[:, None]


def restored(document: dict, found: Detected) -> dict[str, np.ndarray]:
    """As the product has them: boxes (n, 100, 4) in px of each image, labels, scores."""
    boxes = [images.restore(b, g) for b, g in zip(found.boxes, geometries(document))]
    return {"boxes": np.array(boxes), "labels": found.labels, "scores": found.scores}


def write(folder: Path, count: int) -> Path:
    """`instances.json`, and in results/ three files for each image; returns the folder."""
    document = objects(count)
    (folder / "instances.json").write_text(json.dumps(document))
    results = result_files.create(folder / "results")
    for picture, *parts in zip(document["images"], *detected(document, seed=1)):
        boxes, labels, scores = parts
        stem = Path(picture["file_name"]).stem
        result_files.write(results, stem, boxes, labels[:, None], scores)
    return folder
