"""The training worker's modules that need no torch, and how a self-test's set is made."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from unittest import mock

MODULES = Path(__file__).resolve().parents[1] / "plugins" / "workers" / "training"
with mock.patch.object(sys, "path", [str(MODULES), *sys.path]):  # by bare names, as in a worker
    coco, refusal, sampling = map(importlib.import_module, ("coco", "refusal", "sampling"))

CLASSES, COUNT, SCALE = 8, 24, 0.2  # of the set that tests/training_files.py writes


def with_objects(*annotations, size=(100, 80)):
    """A change that leaves one image, with these (category, box) or (category, box, iscrowd)."""

    def change(content):
        content["images"] = [dict(content["images"][0], id=9, width=size[0], height=size[1])]
        content["annotations"] = [
            {"id": k, "image_id": 9, "category_id": a[0], "bbox": a[1], "iscrowd": len(a) > 2}
            for k, a in enumerate(annotations)
        ]

    return change
