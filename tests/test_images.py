"""Pre- and post-processing, judged by the slow reference."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import hostile
from plugins.checks import images as checks
from plugins.failure import CheckFailure

ROOT = Path(__file__).resolve().parents[1]
with mock.patch.object(sys, "path", [str(ROOT / "plugins" / "workers"), *sys.path]):
    images = importlib.import_module("images")  # by its bare name, as in a worker

DATA = ROOT / "fixtures" / "data"
PHOTOGRAPHS = sorted(DATA.glob("*.jpg"))
FULL = {"shortest": 800, "longest": 1333, "size": 1344}
SMALL = {"shortest": 192, "longest": 256, "size": 256}
BAND = 1.0  # grey levels, see plugins/checks/images.py; measured: 0.83
SIDES = st.integers(1, 5000)
COCO_IDS = [k for k in range(1, 91) if k not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}]


@pytest.fixture(scope="module")
def hostile_files(tmp_path_factory):
    return hostile.write_images(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def broken_files(tmp_path_factory):
    return hostile.write_broken(tmp_path_factory.mktemp("broken"))


def plain_form(path, rule):
    """The source's way, step by step, each step a new array."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    size = images.resized_size(
        pixels.shape[1], pixels.shape[0], shortest=rule["shortest"], longest=rule["longest"]
    )
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    pixels = cv2.subtract(pixels, np.float64(np.float32(images.MEAN)).reshape(1, -1))
    below, right = (rule["size"] - side for side in pixels.shape[:2])
    pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


# --- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [FULL, SMALL], ids=["full", "small"])
def test_every_short_side_up_to_5000_px_is_resized_by_the_rule(rule):
    rule = {"shortest": rule["shortest"], "longest": rule["longest"]}
    for short in range(1, 5001):
        for width, height in ((short, short), (short, short * 4 // 3), (short * 3, short)):
            obtained = images.resized_size(width, height, **rule)
            assert obtained == checks.expected_size(width, height, **rule), (width, height)


@given(width=SIDES, height=SIDES)
def test_any_size_is_resized_by_the_rule(width, height):
    obtained = images.resized_size(width, height, shortest=800, longest=1333)
    checks.check_size((width, height, *obtained), shortest=800, longest=1333)


@pytest.mark.parametrize(
    "size, resized",
    [
        ((640, 480), (1066, 800)),  # rounded down; to nearest it would be 1067
        ((512, 600), (800, 937)),
        ((451, 300), (1202, 800)),
        ((1900, 40), (1333, 28)),
        ((1, 500), (3, 1333)),
        ((305, 400), (799, 1049)),  # 305 * (800 / 305) is below 800 in double precision
    ],
)
def test_sizes_worked_out_by_hand_agree(size, resized):
    assert images.resized_size(*size, shortest=800, longest=1333) == resized
    assert checks.expected_size(*size, shortest=800, longest=1333) == resized


# --- pixels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_the_input_equals_the_plain_form_bit_by_bit(path):
    rule = FULL if path.stem == "cat" else SMALL
    assert images.prepare(path, **rule)[0].tobytes() == plain_form(path, rule).tobytes()


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_a_photograph_becomes_the_input_that_the_rule_describes(path):
    rule = FULL if path.stem == "astronaut" else SMALL
    tensor, geometry = images.prepare(path, **rule)
    checks.check_size(geometry, shortest=rule["shortest"], longest=rule["longest"])
    checks.check_input(tensor, cv2.imread(str(path)), mean=images.MEAN, band=BAND, **rule)


def test_every_hostile_image_becomes_the_input_that_the_rule_describes(hostile_files):
    assert len(hostile_files) == 12
    for path in hostile_files.values():
        tensor, _ = images.prepare(path, **SMALL)
        checks.check_input(tensor, cv2.imread(str(path)), mean=images.MEAN, band=BAND, **SMALL)


@pytest.mark.parametrize(
    "name, tolerance", [("cmyk", 4), ("sixteen_bit", 0), ("transparent", 0), ("exif_rotated", 4)]
)
def test_unusual_encodings_show_the_same_scene(hostile_files, name, tolerance):
    scene = hostile.scene_pixels()[:, :, ::-1].astype(int)
    difference = np.abs(images.read(hostile_files[name]) - scene)
    assert np.median(difference, axis=(0, 1)).max() <= tolerance


def test_a_grey_image_has_three_equal_planes(hostile_files):
    pixels = images.read(hostile_files["grey"])
    assert (pixels == pixels[:, :, :1]).all() and np.ptp(pixels) > 100


def test_all_eight_exif_orientations_stand_upright(tmp_path):
    scene = hostile.scene_pixels()[:, :, ::-1].astype(int)
    for path in hostile.write_orientations(tmp_path).values():
        pixels = images.read(path)
        assert pixels.shape == scene.shape and np.abs(pixels - scene).mean() < 2, path.name


def test_a_reused_buffer_keeps_no_trace_of_the_image_before(hostile_files):
    buffer = np.full((3, 256, 256), np.nan, np.float32)
    for name in ("noise", "wide", "tall", "one_pixel_wide", "noise"):
        fresh, _ = images.prepare(hostile_files[name], **SMALL)
        reused, _ = images.prepare(hostile_files[name], out=buffer, **SMALL)
        assert reused is buffer and reused.tobytes() == fresh.tobytes(), name


# --- bad files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("truncated_jpeg", "cut short"),
        ("truncated_png", "cut short"),
        ("header_only", "cut short"),
        ("no_end_marker", "cut short"),
        ("scrambled_png", "cut short"),
        ("empty", "0 bytes"),
        ("text", "not an image"),
    ],
)
def test_a_broken_file_is_refused_by_name(broken_files, name, sentence):
    path = broken_files[name]
    with pytest.raises(images.Refusal, match=f"{path.name}: .*{sentence}.*; "):
        images.prepare(path, **SMALL)


