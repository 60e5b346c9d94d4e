"""Our engine against pycocotools on hostile sets: the 12 statistics and the precision, bit by bit."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from plugins.checks import accuracy, matching
from plugins.checks.average_precision import NAMES, curves, statistics
from plugins.failure import CheckFailure, LabError
from tests import hostile_sets


def theirs(path, ids, table) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
        evaluation = COCOeval(coco, coco.loadRes(table), "bbox")
        evaluation.params.imgIds = ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def ours(path, ids, table) -> matching.Matches:
    return matching.match(matching.read_objects(path, ids), table)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", hostile_sets.KINDS)
def test_both_engines_have_the_same_bits(tmp_path, kind, seed):
    document, table = hostile_sets.make(kind, seed)
    ids = hostile_sets.ids_of(document)
    path = hostile_sets.write(tmp_path, document)
    known, found = theirs(path, ids, table), ours(path, ids, table)
    assert [100 * float(v) for v in known.stats] == [statistics(found)[name] for name in NAMES]
    for place, area in enumerate(matching.AREAS):
        precision, recall = curves(found, area)
        np.testing.assert_array_equal(precision, known.eval["precision"][:, :, :, place, 2])
        np.testing.assert_array_equal(recall, known.eval["recall"][:, :, place, 2])


def test_the_hostile_sets_are_not_empty():
    for kind in hostile_sets.KINDS:
        document, table = hostile_sets.make(kind)
        assert len(document["annotations"]) > 50 and len(table) > 100


def test_a_part_of_the_images_is_scored_alike(tmp_path):
    document, table = hostile_sets.make("plain")
    ids = hostile_sets.ids_of(document)[::2]
    path = hostile_sets.write(tmp_path, document)
    mine = table[np.isin(table[:, 0], ids)]
    assert accuracy.score(path, ids, mine).ap == 100 * theirs(path, ids, mine).stats[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [1, 3, 5])
def test_detections_that_are_no_numbers_are_refused(tmp_path, column, value):
    document, table = hostile_sets.make("plain")
    table[3, column] = value
    path = hostile_sets.write(tmp_path, document)
    with pytest.raises(CheckFailure, match="detections are not finite") as failure:
        accuracy.score(path, hostile_sets.ids_of(document), table)
    assert failure.value.actual == f"1 of {len(table)} rows hold NaN or Inf"


def test_annotation_number_0_is_refused_because_coco_takes_it_for_no_match(tmp_path):
    document, table = hostile_sets.make("plain")
    document["annotations"][0]["id"] = 0
    path = hostile_sets.write(tmp_path, document)
    with pytest.raises(LabError, match="annotation id 0 means 'no match' to COCO; number from 1"):
        accuracy.score(path, hostile_sets.ids_of(document), table)


def test_engines_that_disagree_make_the_run_invalid(tmp_path, monkeypatch):
    document, table = hostile_sets.make("plain")
    path = hostile_sets.write(tmp_path, document)
    score = accuracy.score(path, hostile_sets.ids_of(document), table)
    off = {**score.statistics, "AR 10": score.statistics["AR 10"] * (1 + 1e-15)}
    monkeypatch.setattr(accuracy, "statistics", lambda matches: off)
    with pytest.raises(LabError, match="differ in 1 of 12 statistics .AR 10"):
        accuracy.score(path, hostile_sets.ids_of(document), table)


def test_an_object_is_found_once_and_by_the_best_detection(tmp_path):
    document, _ = hostile_sets.make("plain")
    note = next(a for a in document["annotations"] if not a["iscrowd"])
    document["annotations"] = [note]
    row = [note["image_id"], *note["bbox"], 0.5, note["category_id"]]
    better = [*row[:5], 0.9, row[6]]
    path = hostile_sets.write(tmp_path, document)
    found = ours(path, hostile_sets.ids_of(document), np.array([row, better]))
    assert found.scores.tolist() == [0.9, 0.5]
    assert found.what.tolist() == [0, -1]
    assert found.judged(slice(None), 0)[0].all(1).tolist() == [True, False]


@pytest.mark.parametrize(("wrong", "ap"), [(99, 1.0), (100, 0.0)])
def test_the_hundredth_detection_of_a_class_on_an_image_counts_and_no_more(tmp_path, wrong, ap):
    document, _ = hostile_sets.make("plain")
    document["annotations"] = [next(a for a in document["annotations"] if not a["iscrowd"])]
    note = document["annotations"][0]
    right = [note["image_id"], *note["bbox"], 0.1, note["category_id"]]
    off = [note["image_id"], 900, 900, 5, 5, 0.9, note["category_id"]]
    path = hostile_sets.write(tmp_path, document)
    score = accuracy.score(path, hostile_sets.ids_of(document), np.array([off] * wrong + [right]))
    assert score.ap == pytest.approx(ap)
