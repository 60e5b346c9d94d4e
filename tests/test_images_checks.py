"""The checks of pre- and post-processing bite: each seeded fault is called by its name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from plugins.checks import images as checks
from plugins.failure import CheckFailure

ROOT = Path(__file__).resolve().parents[1]
with mock.patch.object(sys, "path", [str(ROOT / "plugins" / "workers"), *sys.path]):
    images = importlib.import_module("images")  # by its bare name, as in a worker

CAT = ROOT / "fixtures" / "data" / "cat.jpg"
SMALL = {"shortest": 192, "longest": 256, "size": 256}
BAND = 1.0  # grey levels, measured: 0.83
MEAN = np.array(images.MEAN, np.float32)[:, None, None]
INSIDE = np.s_[:, :171, :256]  # what the cat covers of a small input


def judge(tensor):
    checks.check_input(tensor, cv2.imread(str(CAT)), mean=images.MEAN, band=BAND, **SMALL)


def inside(change):
    def fault(tensor):
        tensor[INSIDE] = change(tensor[INSIDE])

    return fault


def leaking_padding(tensor):
    tensor[0, 250, 3] = -103.53


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (inside(lambda x: (x + MEAN)[::-1] - MEAN), "the planes are RGB, the mean is BGR's"),
        (inside(lambda x: x[::-1]), "the planes and the mean are RGB, not BGR"),
        (inside(lambda x: x + MEAN - MEAN[::-1]), "the mean is RGB's, the planes are BGR"),
        (inside(lambda x: x + MEAN), "the mean is not subtracted"),
        (inside(lambda x: x - MEAN), "the mean is subtracted twice"),
        (inside(lambda x: x / 255), "the input is divided by 255"),
        (inside(lambda x: (x + MEAN) / 255 - MEAN), "the pixels, not the mean, are divided by 255"),
        (inside(lambda x: x[:, :, ::-1]), "the image is mirrored"),
        (inside(lambda x: x[:, ::-1]), "the image is upside down"),
        (inside(lambda x: np.roll(x, 1, axis=2)), "the resized pixels are not the image's"),
        (inside(lambda x: x.astype(np.float16)), "the mean is not subtracted exactly"),
        (inside(lambda x: x + np.float32(0.03)), "the mean is not subtracted exactly"),
        (inside(lambda x: x * np.float32(np.nan)), "the input holds numbers that are not finite"),
        (leaking_padding, "the padding is not zero"),
    ],
)
def test_a_fault_in_the_input_is_called_by_its_name(fault, sentence):
    tensor, _ = images.prepare(CAT, **SMALL)
    fault(tensor)
    with pytest.raises(CheckFailure) as failure:
        judge(tensor)
    assert failure.value.what == sentence


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda x: np.ascontiguousarray(x.transpose(1, 2, 0)), "laid out channels-last"),
        (lambda x: x.astype(np.float64), "wrong form"),
        (lambda x: x[:, :255], "wrong form"),
    ],
)
def test_an_input_of_another_form_is_found(change, sentence):
    tensor, _ = images.prepare(CAT, **SMALL)
    with pytest.raises(CheckFailure, match=sentence):
        judge(change(tensor))


@pytest.mark.parametrize("method", [cv2.INTER_NEAREST, cv2.INTER_CUBIC, cv2.INTER_AREA])
def test_another_interpolation_is_found(monkeypatch, method):
    resize = cv2.resize
    monkeypatch.setattr(
        images.cv2, "resize", lambda pixels, size, **_: resize(pixels, size, interpolation=method)
    )
    tensor, _ = images.prepare(CAT, **SMALL)
    with pytest.raises(CheckFailure, match="the resized pixels are not the image's") as failure:
        judge(tensor)
    assert failure.value.worst and "smallest band" in failure.value.needed


@pytest.mark.parametrize(
    "factor, sentence",
    [
        ((1, 1, 1, 1), "not restored"),
        ((0.5, 0.5, 0.5, 0.5), "x is restored with the height's scale"),
        ((0.25, 0.25, 0.25, 0.25), "y is restored with the width's scale"),
        ((0.5, 0.25, 0.5, 0.25), "width and height are swapped"),
        ((0.3, 0.5, 0.3, 0.5), "boxes do not lead back"),
        ((np.nan,) * 4, "boxes do not lead back"),
    ],
)
def test_boxes_restored_wrongly_are_found(factor, sentence):
    boxes = np.array([[10, 20, 300, 90], [0, 0, 40, 80]], np.float32)
    with pytest.raises(CheckFailure, match=sentence):
        checks.check_restored(boxes * np.array(factor), boxes, (100, 50, 400, 100), tolerance=0.01)


def test_a_size_rounded_to_nearest_instead_of_down_is_found():
    with pytest.raises(CheckFailure, match="640x480 px is resized to the wrong size"):
        checks.check_size((640, 480, 1067, 800), shortest=800, longest=1333)


@pytest.mark.parametrize("obtained", [[2, 3, 5], [0, 1, 2], [3, 2, 1]])
def test_a_broken_label_map_is_found(obtained):
    with pytest.raises(CheckFailure, match="wrong categories"):
        checks.check_categories(np.array(obtained), np.arange(3), [1, 2, 3, 5])
