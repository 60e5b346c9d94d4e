"""mAP on a set small enough to count: COCO's own code, every image, every digit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plugins.checks.accuracy import (
    ImageSet,
    check_coverage,
    check_floor,
    evaluate,
    image_set,
)
from plugins.failure import CheckFailure, LabError

CATEGORIES = [3, 18]
BOX = (10.0, 20.0, 50.0, 60.0)  # x1 y1 x2 y2
# image id -> [(category, box)]; the ids are out of order, the last image is empty
TRUTH = {7: [(3, BOX)], 2: [(3, BOX)], 9: [(18, BOX)], 11: []}
ORDER = [2, 7, 9, 11]


def write(folder, truth=None):
    truth = TRUTH if truth is None else truth
    images = [{"id": i, "file_name": f"{i}.png", "width": 99, "height": 99} for i in truth]
    notes = [
        {"id": n, "image_id": i, "category_id": c, "bbox": [x, y, x2 - x, y2 - y],
         "area": (x2 - x) * (y2 - y), "iscrowd": 0}
        for n, (i, (c, (x, y, x2, y2))) in enumerate(
            ((i, note) for i in truth for note in truth[i]), start=1)
    ]  # fmt: skip
    path = folder / "instances.json"
    categories = [{"id": c, "name": str(c)} for c in CATEGORIES]
    path.write_text(json.dumps({"images": images, "annotations": notes, "categories": categories}))
    for i in truth:
        (folder / f"{i}.png").write_bytes(b"")
    return path


@pytest.fixture
def images(tmp_path):
    return image_set(write(tmp_path), tmp_path)


def found(**by_image):
    """What is detected: i2=[(label, box, score), ...]; the rest is padding."""
    rows = 3
    boxes, labels = np.zeros((4, rows, 4)), np.zeros((4, rows), np.int64)
    scores = np.zeros((4, rows))
    for name, detections in by_image.items():
        for row, (label, box, score) in enumerate(detections):
            at = ORDER.index(int(name[1:])), row
            boxes[at], labels[at], scores[at] = box, label, score
    return {"boxes": boxes, "labels": labels, "scores": scores}


PERFECT = {"i2": [(0, BOX, 0.9)], "i7": [(0, BOX, 0.8)], "i9": [(1, BOX, 0.7)]}


def ap(images, **detections) -> float:
    return evaluate(images, found(**detections), CATEGORIES).ap


def test_images_are_listed_by_ascending_id(images):
    assert list(images.images) == ORDER
    assert [path.name for path in images.images.values()] == ["2.png", "7.png", "9.png", "11.png"]


def test_perfect_detections_have_an_ap_of_100(images):
    assert ap(images, **PERFECT) == pytest.approx(100.0)


def test_labels_are_indices_into_the_category_ids(images):
    swapped = {name: [(1 - d[0][0], *d[0][1:])] for name, d in PERFECT.items()}
    assert ap(images, **swapped) == 0.0


def test_a_miss_halves_the_recall_of_its_class(images):
    """Class 3: one of two found, precision 1 up to recall 0.5: 51 of 101 points."""
    value = ap(images, **{**PERFECT, "i7": []})
    assert value == pytest.approx(100 * (51 / 101 + 1) / 2)


def test_images_without_detections_count(images):
    """Only class 18 is found at all: class 3 has an AP of 0, not none."""
    assert ap(images, i9=[(1, BOX, 0.7)]) == pytest.approx(50.0)


def test_a_false_alarm_above_the_hits_costs_precision(images):
    """Class 18: one wrong box in an empty image before the right one: precision 1/2 throughout."""
    value = ap(images, **PERFECT, i11=[(1, BOX, 0.95)])
    assert value == pytest.approx(100 * (1 + 0.5) / 2)


def test_a_box_of_iou_0_6_counts_at_three_of_ten_thresholds(images):
    """(0.5, 0.55 and 0.6; COCO's comparison takes equality)"""
    smaller = (10.0, 20.0, 50.0, 44.0 + 1e-6)
    value = ap(images, **{**PERFECT, "i9": [(1, smaller, 0.7)]})
    assert value == pytest.approx(100 * (1 + 0.3) / 2)


def test_boxes_are_corners_and_not_sides(images):
    shifted = {name: [(d[0][0], (10, 20, 40, 40), d[0][2])] for name, d in PERFECT.items()}
    assert ap(images, **shifted) < 50.0


def test_missing_results_fail(images):
    detections = {k: v[:3] for k, v in found(**PERFECT).items()}
    with pytest.raises(CheckFailure) as failure:
        evaluate(images, detections, CATEGORIES)
    assert failure.value.what == "images are missing from the results"
    assert (failure.value.expected, failure.value.actual) == ("4 images, each once", "3 results")


def test_no_detection_at_all_fails_in_words(images):
    with pytest.raises(CheckFailure, match="there is nothing to score") as failure:
        evaluate(images, found(), CATEGORIES)
    assert failure.value.actual == "none on 4 images"


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_fails_in_words(images, label):
    """-1 would be the last class to NumPy."""
    with pytest.raises(CheckFailure, match="labels are no classes") as failure:
        evaluate(images, found(**{**PERFECT, "i9": [(label, BOX, 0.7)]}), CATEGORIES)
    assert failure.value.expected == "0..1"


def test_an_image_file_that_is_not_there_fails_by_name(tmp_path):
    annotations = write(tmp_path)
    (tmp_path / "9.png").unlink()
    with pytest.raises(CheckFailure, match="images of the set are missing") as failure:
        image_set(annotations, tmp_path)
    assert failure.value.worst == ["9.png"]
    assert failure.value.actual == "1 are not there"


def test_a_set_without_images_is_no_set(tmp_path):
    with pytest.raises(LabError, match="instances.json: lists no images; unpack"):
        image_set(write(tmp_path, {}), tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"images": [', "is no JSON .Expecting value"),
        ("[]", "holds no images, annotations and categories"),
        ('{"images": []}', "holds no images, annotations and categories"),
        (None, "is no JSON .*No such file"),
    ],
)
def test_a_damaged_instances_file_is_named_with_its_cure(tmp_path, text, sentence):
    path = tmp_path / "instances.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabError, match=f"instances.json: {sentence}.*; unpack the set's"):
        image_set(path, tmp_path)


def test_a_score_that_is_no_number_is_no_padding(images):
    detections = found(**{**PERFECT, "i9": [(1, BOX, np.nan)]})
    with pytest.raises(CheckFailure, match="detections are not finite"):
        evaluate(images, detections, CATEGORIES)


def test_a_set_of_another_size_fails(images):
    check_coverage(images, expected=4)
    with pytest.raises(CheckFailure, match="the set has another size") as failure:
        check_coverage(images, expected=5)
    assert failure.value.expected == "5 images"


def test_a_floor_is_on_unrounded_digits(images):
    accuracy = evaluate(images, found(**{**PERFECT, "i7": []}), CATEGORIES)
    check_floor(accuracy, floor=accuracy.ap)
    with pytest.raises(CheckFailure, match="mAP is below its floor") as failure:
        check_floor(accuracy, floor=accuracy.ap + 1e-9)
    assert failure.value.actual == "75.2475 %"
    assert failure.value.needed == "floor 75.2475 %"
    assert failure.value.worst[0] == "AP 75.25 %"


def test_an_ap_that_is_no_number_is_below_any_floor(images):
    accuracy = evaluate(images, found(**PERFECT), CATEGORIES)
    accuracy.statistics["AP"] = float("nan")
    with pytest.raises(CheckFailure, match="mAP is below its floor"):
        check_floor(accuracy, floor=0.0)


def test_annotations_of_another_set_are_named():
    other = ImageSet(Path("other.json"), {1: Path("1.jpg")}, [1, 2])
    check_coverage(other, expected=1, category_ids=[2, 1])
    with pytest.raises(CheckFailure, match="the annotations are of another set"):
        check_coverage(other, expected=1, category_ids=[1, 3])
