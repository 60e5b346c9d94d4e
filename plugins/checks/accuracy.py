"""Mean average precision by two engines that must agree, on every image exactly once, to the last digit."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from plugins.checks.average_precision import NAMES, statistics
from plugins.checks.matching import Matches, Objects, match, read_objects
from plugins.failure import CheckFailure, LabError

# What the figures are made of, in each row of a table: how many numbers, or a text.
NUMBER, BOX, TEXT = (), (4,), None
ROWS = {
    "images": {"id": NUMBER, "file_name": TEXT},
    "annotations": {
        **dict.fromkeys(("id", "image_id", "category_id", "area"), NUMBER),
        "bbox": BOX,
    },
    "categories": {"id": NUMBER},
}
KINDS = {NUMBER: "a finite number", BOX: "4 finite numbers", TEXT: "a text"}


@dataclass(frozen=True)
class ImageSet:
    """A COCO-format set: the instances file and the image files by id, in ascending order."""

    annotations: Path
    images: Mapping[int, Path]
    categories: Sequence[int] = ()


@dataclass(frozen=True)
class Accuracy:
    """COCO's 12 statistics in percent, the precision by threshold, recall and class, the matches."""

    statistics: Mapping[str, float]
    precision: np.ndarray
    matches: Matches

    @property
    def ap(self) -> float:
        """mAP@[.5:.95] in percent, unrounded."""
        return self.statistics["AP"]

    @property
    def by_class(self) -> np.ndarray:
        """AP of each class (n,) in percent; NaN for a class without objects."""
        return np.where(self.precision >= 0, 100 * self.precision, np.nan).mean((0, 1))


def image_set(annotations: Path, folder: Path, limit: int = 0) -> ImageSet:
    """Read a set's image list; CheckFailure if files are missing, so that nothing shrinks it.

    A LabError for rows that could not be scored: all of them are looked at before a model runs.
    """
    document = _document(annotations)
    _check_rows(annotations, document)
    names = {one["id"]: one["file_name"] for one in document["images"]}
    files = {i: folder / names[i] for i in sorted(names)[: limit or None]}
    if not files:
        raise LabError(f"{annotations}: lists no images; unpack the set's annotations again")
    absent = [str(path.name) for path in files.values() if not path.is_file()]
    if absent:
        raise CheckFailure(
            "images of the set are missing",
            expected=f"the {len(files)} images that {annotations} lists, in {folder}",
            actual=f"{len(absent)} are not there",
            worst=absent,
        )
    return ImageSet(annotations, files, sorted(one["id"] for one in document["categories"]))


def _document(annotations: Path) -> dict:
    """An instances file; a LabError with the cure for what is none."""
    try:
        document = json.loads(annotations.read_text(encoding="utf-8"))
        if isinstance(document, dict) and all(isinstance(document.get(t), list) for t in ROWS):
            return document
        wrong = "holds no images, annotations and categories"
    except (OSError, ValueError) as error:
        wrong = f"is no JSON ({error})"
    raise LabError(f"{annotations}: {wrong}; unpack the set's annotations again")


def _check_rows(annotations: Path, document: Mapping[str, list]) -> None:
    for table, fields in ROWS.items():
        rows = document[table]
        for field, shape in fields.items():
            if not _sound(rows, field, shape):
                index = next(i for i, row in enumerate(rows) if not _sound([row], field, shape))
                row = rows[index]
                found = (
                    repr(row[field])[:60] if isinstance(row, dict) and field in row else "missing"
                )
                raise LabError(
                    f"{annotations}: {table}[{index}]: {field} is {found}, not {KINDS[shape]}; convert "
                    "the set with all that COCO's format asks for, or unpack its annotations again"
                )


def _sound(rows: list, field: str, shape: Any) -> bool:
    """Whether each row has this field, with a text or so many finite numbers in it."""
    try:
        values = [row[field] for row in rows]
        if shape is TEXT:
            return all(isinstance(value, str) for value in values)
        numbers = np.array(values)
    except (KeyError, TypeError, ValueError):
        return False
    if numbers.shape != (len(rows), *shape) or numbers.dtype.kind not in "iuf":
        return not rows
    return bool(np.isfinite(numbers).all())


def check_coverage(images: ImageSet, *, expected: int, category_ids: Sequence[int] = ()) -> None:
    """As many images as the contract names: fewer would be another set's mAP."""
    if len(images.images) != expected:
        raise CheckFailure(
            "the set has another size",
            expected=f"{expected} images",
            actual=f"{len(images.images)} images in {images.annotations}",
        )
    if images.categories and list(images.categories) != sorted(category_ids or images.categories):
        raise CheckFailure(
            "the annotations are of another set",
            expected=f"the contract's {len(category_ids)} categories",
            actual=f"{len(images.categories)} others in {images.annotations}",
        )


def evaluate(images: ImageSet, detections: Mapping[str, np.ndarray], category_ids: Sequence[int]):
    """Score detections (boxes (n, M, 4) in px, labels and scores (n, M)) on all images of a set.

    Every image counts, those without any detection too.
    """
    found = score(
        images.annotations, list(images.images), table_of(images, detections, category_ids)
    )
    _check_all_scored(found, images)
    return found


