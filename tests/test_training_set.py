"""The training lane's synthetic set is the same everywhere and holds what it promises to hold."""

from __future__ import annotations

import collections
import hashlib
import json
import math

import cv2
import numpy as np
import pytest

from fixtures import training_set
from tests.training_modules import COUNT, SCALE, sampling

pytest_plugins = ["tests.training_files"]


def test_the_set_is_the_same_on_every_platform(set_file, set_images):
    digest = hashlib.sha256(set_file.read_bytes())
    for path in sorted(set_images.iterdir()):
        digest.update(cv2.imread(str(path)).tobytes())
    for array in (training_set.draw_image("val", 9, 1.0)[0], training_set.draw_image("val", 0)[0]):
        digest.update(array.tobytes())
    assert digest.hexdigest() == (
        "910baf749928f9bd3ef05ca8639f427c947491f2e36767d77c82ef3dbfca6eac"
    )


def test_a_short_set_is_the_beginning_of_a_long_one(tmp_path, set_content):
    short = training_set.write_training_set(tmp_path, "train", 3, SCALE)
    assert json.loads(short.read_text())["images"] == set_content["images"][:3]


def test_the_shapes_of_images_are_as_frequent_as_in_coco():
    random = np.random.RandomState(0)
    drawn = collections.Counter(training_set._shape(random) for _ in range(5000))
    assert sum(training_set.SHAPES.values()) == 5000 and set(drawn) == set(training_set.SHAPES)
    for shape, expected in training_set.SHAPES.items():
        assert abs(drawn[shape] - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_the_shapes_fall_into_several_aspect_ratio_groups(scale):
    sizes = [tuple(round(side * scale) for side in shape) for shape in training_set.SHAPES]
    assert set(sampling.group_ids(sizes, 3).tolist()) == {2, 4, 5, 6}


def test_objects_lie_in_their_image_and_overlap_little(set_content):
    sizes = {i["id"]: (i["width"], i["height"]) for i in set_content["images"]}
    for annotation in set_content["annotations"]:
        (x, y, w, h), (width, height) = annotation["bbox"], sizes[annotation["image_id"]]
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
        assert annotation["iscrowd"] or 12 <= min(w, h)


def test_the_set_holds_what_a_reader_can_get_wrong(set_content):
    objects = collections.Counter(a["image_id"] for a in set_content["annotations"])
    assert {a["category_id"] for a in set_content["annotations"]} == {1, 3, 4, 7}
    assert len(objects) == COUNT - 1 and max(objects.values()) <= 5
    assert sum(a["iscrowd"] for a in set_content["annotations"]) == 1


def test_classes_differ_in_colour(set_images, set_content):
    names = {i["id"]: i["file_name"] for i in set_content["images"]}
    for a in (a for a in set_content["annotations"] if not a["iscrowd"]):
        pixels = cv2.imread(str(set_images / names[a["image_id"]])).astype(int)
        x, y, w, h = a["bbox"]
        middle = pixels[y + h // 2 - 2 : y + h // 2 + 3, x + w // 2 - 2 : x + w // 2 + 3]
        distances = {k: np.abs(middle - c).sum() for k, c in training_set.COLOURS.items()}
        assert min(distances, key=distances.get) == a["category_id"]