def test_a_thumbnail_inside_does_not_hide_that_a_jpeg_is_cut_short(tmp_path):
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    whole = PHOTOGRAPHS[0].read_bytes()
    exif = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / "thumb.jpg"
    path.write_bytes(whole[:2] + exif + whole[2:])
    images.read(path)
    path.write_bytes(whole[:2] + exif + whole[2:-2000])
    with pytest.raises(images.Refusal, match="cut short"):
        images.read(path)


def test_bytes_after_the_end_of_a_jpeg_are_tolerated(tmp_path):
    path = tmp_path / "tail.jpg"
    path.write_bytes(PHOTOGRAPHS[0].read_bytes() + b"appended by a camera")
    assert (images.read(path) == images.read(PHOTOGRAPHS[0])).all()


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(images.Refusal, match="gone.jpg: the image cannot be read"):
        images.prepare(tmp_path / "gone.jpg", **SMALL)


def test_an_image_so_thin_that_it_would_vanish_is_refused(tmp_path):
    path = tmp_path / "thread.png"
    cv2.imwrite(str(path), np.zeros((4000, 1, 3), np.uint8))
    with pytest.raises(images.Refusal, match="1x4000 px would become 0x1333 px"):
        images.prepare(path, **FULL)


# --- the stream ------------------------------------------------------------------------------


def test_the_stream_gives_every_image_once_and_in_order(hostile_files):
    paths = list(hostile_files.values()) * 2
    stream = images.stream(paths, **SMALL)
    for path, (tensor, geometry) in zip(paths, stream):
        alone, expected = images.prepare(path, **SMALL)
        assert geometry == expected and tensor.tobytes() == alone.tobytes(), path.name
    assert next(stream, None) is None


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_the_stream_is_as_long_as_its_list(count):
    assert sum(1 for _ in images.stream(PHOTOGRAPHS[:1] * count, **SMALL)) == count


