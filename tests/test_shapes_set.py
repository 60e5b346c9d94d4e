"""The synthetic set is the same everywhere, is sound COCO, and holds what it promises to hold."""

from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest

from fixtures import drawing, shapes_set

COUNT = 50


@pytest.fixture(scope="module")
def annotations(tmp_path_factory):
    return shapes_set.write_set(tmp_path_factory.mktemp("shapes"), "val", COUNT, seed=0)


@pytest.fixture(scope="module")
def dataset(annotations):
    return json.loads(annotations.read_text())


def pixels_of(annotations, record):
    return cv2.imread(str(annotations.parents[1] / "val2017" / record["file_name"]))


def boxes_of(dataset, number, iscrowd=0):
    return [
        a["bbox"]
        for a in dataset["annotations"]
        if a["image_id"] == number and a["iscrowd"] == iscrowd
    ]


def test_the_content_is_the_same_on_every_platform(annotations, dataset):
    digest = hashlib.sha256(annotations.read_bytes())
    for record in dataset["images"]:
        digest.update(pixels_of(annotations, record).tobytes())
    assert digest.hexdigest() == (
        "54c28469d23d4dff142e767efe473bb2e34e880c62a75ac4f231ca3a31a8102a"
    )


def test_a_short_set_is_the_beginning_of_a_long_one(tmp_path, dataset):
    short = json.loads(shapes_set.write_set(tmp_path, "val", 5, seed=0).read_text())
    assert short["images"] == dataset["images"][:5]
    assert short["annotations"] == dataset["annotations"][: len(short["annotations"])]


def test_another_seed_or_split_gives_other_images():
    images = [
        shapes_set.draw_image(split, 0, seed)[0].tobytes()
        for split in shapes_set.SPLITS
        for seed in (0, 1)
    ]
    assert len(set(images)) == 4


def test_the_splits_share_no_image_id():
    train, val = (
        {shapes_set.image_id(split, k) for k in range(10000)} for split in shapes_set.SPLITS
    )
    assert len(train) == len(val) == 10000 and not train & val


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="split is 'test'; it must be one of train, val"):
        shapes_set.write_set(tmp_path, "test", 1)


def test_the_files_hold_the_drawn_pixels_and_sizes(annotations, dataset):
    for index, record in enumerate(dataset["images"][:10]):
        drawn, _ = shapes_set.draw_image("val", index, 0)
        assert (pixels_of(annotations, record) == drawn).all()
        assert drawn.shape == (record["height"], record["width"], 3)


def test_ids_show_a_broken_label_map(dataset):
    ids = [category["id"] for category in dataset["categories"]]
    used = {annotation["category_id"] for annotation in dataset["annotations"]}
    assert ids == [1, 3, 7, 18, 44, 90] and used == set(ids)


def test_annotation_ids_count_from_one(dataset):
    ids = [annotation["id"] for annotation in dataset["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


def test_every_box_lies_in_its_image_and_holds_its_area(dataset):
    sizes = {record["id"]: (record["width"], record["height"]) for record in dataset["images"]}
    for annotation in dataset["annotations"]:
        (x, y, w, h), (width, height) = annotation["bbox"], sizes[annotation["image_id"]]
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
        assert 0.25 * w * h <= annotation["area"] or annotation["iscrowd"]
        assert 10 <= min(w, h) and max(w, h) <= 110


@pytest.mark.parametrize("name", sorted(shapes_set.CATEGORIES.values()))
@pytest.mark.parametrize("size", [(20, 20), (29, 20), (77, 110)])
def test_a_shape_is_as_large_as_it_is_asked_to_be(name, size):
    mask = drawing.mask(name, *size)
    assert mask.shape == size[::-1]
    # To within a pixel: the tip of a triangle falls between pixel centres when the side is even.
    assert mask[:2].any() and mask[-2:].any() and mask[:, :2].any() and mask[:, -2:].any()


def test_an_annotated_box_is_tight_around_what_is_painted():
    canvas = np.full((60, 80, 3), -1, np.int64)
    mask = drawing.mask("triangle", 20, 20)[:, ::-1]  # its top row is empty
    shape = drawing.stamp(np.random.RandomState(0), canvas, mask, (25, 30), category=7)
    y, x = np.nonzero((canvas >= 0).all(axis=2))
    assert shape.box == (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)
    assert shape.area == len(x)


def test_objects_overlap_little(dataset):
    for record in dataset["images"]:
        boxes = boxes_of(dataset, record["id"])
        for k, a in enumerate(boxes):
            for b in boxes[:k]:
                common = np.prod(
                    [
                        max(min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i]), 0)
                        for i in (0, 1)
                    ]
                )
                # The bound holds for boxes as placed; the border may then cut one of them.
                assert common <= 0.3 * min(a[2] * a[3], b[2] * b[3])


def test_the_set_holds_what_shows_faults(dataset):
    sizes = {record["id"]: (record["width"], record["height"]) for record in dataset["images"]}
    counts = {k: len(boxes_of(dataset, k)) for k in sizes}
    cut = [
        a
        for a in dataset["annotations"]
        if a["bbox"][0] == 0 or a["bbox"][0] + a["bbox"][2] == sizes[a["image_id"]][0]
    ]
    assert sum(not count for count in counts.values()) >= 2  # images without objects
    assert sum(count >= 8 for count in counts.values()) >= 5  # crowded ones
    assert sum(a["iscrowd"] for a in dataset["annotations"]) >= 4
    assert len(cut) >= 20  # objects at a border
    assert len(set(sizes.values())) == COUNT
    assert min(w / h for w, h in sizes.values()) < 0.7 < 1.4 < max(w / h for w, h in sizes.values())


def test_a_crowded_image_holds_one_class(dataset):
    for index in range(3, COUNT, 8):
        number = shapes_set.image_id("val", index)
        categories = {
            a["category_id"]
            for a in dataset["annotations"]
            if a["image_id"] == number and not a["iscrowd"]
        }
        assert len(categories) == 1


@pytest.mark.parametrize("shift, low, high", [(0, 1, 1), (4, 0.5, 0.9)])
def test_pycocotools_scores_perfect_boxes_1_and_shifted_ones_less(annotations, shift, low, high):
    coco = pytest.importorskip("pycocotools.coco").COCO(str(annotations))
    evaluator = pytest.importorskip("pycocotools.cocoeval").COCOeval(
        coco,
        coco.loadRes(
            [
                {**a, "bbox": [a["bbox"][0] + shift, *a["bbox"][1:]], "score": 0.9}
                for a in coco.dataset["annotations"]
                if not a["iscrowd"]
            ]
        ),
        "bbox",
    )
    evaluator.evaluate(), evaluator.accumulate(), evaluator.summarize()
    assert low <= evaluator.stats[0] <= high
