"""Looks at more and more images: stopped by evidence, each at its price, and rare losses not passed by."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.matching import Objects, match
from plugins.checks.noninferiority import bound
from plugins.checks.sequential import Look, decide, lost_images, only_the_last

LOOKS = [Look(20, 0.0, 0.001), Look(60, 0.004, 0.004), Look(240, 0.006, 0.005)]
PLAN = {"margin": 5.0, "resamples": 1000, "seed": 0}
BOX = [10.0, 10.0, 50.0, 50.0]


class World:
    """One object an image, found exactly by the reference; the device loses those of some images."""

    def __init__(self, lost) -> None:
        self.lost, self.asked = set(lost), []

    def matched(self, count: int):
        self.asked.append(count)
        images, zeros = np.arange(count), np.zeros(count, np.int64)
        boxes, area = np.tile(BOX, (count, 1)), np.full(count, 2500.0)
        objects = Objects(images, np.array([1]), images, zeros, boxes, area, zeros > 0)
        scores = np.random.RandomState(0).rand(count)
        table = np.column_stack([images, boxes, scores, np.ones(count)])
        kept = ~np.isin(images, list(self.lost))
        return match(objects, table[kept]), match(objects, table)


def decision(lost, looks=LOOKS, whole=None):
    world = World(lost)
    return decide(looks, world.matched, whole=whole, **PLAN), world


def test_a_device_that_equals_the_reference_passes_at_the_first_look_that_may_pass_it():
    found, world = decision([])
    assert (found.last.verdict, found.last.images, world.asked) == ("PASS", 60, [20, 60])
    assert found.spent == (0.004, 0.005)


def test_a_device_that_is_broken_fails_at_once_and_no_more_images_are_asked_for():
    found, world = decision(range(0, 240, 2))
    assert (found.last.verdict, world.asked) == ("WORSE", [20])
    assert found.spent == (0.0, 0.001)


def test_what_stays_open_is_inconclusive_at_the_end_of_the_budget():
    found, world = decision(range(0, 240, 18))
    assert (found.last.verdict, world.asked) == ("INCONCLUSIVE", [20, 60, 240])
    assert found.spent == pytest.approx((0.01, 0.01))


@pytest.mark.parametrize(("whole", "verdict"), [(None, "INCONCLUSIVE"), (240, "PASS")])
def test_only_the_whole_set_passes_a_device_that_loses_an_image_entirely(whole, verdict):
    found, world = decision([7], whole=whole)
    assert world.asked == [20, 60, 240] and found.lost_images == 1
    assert found.taken[1].high == np.inf and found.last.verdict == verdict
    assert (found.last.high < 5) == (whole == 240)


def test_a_part_of_the_images_is_not_the_whole_set_whatever_was_asked_for():
    world = World([7])
    found = decide(LOOKS, lambda count: world.matched(min(count, 100)), whole=240, **PLAN)
    assert found.last.verdict == "INCONCLUSIVE"


def test_an_image_is_lost_where_only_the_reference_finds_something():
    device, reference = World([3, 4]).matched(10)
    assert lost_images(device, reference) == 2
    assert lost_images(reference, device) == 0


def test_the_whole_set_may_spend_the_whole_error_in_one_look():
    (only,) = only_the_last(LOOKS)
    assert only == Look(240, pytest.approx(0.01), pytest.approx(0.01))
    found, world = decision([], [only])
    assert world.asked == [240] and found.last.verdict == "PASS"


@pytest.mark.parametrize("error", [0.05, 0.004, 0.0005])
def test_a_bound_of_plain_luck_is_the_normal_one(error):
    draws = np.random.RandomState(0).normal(2.0, 0.5, 200000)
    normal = {0.05: 1.6449, 0.004: 2.6521, 0.0005: 3.2905}[error]
    assert bound(draws, 2.0, error) == pytest.approx(2 + 0.5 * normal, rel=0.02)


def test_a_bound_is_wider_where_few_images_lose_much():
    """A gamma distribution of shape 4 leans by 1: z and (2 z^2 + 1) / 6 of it are 2.652 and 2.511."""
    draws = np.random.RandomState(0).gamma(4, 0.5, 400000)
    assert bound(draws, 2.0, 0.004) == pytest.approx(2 + 2.652 + 2.511, rel=0.01)
    assert bound(-draws, -2.0, 0.004) == pytest.approx(-2 + 2.652, rel=0.01)


def test_a_bound_is_never_nearer_than_the_resamples_themselves():
    draws = np.r_[np.zeros(9900), np.full(50, -30.0), np.full(50, 30.0)]
    normal = 2.6521 * draws.std()
    assert normal < 10 and bound(draws, 0.0, 0.004) == 30


def test_an_error_of_nothing_is_no_bound():
    assert bound(np.ones(10), 1.0, 0.0) == np.inf
    assert bound(np.ones(10), 1.0, 0.01) == 1.0