def test_the_stream_works_in_a_few_buffers():
    places = {tensor.ctypes.data for tensor, _ in images.stream(PHOTOGRAPHS * 3, slots=3, **SMALL)}
    assert len(places) == 3


def test_a_broken_file_stops_the_stream_in_its_turn(broken_files):
    stream = images.stream([*PHOTOGRAPHS[:2], broken_files["truncated_jpeg"]], **SMALL)
    next(stream), next(stream)
    with pytest.raises(images.Refusal, match="truncated_jpeg.jpg"):
        next(stream)


def test_an_unforeseen_error_in_the_thread_names_the_file(monkeypatch):
    monkeypatch.setattr(images, "_fill", mock.Mock(side_effect=MemoryError("no room")))
    with pytest.raises(RuntimeError, match=r"astronaut.jpg: pre-processing failed: MemoryError"):
        next(images.stream(PHOTOGRAPHS[:1], **SMALL))


def test_a_stream_left_early_leaves_no_thread():
    stream = images.stream(PHOTOGRAPHS * 20, **SMALL)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]


# --- boxes and labels ------------------------------------------------------------------------


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), data=st.data())
@settings(deadline=None)
def test_a_box_in_the_image_comes_back_within_a_hundredth_of_a_pixel(width, height, data):
    resized = images.resized_size(width, height, shortest=800, longest=1333)
    geometry = images.Geometry(width, height, *(max(side, 1) for side in resized))
    corners = data.draw(st.tuples(*(st.floats(0, side) for side in (width, height) * 2)))
    scale = np.array(geometry[2:] * 2) / (geometry[:2] * 2)
    boxes = (np.array([corners]) * scale).astype(np.float32)
    restored = images.restore(boxes, geometry)
    np.testing.assert_allclose(restored[0], corners, rtol=0, atol=0.01)
    checks.check_restored(restored, boxes, geometry, tolerance=0.01)


@pytest.mark.parametrize("size, scale", [((512, 600), 937 / 600), ((451, 300), 800 / 300)])
def test_the_height_s_scale_on_both_axes_as_in_the_source_is_caught(size, scale):
    geometry = images.Geometry(*size, *images.resized_size(*size, shortest=800, longest=1333))
    boxes = np.array([[10, 20, geometry.resized_width, geometry.resized_height]], np.float32)
    quirk = boxes.astype(np.float64) / scale
    with pytest.raises(CheckFailure, match="x is restored with the height's scale"):
        checks.check_restored(quirk, boxes, geometry, tolerance=0.01)


def test_boxes_are_not_clipped_to_the_image():
    geometry = images.Geometry(100, 50, 200, 100)
    boxes = np.array([[-4, -2, 300, 120]], np.float32)
    assert images.restore(boxes, geometry).tolist() == [[-2, -1, 150, 60]]


def test_no_boxes_are_restored_to_no_boxes():
    assert images.restore(np.zeros((0, 4), np.float32), images.Geometry(1, 1, 1, 1)).shape == (0, 4)


@pytest.mark.parametrize("ids", [COCO_IDS, COCO_IDS[::-1], [44, 1, 90, 3, 18, 7]])
def test_labels_become_the_ids_in_ascending_order(ids):
    labels = np.arange(len(ids)).reshape(-1, 1)
    obtained = images.labels_to_category(labels, ids)
    assert obtained.tolist() == sorted(ids)
    checks.check_categories(obtained, labels, ids)


@pytest.mark.parametrize(
    "labels, sentence",
    [
        (np.array([0, 80]), "label 80 is outside 0..79"),
        (np.array([-1]), "label -1"),
        (np.array([1.0]), "must be integers"),
    ],
)
def test_labels_of_another_model_are_refused(labels, sentence):
    with pytest.raises(images.Refusal, match=sentence):
        images.labels_to_category(labels, COCO_IDS)
