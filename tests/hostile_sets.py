"""Small COCO sets, each of them nasty in one way, and detections of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CATEGORIES = (1, 3, 7, 18)
KINDS = (
    "plain",
    "tied_scores",
    "iou_on_thresholds",
    "duplicate_objects",
    "areas_on_borders",
    "negative_scores",
    "boxes_without_area",
    "huge_boxes",
    "class_without_objects",
    "many_detections",
    "only_crowds",
    "shuffled",
)


def make(kind: str, seed: int = 0, images: int = 40) -> tuple[dict, np.ndarray]:
    """An instances document, and a table of detections (n, 7) as `accuracy.score` takes it."""
    random = np.random.RandomState([seed, KINDS.index(kind)])
    ids = list(range(10, 10 + 3 * images, 3))
    notes: list[dict] = []
    for image in ids:  # some stay empty
        for _ in range(random.randint(0, 9)):
            notes.append(_object(random, kind, image, len(notes) + 1))
    few, images_detected = (500, ids[:4]) if kind == "many_detections" else (31, ids)
    rows = [
        _detection(random, kind, image, [a for a in notes if a["image_id"] == image])
        for image in images_detected
        for _ in range(random.randint(0, few))
    ]
    table = np.array(rows)
    if kind == "shuffled":
        table, notes = random.permutation(table), [notes[i] for i in random.permutation(len(notes))]
    names = (*CATEGORIES, 99) if kind == "class_without_objects" else CATEGORIES
    document = {
        "images": [{"id": i, "width": 300, "height": 300, "file_name": f"{i}.png"} for i in ids],
        "categories": [{"id": c, "name": str(c)} for c in names],
        "annotations": notes,
    }
    return document, table


def write(folder: Path, document: dict) -> Path:
    """The document as a file."""
    path = folder / "instances.json"
    path.write_text(json.dumps(document))
    return path


def ids_of(document: dict) -> list[int]:
    """The images of a document."""
    return [image["id"] for image in document["images"]]


def _object(random, kind: str, image: int, number: int) -> dict:
    box = [*random.uniform(0, 200, 2), *random.uniform(4, 150, 2)]
    if kind == "iou_on_thresholds":
        box = [*random.randint(0, 100, 2), *2 * random.randint(4, 20, 2)]
    if kind == "duplicate_objects":
        box = [[10, 10, 60, 60], [12, 10, 60, 60], box][random.randint(3)]
    area = box[2] * box[3] * random.choice([1, 0.6])
    if kind == "areas_on_borders":
        area = random.choice([1024, 9216, 1023.999, 2e10])
    crowd = kind == "only_crowds" or random.rand() < 0.2
    note = {"id": number, "image_id": image, "category_id": int(random.choice(CATEGORIES))}
    return {**note, "bbox": [float(x) for x in box], "area": float(area), "iscrowd": int(crowd)}


def _detection(random, kind: str, image: int, notes: list[dict]) -> list[float]:
    score, category = random.rand(), random.choice(CATEGORIES)
    box = np.array([*random.uniform(0, 200, 2), *random.uniform(0, 150, 2)])
    if notes and random.rand() < 0.7:
        note = notes[random.randint(len(notes))]
        off = random.randint(-2, 3, 4) if kind == "iou_on_thresholds" else random.normal(0, 3, 4)
        box = np.array(note["bbox"]) + off * (random.rand() < 0.8)
        category = note["category_id"] if random.rand() < 0.8 else category
    if kind in ("tied_scores", "iou_on_thresholds"):
        score = round(score, 1)
    if kind == "negative_scores":
        score -= 0.5
    if kind == "boxes_without_area" and random.rand() < 0.3:
        box[2] = 0
    if kind == "huge_boxes" and random.rand() < 0.2:
        box[2:] = 2e5
    return [image, *box, score, category]
