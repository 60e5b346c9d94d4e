"""Images and boxes at their edges: the band itself passes, a step beyond fails, and says where."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import images
from tests.training_records import failing

MEAN = (103.0, 116.0, 123.0)  # whole, so that float32 is exact
SIZES = {"shortest": 4, "longest": 8}


def pixels(width: int = 6, height: int = 4) -> np.ndarray:
    """A picture without symmetry that needs no resizing at a shortest side of 4."""
    y, x, c = np.mgrid[:height, :width, :3]
    return ((7 * x * x + 31 * y + 53 * c + 11 * x * y) % 251).astype(np.uint8)


def tensor(picture: np.ndarray | None = None, size: int = 8) -> np.ndarray:
    picture = pixels() if picture is None else picture
    made = np.zeros((3, size, size), np.float32)
    height, width = picture.shape[:2]
    made[:, :height, :width] = picture.transpose(2, 0, 1) - np.array(MEAN)[:, None, None]
    return made


def judge(found, picture=None, *, band: float = 1.0, mean=MEAN, size: int = 8) -> None:
    picture = pixels() if picture is None else picture
    images.check_input(found, picture, **SIZES, size=size, mean=mean, band=band)


# --- sizes ---


@pytest.mark.parametrize(
    ("sides", "limits", "expected"),
    [
        ((640, 480), (800, 1333), (1066, 800)),
        ((480, 640), (800, 1333), (800, 1066)),
        ((640, 427), (800, 1333), (1199, 800)),
        ((500, 500), (800, 1333), (800, 800)),
        ((1000, 100), (800, 1333), (1333, 133)),
        ((100, 1000), (800, 1333), (133, 1333)),
        ((1600, 800), (400, 800), (800, 400)),
        ((9, 3), (4, 8), (8, 3)),
        ((16, 5), (5, 8), (8, 3)),
    ],
)
def test_a_size_is_the_shortest_side_unless_the_longest_decides(sides, limits, expected):
    found = images.expected_size(*sides, shortest=limits[0], longest=limits[1])
    assert found == expected
    named = {"shortest": limits[0], "longest": limits[1]}
    images.check_size([*sides, *expected], **named)
    for off in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        wrong = [expected[0] + off[0], expected[1] + off[1]]
        failure = failing(images.check_size, [*sides, *wrong], **named)
        assert failure.actual == f"{wrong[0]}x{wrong[1]} px"
        assert failure.expected.startswith(f"{expected[0]}x{expected[1]} px")


def test_a_resized_pixel_is_weighted_by_its_distance_from_the_centres():
    row = np.array([[[0.0], [8.0]]])
    assert images.resized(row, 4, 1)[0, :, 0].tolist() == [0, 2, 6, 8]
    assert images.resized(row.transpose(1, 0, 2), 1, 4)[:, 0, 0].tolist() == [0, 2, 6, 8]
    assert images.resized(row, 1, 1)[0, 0, 0] == 4
    assert images.resized(row.tolist(), 1, 1).dtype == np.float64
    assert images.resized(row, 2, 3)[:, :, 0].tolist() == [[0, 8]] * 3
    three = np.array([[[0.0], [6.0], [12.0]]])
    assert images.resized(three, 2, 1)[0, :, 0].tolist() == [1.5, 10.5]


# --- the input ---


def test_an_input_may_have_a_batch_axis_of_one():
    judge(tensor())
    judge(tensor()[None])
    for found in (np.stack([tensor()] * 2), tensor()[None, None], tensor()[:2], tensor()[:, :7]):
        assert failing(judge, found).what == "the input has the wrong form"
    assert failing(judge, tensor().tolist()).what == "the input has the wrong form"
    turned = np.ascontiguousarray(tensor().transpose(1, 2, 0))
    assert failing(judge, turned).what == "the input is laid out channels-last"
    assert failing(judge, tensor().astype(np.float64)).what == "the input has the wrong form"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_enough(value):
    found = tensor()
    found[1, 2, 3] = value
    failure = failing(judge, found)
    assert failure.what == "the input holds numbers that are not finite"
    assert failure.actual == "1 of 192"


@pytest.mark.parametrize("place", [(0, 4, 0), (1, 0, 6), (2, 7, 7)])
def test_a_value_in_the_padding_is_shown_with_its_place(place):
    found = tensor()
    found[place] = -0.5
    failure = failing(judge, found)
    assert failure.what == "the padding is not zero"
    assert failure.worst == ["plane {}, y {}, x {}: -0.5".format(*place)]
    assert failure.actual == "1 other values"
    assert failure.expected == "0 right of 6 px and below 4 px"


def test_an_image_that_lies_on_its_side_is_named_so():
    turned = tensor().transpose(0, 2, 1).copy()
    assert failing(judge, turned).what == "the image is not turned upright"
    for place in ((0, 7, 7), (0, 7, 0), (1, 6, 0), (2, 0, 4), (0, 0, 7)):
        other = turned.copy()
        other[place] = 1
        assert failing(judge, other).what == "the padding is not zero"
    square = pixels(4, 4)
    found = tensor(square)
    found[0, 5, 5] = 1
    assert failing(judge, found, square).what == "the padding is not zero"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_grey_level_may_be_off_by_the_band(sign):
    found = tensor()
    found[1, 2, 3] += sign * 2
    judge(found, band=2.0)
    failure = failing(judge, found, band=1.9)
    assert failure.what == "the resized pixels are not the image's"
    assert failure.needed == "smallest band that would have passed: 2"
    assert (
        failure.actual
        == "differs by 2 at most, 0.02778 on average; whole grey levels minus the mean"
    )
    assert failure.worst[0].startswith("y 2, x 3, plane 1: ")
    assert len(failure.worst) == 5


def test_values_that_are_no_whole_grey_levels_are_not_exact():
    found = tensor()
    found[0, 1, 1] += np.float32(0.25)
    failure = failing(judge, found)
    assert failure.what == "the mean is not subtracted exactly"
    assert failure.needed is None
    assert failure.actual.endswith("; not whole grey levels minus the mean")
    found[0, 1, 1] += np.float32(0.75)
    judge(found)


DEFECTS = {
    "the planes are RGB, the mean is BGR's": lambda p, m: p[..., ::-1] - m,
    "the planes and the mean are RGB, not BGR": lambda p, m: (p - m)[..., ::-1],
    "the mean is RGB's, the planes are BGR": lambda p, m: p - m[::-1],
    "the mean is not subtracted": lambda p, m: p,
    "the mean is subtracted twice": lambda p, m: p - 2 * m,
    "the input is divided by 255": lambda p, m: (p - m) / 255,
    "the pixels, not the mean, are divided by 255": lambda p, m: p / 255 - m,
    "the image is mirrored": lambda p, m: p[:, ::-1] - m,
    "the image is upside down": lambda p, m: p[::-1] - m,
    "another mean is subtracted: off by 5, -6, 7": lambda p, m: p - m - np.array([5, -6, 7]),
}


OTHERWISE = "the resized pixels are not the image's"


def spoiled(name: str, off: float) -> np.ndarray:
    """An input with a usual mistake, one value of it off by so much."""
    values = DEFECTS[name](pixels().astype(float), np.array(MEAN))
    values[1, 2, 0] += off
    found = tensor()
    found[:, :4, :6] = values.transpose(2, 0, 1)
    return found


@pytest.mark.parametrize("name", DEFECTS)
def test_a_usual_mistake_is_named_although_the_resize_differs_within_the_band(name):
    picture = pixels().astype(float)
    share = np.ptp(DEFECTS[name](picture, np.array(MEAN))) / np.ptp(picture)
    within = 1.0 if "another" in name else min(share, 1.0)
    for off in (0.0, 0.99 * within, *([1.0] if within == 1 else [])):
        assert failing(judge, spoiled(name, off)).what == name
    assert failing(judge, spoiled(name, 0.0), band=0.01).what == name
    assert failing(judge, spoiled(name, 1.05 * within)).what != name


def test_what_is_no_whole_grey_level_may_still_be_within_the_band():
    found = tensor()
    found[0, 1, 1] += np.float32(0.25)
    failure = failing(judge, found, band=0.25)
    assert failure.what == "the mean is not subtracted exactly"
    assert failing(judge, found, band=0.24).what == OTHERWISE


def test_a_mistake_must_fit_everywhere():
    found = tensor(np.roll(pixels(), 1, 0))
    assert failing(judge, found).what == OTHERWISE
    found = tensor(pixels()[:, ::-1])
    found[0, 0, 0] += 2
    assert failing(judge, found).what == "the resized pixels are not the image's"


@pytest.mark.parametrize(("levels", "within"), [(2, 1.0), (3, 1.0), (1, 0.0)])
def test_of_few_grey_levels_a_mistake_is_named_within_its_own_share_of_the_band(levels, within):
    """A picture of one level has no share: only the exact mistake is named."""
    y, x, c = np.mgrid[:4, :6, :3]
    picture = ((x * x + y + c) % levels + 50).astype(np.uint8)
    for off, named in ((0.9 * within, True), (0.9 * within + 0.2, False)):
        found = tensor(picture)
        found[:, :4, :6] = picture.transpose(2, 0, 1)
        found[0, 1, 2] += np.float32(off)
        what = failing(judge, found, picture).what
        assert (what == "the mean is not subtracted") == named


# --- boxes ---

GEOMETRY = (100, 50, 400, 100)  # a quarter in x, a half in y
BOXES = np.array([[40.0, 20, 80, 60], [4, 8, 12, 16]])
RIGHT = BOXES * [0.25, 0.5, 0.25, 0.5]


@pytest.mark.parametrize("place", [(0, 0), (0, 3), (1, 1), (1, 2)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_restored_box_may_be_off_by_the_tolerance(place, sign):
    found = RIGHT.copy()
    found[place] += sign * 0.25
    images.check_restored(found, BOXES, GEOMETRY, tolerance=0.25)
    found[place] += sign * 0.25
    failure = failing(images.check_restored, found, BOXES, GEOMETRY, tolerance=0.25)
    assert failure.what == "boxes do not lead back to the image"
    assert failure.actual == "off by 0.5 px"
    assert failure.worst[0].startswith(f"box {place[0]}: ")
    assert failure.needed == "smallest tolerance that would have passed: 0.5 px"


@pytest.mark.parametrize(
    ("factor", "what"),
    [
        ((0.5, 0.5, 0.5, 0.5), "x is restored with the height's scale"),
        ((0.25, 0.25, 0.25, 0.25), "y is restored with the width's scale"),
        ((0.5, 0.25, 0.5, 0.25), "width and height are swapped"),
        ((1, 1, 1, 1), "the boxes are not restored"),
    ],
)
def test_a_wrong_scale_is_named_within_the_tolerance(factor, what):
    found = BOXES * factor + 0.2
    assert failing(images.check_restored, found, BOXES, GEOMETRY, tolerance=0.25).what == what


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_coordinate_that_is_not_finite_leads_nowhere(value):
    images.check_restored(RIGHT.tolist(), BOXES.tolist(), GEOMETRY, tolerance=0.25)
    found = RIGHT.copy()
    found[1, 2] = value
    failing(images.check_restored, found, BOXES, GEOMETRY, tolerance=0.25)


def test_an_image_without_boxes_leads_back():
    images.check_restored([], [], GEOMETRY, tolerance=0.25)


# --- a stream, and categories ---


def test_a_stream_holds_each_image_at_its_place():
    alone = {name: tensor(pixels() + np.uint8(k)) for k, name in enumerate("abc")}
    stream = np.stack(list(alone.values()))
    images.check_streamed(stream, alone)
    failure = failing(images.check_streamed, stream[[0, 2, 1]], alone)
    assert failure.what == "in a stream of images b is c"
    assert failure.actual == "2 of 3 inputs are others" and failure.worst == ["b", "c"]
    failure = failing(images.check_streamed, stream + [[[[0]]], [[[1]]], [[[0]]]], alone)
    assert failure.what == "in a stream of images b is another input than alone"
    for count in (2, 4):
        failure = failing(images.check_streamed, stream[[0, 1, 2, 2][:count]], alone)
        assert failure.what == "a stream of images leaves some out or adds some"


def test_a_label_is_the_place_of_its_category_among_the_ids_in_order():
    images.check_categories([[1], [3], [9]], [[0], [1], [2]], [9, 1, 3])
    failure = failing(images.check_categories, [1, 9, 9], [0, 1, 2], [9, 1, 3])
    assert failure.worst == ["label 1: 9, expected 3"]
    assert failure.actual == "1 of 3 differ"
