"""What is read of a COCO-format set, and what is refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fixtures import training_set
from tests.training_modules import CLASSES, COUNT, SCALE, coco, refusal, with_objects

pytest_plugins = ["tests.training_files"]
Refusal = refusal.Refusal


def test_every_object_is_read_as_it_was_drawn(set_file, set_images):
    for sample in coco.read(set_file, set_images, CLASSES, training=False):
        index = (sample.image_id - 139) // 7
        drawn, shapes = training_set.draw_image("train", index, SCALE)
        assert np.array_equal(coco.pixels(sample), drawn[:, :, ::-1])
        boxes = [(s.box[0], s.box[1], s.box[0] + s.box[2], s.box[1] + s.box[3]) for s in shapes]
        solid = [k for k, shape in enumerate(shapes) if not shape.iscrowd]
        assert sample.boxes.tolist() == [list(boxes[k]) for k in solid]
        assert sample.labels.tolist() == [shapes[k].category for k in solid]


def test_samples_come_by_ascending_id(edited_set, set_images):
    path = edited_set(lambda content: content["images"].reverse())
    ids = [sample.image_id for sample in coco.read(path, set_images, CLASSES, training=False)]
    assert ids == sorted(ids) and len(ids) == COUNT


def test_training_leaves_out_the_image_without_objects(set_file, set_images):
    kept = [len(coco.read(set_file, set_images, CLASSES, training)) for training in (True, False)]
    assert kept == [COUNT - 1, COUNT]


@pytest.mark.parametrize(
    ("objects", "kept", "targets"),
    [
        ([], 0, 0),
        ([(1, [5, 5, 1, 30])], 0, 1),  # a pixel wide: no reason to train on the image
        ([(1, [5, 5, 1, 30]), (3, [5, 5, 1.5, 1.5])], 1, 2),
        ([(1, [5, 5, 20, 0]), (3, [5, 5, 9, 9])], 1, 1),  # no area: no target
        ([(1, [5, 5, 20, 20], "crowd")], 1, 0),  # as the source: kept for its crowd, no target
    ],
)
def test_images_and_boxes_are_filtered_as_the_source_does(
    edited_set, set_images, objects, kept, targets
):
    path = edited_set(with_objects(*objects))
    assert len(coco.read(path, set_images, CLASSES, training=True)) == kept
    (sample,) = coco.read(path, set_images, CLASSES, training=False)
    assert len(sample.boxes) == len(sample.labels) == targets


def test_a_box_a_little_over_the_border_is_clipped(edited_set, set_images):
    (sample,) = coco.read(
        edited_set(with_objects((4, [-0.5, 10, 101.0, 70.9]))), set_images, CLASSES, training=True
    )
    assert sample.boxes.tolist() == [[0, 10, 100, 80]] and sample.boxes.dtype == np.float32


def _setting(kind, field, value, k=3):
    def change(content):
        content[kind][k][field] = value

    return change


def _without(kind, field, k=3):
    return lambda content: content[kind][k].pop(field)


REFUSED = {
    "field 'images' is no list": lambda c: c.pop("images"),
    "field 'annotations' is no list": lambda c: c.update(annotations={}),
    "images[3].width is no int": _setting("images", "width", "128"),
    "images[3].height is 0 px": _setting("images", "height", 0),
    "images[3].file_name is no str": _without("images", "file_name"),
    "images[1].id 139 is there twice": _setting("images", "id", 139, 1),
    "annotations[3] lacks the field 'bbox'": _without("annotations", "bbox"),
    "images[3].id is no int": _without("images", "id"),
    "images[3].id is more than 64 bits hold": _setting("images", "id", 2**63),
    "images[3].width is more than 64 bits hold": _setting("images", "width", 10**30),
    "annotations[3] lacks the field 'image_id'": _without("annotations", "image_id"),
    "annotations[3] lacks the field 'category_id'": _without("annotations", "category_id"),
    "annotations[3].image_id is more than 64 bits hold": (
        _setting("annotations", "image_id", 2**63)
    ),
    "annotations[3].category_id is more than 64 bits hold": (
        _setting("annotations", "category_id", -(2**63))
    ),
    "image_id and category_id and four numbers bbox, not": _setting(
        "annotations", "bbox", [1, 2, 3, 10**400]
    ),
    "annotations[3] must hold whole numbers": _setting("annotations", "category_id", 1.5),
    "four numbers bbox": _setting("annotations", "bbox", [1, 2, 3]),
    "annotations[3].image_id is 5; no image has it": _setting("annotations", "image_id", 5),
    "annotations[3].category_id is 8; a network of 8 outputs has the ids 1..7": (
        _setting("annotations", "category_id", 8)
    ),
    "annotations[3].category_id is 0": _setting("annotations", "category_id", 0),
    "annotations[3].bbox is [1.0, nan, 5.0, 5.0]; it must be four finite numbers": (
        _setting("annotations", "bbox", [1, float("nan"), 5, 5])
    ),
    "a side is negative": _setting("annotations", "bbox", [9, 9, 5, -1]),
    "annotations[0].bbox is [70.0, 10.0, 32.0, 20.0]; it leaves its image": (
        with_objects((1, [70, 10, 32, 20]))
    ),
    "it leaves its image": with_objects((1, [5, -1.5, 32, 20])),
    "no such file, but edited.json lists it as image 139": (
        _setting("images", "file_name", "absent.png", 0)
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_broken_instances_file_is_refused_in_one_sentence(edited_set, set_images, sentence):
    with pytest.raises(Refusal) as refused:
        coco.read(edited_set(REFUSED[sentence]), set_images, CLASSES, training=True)
    assert sentence in str(refused.value) and "edited.json" in str(refused.value)
    assert "\n" not in str(refused.value) and ";" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "found"), [("absent.json", "no such file"), (".", "cannot be read (Is a directory)")]
)
def test_an_absent_instances_file_is_refused(tmp_path, set_images, name, found):
    with pytest.raises(Refusal, match=f"{tmp_path}.*{found.replace('(', '.')[:12]}"):
        coco.read(tmp_path / name, set_images, CLASSES, training=True)


@pytest.mark.parametrize("bytes_kept", [0, 1000])
def test_a_truncated_instances_file_is_refused(set_file, set_images, tmp_path, bytes_kept):
    path = tmp_path / "cut.json"
    path.write_bytes(set_file.read_bytes()[:bytes_kept])
    with pytest.raises(Refusal, match=r"cut\.json: not JSON .*perhaps cut short; fetch"):
        coco.read(path, set_images, CLASSES, training=True)


def test_an_absent_folder_of_images_is_refused(set_file, tmp_path):
    with pytest.raises(Refusal, match="none: no folder of images .*; give its path"):
        coco.read(set_file, tmp_path / "none", CLASSES, training=True)


def test_an_image_of_another_size_than_declared_is_refused(edited_set, set_images):
    path = edited_set(with_objects((1, [5, 5, 20, 20]), size=(100, 80)))
    (sample,) = coco.read(path, set_images, CLASSES, training=True)
    with pytest.raises(Refusal, match=r"\.png: the file is .* px, its entry .* says 100x80; fetch"):
        coco.pixels(sample)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[8:]])
def test_an_unreadable_image_is_refused(set_file, set_images, tmp_path, damage):
    sample = coco.read(set_file, set_images, CLASSES, training=True)[0]
    path = tmp_path / "damaged.png"
    path.write_bytes(damage(sample.path.read_bytes()))
    with pytest.raises(Refusal, match=r"damaged\.png: image 139 cannot be decoded .*fetch it"):
        coco.pixels(sample._replace(path=path))


@pytest.fixture
def of_mode(set_file, set_images, tmp_path):
    """The first sample, with its image in another mode."""

    def make(mode):
        sample = coco.read(set_file, set_images, CLASSES, training=True)[0]
        path = tmp_path / "image.tiff"
        Image.new(mode, (sample.width, sample.height)).save(path)
        return sample._replace(path=path)

    return make


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "LAB"])
def test_an_image_that_rgb_would_clip_is_refused(of_mode, mode):
    with pytest.raises(Refusal, match=f"image.tiff: image 139 has the mode {mode}, .*; store it"):
        coco.pixels(of_mode(mode))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_an_image_of_any_usual_mode_becomes_rgb(of_mode, mode):
    assert coco.pixels(of_mode(mode)).shape[2] == 3


@pytest.mark.parametrize(("count", "fits"), [(128, True), (127, False), (0, False)])
def test_a_set_smaller_than_a_global_batch_is_refused(count, fits):
    if fits:
        return coco.check_enough(count, 16, 8)
    with pytest.raises(Refusal, match=f"{count} images .* 16 on each of 8 ranks = 128; give more"):
        coco.check_enough(count, 16, 8)


def test_a_refusal_that_passed_through_a_traceback_is_one_sentence_again():
    assert str(Refusal("Caught Refusal\n  raise x\nrefusal.Refusal: a.png: is bad; fix it\n")) == (
        "a.png: is bad; fix it"
    )
