"""A COCO instances file and its images as plain arrays, checked before anything is trained."""

from __future__ import annotations

import json
import operator
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from refusal import Refusal

# COCO rounds corners to 0.01 px, other annotators to whole px.
BORDER = 1.0  # px that a box may leave its image before it is refused
EMPTY = 1.0  # px: a box with a side no longer than this does not make an image worth training on
# What becomes RGB as it looks; of I;16 or F, convert() makes plain black and white.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class Sample(NamedTuple):
    """One image and the objects to find in it.

    boxes: float32 (n, 4), x1 y1 x2 y2 in px inside the image; labels: int64 (n,), category ids.
    """

    image_id: int
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray


def read(annotations: Path | str, images: Path | str, classes: int, training: bool) -> list[Sample]:
    """The samples of an instances file, by ascending image id.

    As the source's loader does it: labels are the raw category ids; crowd regions and boxes without
    an area are no targets; for training, an image is left out when no annotation of it, crowd or
    not, is more than a pixel wide and high. Masks are not read: the source decodes them, copies
    them to the device and resizes them in the model, and RetinaNet uses none of it.

    Args:
        classes: outputs of the class head; ids are within 1..classes-1, index 0 is idle.
    Raises Refusal for a file, a field or an image file that is missing, broken or contradictory.
    """
    path = Path(annotations)
    content = _load(path)
    entries = _entries(path, content["images"])
    objects = _objects(path, content["annotations"], entries, classes)
    present = _names(Path(images))
    samples = []
    for image_id, entry in sorted(entries.items()):
        found = objects.get(image_id, _NO_OBJECTS)
        if not training or (found["bbox"][:, 2:] > EMPTY).all(axis=1).any():
            _check_present(path, entry, Path(images), present)
            samples.append(_sample(entry, Path(images), found))
    return samples


def pixels(sample: Sample) -> np.ndarray:
    """The image, uint8 (height, width, 3) RGB, as stored: what a camera says of turning is ignored,
    because COCO's boxes refer to the stored rows and columns.

    Raises Refusal for an image that cannot be decoded, or is of another mode or size than it may be.
    """
    try:
        with Image.open(sample.path) as image:
            if image.mode not in MODES:
                raise Refusal(
                    f"{sample.path}: image {sample.image_id} has the mode {image.mode}, not one "
                    f"of {', '.join(MODES)}; store it as RGB of 8 bits a channel"
                )
            decoded = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Refusal(
            f"{sample.path}: image {sample.image_id} cannot be decoded ({error}); fetch it again"
        ) from error
    height, width = decoded.shape[:2]
    if (width, height) != (sample.width, sample.height):
        raise Refusal(
            f"{sample.path}: the file is {width}x{height} px, its entry in the annotations says "
            f"{sample.width}x{sample.height}; fetch the image again or correct width and height"
        )
    return decoded


def check_enough(count: int, batch: int, world: int, name: str = "the training set") -> None:
    """Raises Refusal when `count` images do not fill one batch on each of `world` ranks."""
    if count < batch * world:
        raise Refusal(
            f"{name}: {count} images with objects are fewer than one global batch, {batch} on each "
            f"of {world} ranks = {batch * world}; give more images or a smaller batch"
        )


def _load(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Refusal(f"{path}: no such file; give a COCO instances file") from None
    except OSError as error:
        raise Refusal(
            f"{path}: cannot be read ({error.strerror}); give a COCO instances file"
        ) from error
    except ValueError as error:
        raise Refusal(
            f"{path}: not JSON ({error}), perhaps cut short; fetch or write it again"
        ) from error
    for field in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(field), list):
            raise Refusal(f"{path}: field '{field}' is no list; give a COCO *instances* file")
    return content


def _entries(path: Path, images: list) -> dict[int, dict]:
    entries: dict[int, dict] = {}
    for k, entry in enumerate(images):
        for field, kind in (("id", int), ("file_name", str), ("width", int), ("height", int)):
            if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
                raise Refusal(f"{path}: images[{k}].{field} is no {kind.__name__}; correct it")
            if kind is int:
                _check_size(path, "images", k, field, entry[field])
        for field in ("width", "height"):
            if entry[field] < 1:
                raise Refusal(f"{path}: images[{k}].{field} is {entry[field]} px; correct it")
        if entry["id"] in entries:
            raise Refusal(f"{path}: images[{k}].id {entry['id']} is there twice; drop one of them")
        entries[entry["id"]] = entry
    return entries


