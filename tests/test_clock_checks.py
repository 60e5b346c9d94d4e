"""The checks of the clock and of streamed images: each way to deceive them is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plugins.checks.images import check_streamed
from plugins.checks.throughput import Step, Timing, check_clock
from plugins.failure import CheckFailure

ACCOUNTED = 0.25
STEPS = [Step((0.001, 0.04, 0.0001), k % 3, 7, 0.042) for k in range(8)]


def timing(*changes, seconds=None) -> Timing:
    """Two steps of warm-up and six timed ones, of which some are others: (index, field, value)."""
    steps = list(STEPS)
    for index, field, value in changes:
        steps[index] = replace(steps[index], **{field: value})
    if seconds is not None:
        steps = [replace(step, seconds=seconds) for step in steps]
    return Timing(np.array([step.seconds for step in steps[2:]]), 6, steps, 2)


def complaint(some: Timing) -> str:
    with pytest.raises(CheckFailure) as caught:
        check_clock(some, ACCOUNTED, ACCOUNTED)
    return caught.value.what


def test_an_honest_clock_passes():
    check_clock(timing(), ACCOUNTED, ACCOUNTED)


def test_one_step_alone_needs_no_second_image():
    check_clock(Timing(np.array([STEPS[0].seconds]), 1, STEPS[:1], 0), ACCOUNTED, ACCOUNTED)


@pytest.mark.parametrize("steps", [STEPS[1:], [*STEPS, STEPS[0]], []])
def test_another_warm_up_is_named(steps):
    assert "warm-up" in complaint(Timing(np.zeros((6, 3)), 6, steps, 2))


def test_a_timed_step_without_detections_is_named_and_one_of_the_warm_up_is_not():
    assert "nothing to detect" in complaint(timing((7, "detections", 0)))
    check_clock(timing((0, "detections", 0)), ACCOUNTED, ACCOUNTED)


def test_a_single_image_is_named():
    assert "one image" in complaint(timing(*((k, "image", 0) for k in range(8))))


def test_results_that_take_longer_to_copy_than_to_compute_are_named():
    assert "synchronised" in complaint(timing(seconds=(0.001, 0.0001, 0.04)))
    assert "synchronised" in complaint(timing(seconds=(0.001, 0.02, 0.02)))


@pytest.mark.parametrize("seconds", [(0.0, 0.04, 0.0001), (0.001, 0.04, 0.0), (-1, 0.04, 0.001)])
def test_a_copy_without_time_is_named(seconds):
    assert "a copy takes no time" in complaint(timing(seconds=seconds))
    assert "a copy takes no time" in complaint(timing((2, "seconds", seconds)))


def test_a_known_input_without_time_is_named():
    new = [(k, "seconds", (0.001, 0.04, 0.0001)) for k in range(3)]
    known = [(k, "seconds", (0.0002, 0.0009, 0.0001)) for k in range(3, 8)]
    assert "results are cached" in complaint(timing(*new, *known))
    half = [(k, "seconds", (0.001, 0.02, 0.0001)) for k in range(3, 8)]
    check_clock(timing(*new, *half), ACCOUNTED, ACCOUNTED)


def test_more_time_than_passed_is_named_even_once():
    assert "more time than has passed" in complaint(timing((3, "passed", 0.0410)))
    check_clock(timing((3, "passed", 0.0411 + 1e-9)), ACCOUNTED, ACCOUNTED)


def test_less_time_than_passed_is_named_where_it_is_the_rule():
    assert "less time than has passed" in complaint(timing(*((k, "passed", 0.2) for k in range(8))))
    check_clock(timing((3, "passed", 9.0)), ACCOUNTED, ACCOUNTED)


ALONE = {name: np.full((3, 2, 2), k, np.float32) for k, name in enumerate(("a", "b", "c"))}


def streamed(*rows) -> str:
    with pytest.raises(CheckFailure) as caught:
        check_streamed(np.array(rows), ALONE)
    return caught.value.what


def test_a_stream_of_the_same_images_passes():
    check_streamed(np.array(list(ALONE.values())), ALONE)


def test_a_stream_that_lost_doubled_or_mixed_images_is_named():
    a, b, c = ALONE.values()
    assert "leaves some out" in streamed(a, b)
    assert "leaves some out" in streamed(a, b, c, c)
    assert streamed(a, c, b) == "in a stream of images b is c"
    assert streamed(a, b, c + 0.5) == "in a stream of images c is another input than alone"
