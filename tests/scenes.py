"""Small sets of objects in piles, with detections near them."""

from __future__ import annotations

import numpy as np

from plugins.checks.matching import Objects


def scene(seed: int, images: int = 4) -> tuple[Objects, np.ndarray]:
    """Objects in piles, some of them crowds, and detections near them; scores often equal."""
    random = np.random.RandomState(seed)
    count, found = 5 * images, 12 * images
    ids, categories = np.arange(images) * 3 + 5, np.array([3, 18, 44])
    side = random.choice([10.0, 40.0, 110.0], (count, 1)) + random.randint(0, 5, (count, 2))
    boxes = np.hstack([random.randint(0, 12, (count, 2)), side])
    image, category = random.randint(0, images, count), random.randint(0, 2, count)
    crowd = random.rand(count) < 0.2
    objects = Objects(ids, categories, image, category, boxes, boxes[:, 2] * boxes[:, 3], crowd)
    near = random.randint(0, count, found)
    moved = boxes[near] + random.choice([0, 0, 1, 3], (found, 4))
    scores = random.choice([0.25, 0.5, 0.75, 0.875], found)
    labels = categories[np.where(random.rand(found) < 0.9, category[near], 2)]
    return objects, np.column_stack([ids[image[near]], moved, scores, labels])