def _check_size(path: Path, kind: str, k: int, field: str, number: int) -> None:
    if abs(number) >= 2**63:
        raise Refusal(f"{path}: {kind}[{k}].{field} is more than 64 bits hold; correct it")


_FIELDS = [("image_id", "i8"), ("category_id", "i8"), ("iscrowd", "?"), ("bbox", "f8", 4)]
_NO_OBJECTS = np.empty(0, _FIELDS)


def _objects(path: Path, annotations: list, entries: dict, classes: int) -> dict:
    """Image id -> its annotations as a table, in the order of the file."""
    table = np.array([_row(path, k, a) for k, a in enumerate(annotations)], _FIELDS)
    _refuse(path, ~np.isin(table["image_id"], list(entries)), table, "image_id", "no image has it")
    wrong = (table["category_id"] < 1) | (table["category_id"] >= classes)
    rule = f"a network of {classes} outputs has the ids 1..{classes - 1}"
    _refuse(path, wrong, table, "category_id", rule)
    finite = np.isfinite(table["bbox"]).all(axis=1)
    _refuse(path, ~finite, table, "bbox", "it must be four finite numbers, x y width height")
    _refuse(path, (table["bbox"][:, 2:] < 0).any(axis=1), table, "bbox", "a side is negative")
    limits = np.array([(entries[k]["width"], entries[k]["height"]) for k in table["image_id"]])
    start, sides = table["bbox"][:, :2], table["bbox"][:, 2:]
    outside = (start < -BORDER) | (start + sides > limits.reshape(-1, 2) + BORDER)
    _refuse(path, outside.any(axis=1), table, "bbox", "it leaves its image")
    order = np.argsort(table["image_id"], kind="stable")
    ids, starts = np.unique(table["image_id"][order], return_index=True)
    return dict(zip(ids.tolist(), np.split(table[order], starts[1:])))


def _row(path: Path, k: int, annotation: dict) -> tuple:
    try:
        x, y, w, h = map(float, annotation["bbox"])
        image_id, category_id = (operator.index(annotation[n]) for n in ("image_id", "category_id"))
        _check_size(path, "annotations", k, "image_id", image_id)
        _check_size(path, "annotations", k, "category_id", category_id)
        return image_id, category_id, bool(annotation.get("iscrowd", 0)), (x, y, w, h)
    except KeyError as error:
        raise Refusal(f"{path}: annotations[{k}] lacks the field {error}; add it") from None
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise Refusal(
            f"{path}: annotations[{k}] must hold whole numbers image_id and category_id and "
            f"four numbers bbox, not {str(annotation)[:120]}; correct it"
        ) from None


def _refuse(path: Path, wrong: np.ndarray, table: np.ndarray, field: str, rule: str) -> None:
    if wrong.any():
        k = int(np.argmax(wrong))
        value = table[field][k].tolist()
        raise Refusal(
            f"{path}: annotations[{k}].{field} is {value}; {rule}; correct or drop it "
            f"({int(wrong.sum())} such)"
        )


def _names(images: Path) -> set[str]:
    try:
        return set(
            os.listdir(images)
        )  # one call: asking for 118 000 files one by one takes minutes
    except OSError as error:
        raise Refusal(f"{images}: no folder of images ({error.strerror}); give its path") from None


def _check_present(path: Path, entry: dict, images: Path, present: set[str]) -> None:
    name = entry["file_name"]
    if name not in present and not (images / name).is_file():
        raise Refusal(
            f"{images / name}: no such file, but {path.name} lists it as image {entry['id']}; "
            "fetch the image or drop its entry"
        )


def _sample(entry: dict, images: Path, found: np.ndarray) -> Sample:
    width, height = entry["width"], entry["height"]
    found = found[~found["iscrowd"]]
    boxes = found["bbox"].astype(np.float32)  # before the sum, as the source does
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    labels = found["category_id"][solid].astype(np.int64)
    return Sample(entry["id"], images / entry["file_name"], width, height, boxes[solid], labels)
