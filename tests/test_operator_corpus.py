"""The inputs of the operators' tests are those on record: what devices decided is known for them alone."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from plugins.checks import ops_calls
from plugins.checks.ops_corpus import nms_corpus


def cases() -> dict:
    return {case.name: case for case in nms_corpus()}


def digest(*arrays: np.ndarray) -> str:
    """Of dtypes, shapes and bytes."""
    parts = [
        f"{a.dtype.name} {a.shape}".encode() + np.ascontiguousarray(a).tobytes() for a in arrays
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


# What devices decided is on record for these inputs: another input is another case, with a new name.
CORPUS = {
    "score_on_a_representable_threshold": ("e495a79d1693", (0.0625, 0.5, 200, 100)),
    "score_on_0_05_rounded_to_half": ("1ac40fb6a0cc", (0.05, 0.5, 200, 100)),
    "score_on_0_3_rounded_to_half": ("e7c59ac28ebb", (0.3, 0.5, 200, 100)),
    "score_threshold_zero": ("b24d6560e9e8", (0.0, 0.5, 200, 100)),
    "score_threshold_one": ("6eb66d6d40c0", (1.0, 0.5, 200, 100)),
    "all_below": ("341b6857020f", (0.05, 0.5, 200, 100)),
    "iou_exactly_half": ("d2ff3eaba9d4", (0.05, 0.5, 200, 100)),
    "iou_just_above_half": ("12c0a5f93092", (0.05, 0.5, 200, 100)),
    "iou_threshold_zero": ("8ee4b12422e2", (0.05, 0.0, 200, 100)),
    "iou_threshold_one": ("6a41b9cf65ae", (0.05, 1.0, 200, 100)),
    "no_plus_one": ("8d6712bdea64", (0.05, 0.5, 200, 100)),
    "suppressed_boxes_suppress_nothing": ("02c494d57543", (0.05, 0.5, 200, 100)),
    "same_box_in_two_classes": ("d4ed7c9d7112", (0.05, 0.5, 200, 100)),
    "300_disjoint_boxes": ("53883544f564", (0.05, 0.5, 200, 100)),
    "cap_per_class": ("47efcef50eba", (0.05, 0.5, 3, 100)),
    "cap_counts_survivors": ("9ce55b95018d", (0.05, 0.5, 3, 100)),
    "cap_in_total": ("6f812e40dce0", (0.05, 0.5, 200, 5)),
    "one_row": ("64d97f7007f1", (0.05, 0.5, 200, 1)),
    "ties_by_class_then_row": ("26f50b2dec65", (0.05, 0.5, 200, 10)),
    "tied_overlapping_boxes": ("126ce0ca90bc", (0.05, 0.5, 200, 100)),
    "worst_first": ("8c88e044dc1f", (0.05, 0.5, 200, 100)),
    "nan_scores": ("a559c9155605", (0.05, 0.5, 200, 100)),
    "nan_boxes": ("eadeec25ca3f", (0.05, 0.5, 2, 100)),
    "infinite_score": ("b26a59996a8b", (0.05, 0.5, 200, 100)),
    "infinite_boxes": ("7905e922773a", (0.05, 0.5, 200, 100)),
    "huge_boxes": ("029bd6afb226", (0.05, 0.5, 200, 100)),
    "image_sized_boxes": ("dbfa796632c5", (0.05, 0.5, 200, 100)),
    "degenerate_boxes": ("46ab04c957b4", (0.05, 0.5, 200, 100)),
    "negative_coordinates": ("16416cc86ec8", (0.05, 0.5, 200, 100)),
    "no_rows": ("9319140e8199", (0.05, 0.5, 200, 100)),
    "two_images_with_shared_boxes": ("fe332675c9c6", (0.05, 0.5, 200, 8)),
    "eighty_classes": ("524d53f15394", (0.05, 0.5, 200, 160)),
    "4240_candidates": ("a97aa63033e5", (0.05, 0.5, 200, 100)),
    "padding_rows": ("82d4b56d5413", (0.05, 0.5, 200, 100)),
}


def test_the_corpus_has_the_cases_on_record_in_their_order():
    assert list(cases()) == list(CORPUS)


@pytest.mark.parametrize("name", CORPUS)
def test_a_case_of_the_corpus_is_the_one_on_record(name):
    case = cases()[name]
    assert case.boxes.dtype == case.scores.dtype == np.float16
    assert (digest(case.boxes, case.scores), dataclasses.astuple(case.options)) == CORPUS[name]


ROI_RECORD = {
    "mask_rcnn": ("fe085c5a2ece", ((0.25, 0.125, 0.0625, 0.03125), False, 56, 7, 7, 0, 0)),
    "cascade_rcnn": ("fe085c5a2ece", ((0.25, 0.125, 0.0625, 0.03125), True, 56, 7, 7, 0, 0)),
    "one_level": ("0d9b8c25d1a4", ((0.25,), True, 56, 7, 7, 0, 2)),
    "enlarged": ("30d760899bcb", ((0.25, 0.125), True, 56, 3, 5, 2, 0)),
}


def test_the_cases_of_regions_are_those_on_record_in_their_order():
    assert [case.name for case in ops_calls.roi_cases()] == list(ROI_RECORD)


@pytest.mark.parametrize("name", ROI_RECORD)
def test_a_case_of_regions_is_the_one_on_record(name):
    case = next(case for case in ops_calls.roi_cases() if case.name == name)
    feats, rois = case.arrays("float32")
    assert {a.dtype.name for a in (*feats, rois)} == {"float32"}
    assert (digest(*feats, rois), dataclasses.astuple(case.options)) == ROI_RECORD[name]