def matched(
    images: ImageSet, several: Sequence[Mapping[str, np.ndarray]], category_ids: Sequence[int]
) -> list[Matches]:
    """As `evaluate`, of several detectors on one set, by our own engine alone, without the figures."""
    objects = read_objects(images.annotations, list(images.images))
    return [
        _matched(images.annotations, objects, table_of(images, one, category_ids))
        for one in several
    ]


def table_of(
    images: ImageSet, detections: Mapping[str, np.ndarray], category_ids: Sequence[int]
) -> np.ndarray:
    """The detections on all images of a set as a table for `score`; CheckFailure if one is missing."""
    ids = list(images.images)
    boxes, labels, scores = (detections[k] for k in ("boxes", "labels", "scores"))
    if len(boxes) != len(ids):
        raise CheckFailure(
            "images are missing from the results",
            expected=f"{len(ids)} images, each once",
            actual=f"{len(boxes)} results",
        )
    image, row = np.nonzero(~(scores <= 0))  # NaN is no padding
    corners, labels = boxes[image, row], labels[image, row].astype(np.int64)
    if ((labels < 0) | (labels >= len(category_ids))).any():
        raise CheckFailure(
            "labels are no classes",
            expected=f"0..{len(category_ids) - 1}",
            actual=f"{labels.min()} .. {labels.max()}",
        )
    categories = np.asarray(category_ids)[labels]
    return np.column_stack(
        [
            np.asarray(ids)[image],
            corners[:, :2],
            corners[:, 2:] - corners[:, :2],
            scores[image, row],
            categories,
        ]
    )


def score(annotations: Path, ids: Sequence[int], table: np.ndarray) -> Accuracy:
    """Score a table of detections against the annotations as they were written, on the images `ids`.

    table: (n, 7) float64: image id, x, y, width, height in px, score, category id.
    pycocotools computes the figures, our own engine does so again; a LabError where they differ.
    """
    matches = _matched(annotations, read_objects(annotations, ids), table)
    coco = _quiet(COCO, str(annotations))
    evaluation = COCOeval(coco, _quiet(coco.loadRes, table), "bbox")
    evaluation.params.imgIds = list(ids)
    for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
        _quiet(step)
    figures = {name: 100 * float(v) for name, v in zip(NAMES, evaluation.stats)}
    check_agreement(figures, statistics(matches), annotations)
    return Accuracy(figures, evaluation.eval["precision"][:, :, :, 0, 2], matches)


def check_agreement(
    figures: Mapping[str, float], ours: Mapping[str, float], annotations: Path
) -> None:
    """Both engines have the same 12 statistics, bit by bit; else no figure is valid: a LabError."""
    unlike = [f"{k} {figures[k]!r} and {ours[k]!r} %" for k in NAMES if figures[k] != ours[k]]
    if unlike:
        raise LabError(
            f"{annotations}: pycocotools and our engine differ in {len(unlike)} of {len(NAMES)} "
            f"statistics ({unlike[0]}); no mAP is valid until tests/test_matching.py passes here"
        )


def _matched(annotations: Path, objects: Objects, table: np.ndarray) -> Matches:
    _check_ids(annotations, objects.images, table)
    if not len(table):
        raise CheckFailure(
            "there is nothing to score",
            expected="detections",
            actual=f"none on {len(objects.images)} images",
        )
    return match(objects, np.asarray(table, np.float64))


def _check_all_scored(found: Accuracy, images: ImageSet) -> None:
    """An image that was left out takes its objects and its false alarms with it: mAP would rise."""
    missing = sorted(set(images.images) - set(found.matches.objects.images.tolist()))
    if missing:
        raise CheckFailure(
            "images of the set were not scored",
            expected=f"all {len(images.images)} images of {images.annotations}",
            actual=f"{len(missing)} are not among those scored",
            worst=[f"image {i}" for i in missing[:5]],
        )


def _check_ids(annotations: Path, ids: Sequence[int], table: np.ndarray) -> None:
    """Detections of other images are another set's: COCO's code would only assert."""
    strange = np.setdiff1d(table[:, 0], ids) if len(table) else ()
    if len(strange):
        raise CheckFailure(
            "detections are of images that are not scored",
            expected=f"only the {len(ids)} images of {annotations}",
            actual=f"{len(strange)} others",
            worst=[f"image {i:.0f}" for i in strange[:5]],
        )


def check_floor(accuracy: Accuracy, *, floor: float) -> None:
    """mAP, unrounded, is at least the contract's floor (both in percent)."""
    if not accuracy.ap >= floor:
        raise CheckFailure(
            "mAP is below its floor",
            expected=f"AP@[.5:.95] >= {floor:.6g} %",
            actual=f"{accuracy.ap:.6g} %",
            worst=[f"{name} {value:.4g} %" for name, value in accuracy.statistics.items()][:5],
            needed=f"floor {accuracy.ap:.6g} %",
        )


def _quiet(function, *arguments):
    """pycocotools prints its progress; the report has no use for it."""
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*arguments)
