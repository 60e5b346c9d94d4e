"""Figures and their closure at their edges: exact values pass, a step beyond fails."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import training_closure as closure
from plugins.checks.training_figures import Figures, RankTimes, figures, rank_times
from tests.training_records import failing

GIB = 2**30


def rank(number: int = 0, **changes) -> RankTimes:
    """6 iterations of 8 images: two of warm-up, two windows of two; every sum is a round number."""
    right = RankTimes(
        rank=number,
        images=48,
        core_s=np.array([9.0, 9.0, 1.0, 1.0, 1.0, 1.0]),
        copy_s=np.full(6, 0.25),
        data_s=np.full(6, 0.5),
        host_core_s=np.ones(6),
        window_s=np.array([4.0, 4.0]),
        window_iterations=np.array([2, 2]),
        window_start=np.array([2, 4]),
        main_s=64.0,
        training_s=32.0,
    )
    return dataclasses.replace(right, **changes)


def run(**changes) -> Figures:
    """Figures whose rates are 2, 4 and 8 images a second."""
    right = {
        "world": 1, "images": 32.0, "e2e_time": 64.0, "whole_s": 16.0, "train_s": 8.0,
        "core_s": 4.0, "spread": 0.0, "allocated": 1, "reserved": 2,
        "process": 3, "total": 4,
    }  # fmt: skip
    return Figures(**{**right, **changes})


# --- figures ---


def test_what_a_rank_does_not_say_is_nothing():
    found = rank()
    assert (found.evaluation_s, found.checkpoint_s) == (0.0, 0.0)
    assert (found.allocated, found.reserved, found.process, found.total) == (0, 0, 0, 0)


@pytest.mark.parametrize("slow", [0, 1])
def test_times_are_of_the_slowest_rank_and_memory_is_of_the_fullest(slow):
    memory = {"allocated": 2, "reserved": 4, "process": 8, "total": 16}
    one = rank(main_s=99.0, evaluation_s=4.0, checkpoint_s=2.0, window_s=np.array([4.0, 8.0]),
               window_start=np.array([2, 4]), **memory)  # fmt: skip
    other = rank(window_s=np.array([6.0, 2.0]), core_s=np.full(6, 0.5))
    found = figures([one, other] if slow == 0 else [other, one])
    assert (found.e2e_time, found.train_s, found.whole_s, found.core_s) == (99.0, 12.0, 18.0, 4.0)
    assert (found.allocated, found.reserved, found.process, found.total) == (2, 4, 8, 16)
    assert found.spread == pytest.approx(2 / 3)
    assert (found.world, found.images) == (2, 64.0)


def test_a_checkpoint_makes_a_run_longer():
    assert figures([rank(evaluation_s=4.0, checkpoint_s=2.0)]).whole_s == 14.0


def test_the_ranks_of_another_machine_feed_as_many_images():
    found = figures([rank(), rank(1)], world=8)
    assert (found.world, found.images) == (8, 256.0)


def test_memory_is_said_in_gib():
    found = run(allocated=GIB, reserved=2 * GIB, process=3 * GIB, total=4 * GIB)
    assert found.mem == "1.0 allocated, 2.0 reserved, 3.0/4.0"


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_process_is_measured_on_its_own_device(kind):
    arrays = {k: v for k, v in vars(rank()).items() if isinstance(v, np.ndarray)}
    record = {
        "rank": 0, "counts": {"images": 1}, "device": {"kind": kind, "memory_bytes": 4},
        "seconds": {"main": 1, "training": 1, "evaluation": 7, "checkpoint": 1},
        "memory": {"allocated_peak": 1, "reserved_peak": 2, "process_peak": 9,
                   "device_process_peak": 5},
    }  # fmt: skip
    found = rank_times(record, arrays)
    assert found.process == {"cpu": 9, "cuda": 5}[kind]
    assert (found.training_s, found.evaluation_s) == (1, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_s": np.array([4.0, 0.0])},
        {"window_s": np.array([4.0, -1.0])},
        {"window_s": np.array([4.0, np.inf])},
        {"window_s": np.array([np.nan, 4.0])},
        {"core_s": np.array([9, 9, 1.0, 1.0, 1.0, 0.0])},
        {"core_s": np.array([9, 9, np.nan, 1.0, 1.0, 1.0])},
        {"window_s": np.array([]), "window_iterations": [], "window_start": np.array([])},
    ],
)
def test_one_window_or_core_without_duration_is_no_timing(changes):
    failure = failing(figures, [rank(), rank(1, **changes)])
    assert failure.what == "nothing was timed after the warm-up"
    assert failure.actual.startswith("rank 1: ")


def test_windows_shorter_than_a_second_are_windows():
    assert figures([rank(window_s=np.array([0.5, 0.5]))]).train_s == 1.0
    assert figures([rank(core_s=np.full(6, 0.125))]).core_s == 0.5


def test_ranks_with_other_windows_are_not_one_run():
    failure = failing(figures, [rank(), rank(1, window_iterations=np.array([2, 1]))])
    assert failure.what == "the ranks were timed in different windows"


# --- closure ---


def test_rates_may_be_equal_and_the_host_may_be_ahead_by_the_slack():
    closure.check_order(run(whole_s=4.0, train_s=4.0, core_s=4.0), slack=0.0)
    closure.check_order(run(train_s=4.0, core_s=5.0, whole_s=4.0), slack=0.25)
    closure.check_order(run(e2e_time=16.0), slack=0.0)
    closure.check_order(run(images=0.25), slack=0.0)
    for changes in (
        {"train_s": 17.0},
        {"train_s": 4.0, "core_s": 5.01, "whole_s": 4.0},
        {"images": 0.0},
        {"images": -1.0},
        {"images": np.nan},
        {"whole_s": -16.0},
        {"core_s": 1e-320},
    ):
        with np.errstate(all="ignore"):
            failure = failing(closure.check_order, run(**changes), slack=0.25)
        assert failure.what == "the rates are out of order"
    assert failing(closure.check_order, run(e2e_time=15.9), slack=9.0).what == (
        "training took longer than the whole run"
    )


def test_the_slack_that_would_have_passed_is_said_where_there_is_one():
    ahead = run(train_s=4.0, core_s=8.0, whole_s=4.0)
    assert failing(closure.check_order, ahead, slack=0.25).needed == "slack 1"
    assert failing(closure.check_order, run(images=-1.0), slack=0.25).needed is None


@pytest.mark.parametrize(("images", "iterations"), [(47, 6), (49, 6), (40, 5), (56, 7)])
def test_every_iteration_feeds_a_batch(images, iterations):
    closure.check_counted([rank()], batch=8, iterations=6)
    cores = np.ones(iterations)
    failing(
        closure.check_counted, [rank(), rank(1, images=images, core_s=cores)], batch=8, iterations=6
    )


def test_windows_begin_where_the_warm_up_ends_and_hold_the_rest():
    closure.check_warmup([rank()], warmup=2, iterations=4)
    closure.check_warmup([rank()], warmup=1, iterations=4)
    failure = failing(closure.check_warmup, [rank()], warmup=3, iterations=4)
    assert failure.what == "the warm-up is in the figures"
    for iterations in (3, 5):
        failure = failing(closure.check_warmup, [rank()], warmup=2, iterations=iterations)
        assert failure.what == "iterations were not timed"


def test_rates_may_miss_the_count_of_images_by_the_tolerance_on_either_side():
    for rates in ([2.25, 4.0], [1.75, 4.0], [2.0, 3.5]):
        closure.check_numerator(rates, [4.0, 2.0], 8.0, relative=0.125)
        failing(closure.check_numerator, rates, [4.0, 2.0], 8.0, relative=0.1249)
    failure = failing(closure.check_numerator, [3.0, 4.0], [4.0, 2.0], 8.0, relative=0.1)
    assert failure.needed == "relative difference 0.5"


def test_a_run_holds_its_parts_exactly():
    full = {"main_s": 32.0, "training_s": 32.0, "evaluation_s": 16.0, "checkpoint_s": 8.0}
    closure.check_nesting(rank(**full), slack=0.0)
    for changes in ({"main_s": 31.9}, {"evaluation_s": 16.1}, {"checkpoint_s": 8.1}):
        failing(closure.check_nesting, rank(**{**full, **changes}), slack=0.0)
    closure.check_nesting(rank(**{**full, "checkpoint_s": 16.0}), slack=0.25)
    failing(closure.check_nesting, rank(**{**full, "checkpoint_s": 16.1}), slack=0.25)


def test_time_that_nothing_accounts_for_is_a_share_of_training():
    """8 s of windows and 19.5 s of warm-up are accounted for."""
    closure.check_accounted(rank(training_s=40.0, evaluation_s=2.0, checkpoint_s=0.5), share=0.25)
    late = rank(training_s=40.0, evaluation_s=2.0, checkpoint_s=0.4)
    failure = failing(closure.check_accounted, late, share=0.25)
    assert failure.needed == "share 0.253"
    closure.check_accounted(rank(training_s=27.5), share=0.0)
    failing(closure.check_accounted, rank(training_s=27.6), share=0.0)


def test_copies_and_cores_of_a_window_may_exceed_it_by_the_slack():
    """2.5 s of a window."""
    closure.check_clocks(rank(window_s=np.array([2.5, 4.0])), slack=0.0)
    closure.check_clocks(rank(window_s=np.array([4.0, 2.0])), slack=0.25)
    failure = failing(closure.check_clocks, rank(window_s=np.array([2.0, 1.0])), slack=0.25)
    assert failure.worst == ["window 1: 2.5 s in 1 s", "window 0: 2.5 s in 2 s"]
    assert failure.actual == "rank 0: 1 of 2 windows exceed it"
    assert failure.needed == "slack 1.5"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_parts_of_a_window_may_miss_it_by_the_share(asynchronous):
    """Data, copy and core are 7 s."""
    check = closure.check_sum
    named = {"share": 0.125, "asynchronous": asynchronous}
    check(rank(window_s=np.array([4.0, 4.0])), **named)
    failure = failing(check, rank(window_s=np.array([4.0, 4.1])), **named)
    assert (failure.what, failure.needed) == ("time is missing from the core", "share 0.136")
    assert failure.actual == "rank 0: 2 + 1 + 4 s, 13.58 % less"


def test_parts_that_exceed_a_window_are_counted_twice_where_host_and_device_are_one():
    over = rank(data_s=np.full(6, 1.0), window_s=np.array([4.0, 4.0]))  # 9 s in 8 s
    closure.check_sum(over, share=0.125, asynchronous=False)
    closure.check_sum(over, share=0.0, asynchronous=True)
    failure = failing(closure.check_sum, over, share=0.124, asynchronous=False)
    assert (failure.what, failure.needed) == ("time is counted twice", "share 0.125")
    assert failure.actual.endswith("12.5 % more")


def test_a_timer_may_be_short_by_the_share_and_no_timer_says_nothing():
    closure.check_harness(5.0, 4.0, share=0.25)
    assert failing(closure.check_harness, 5.1, 4.0, share=0.25).needed == "share 0.275"
    closure.check_harness(0.5, 0.5, share=0.0)
    for claimed in (0.0, -1.0):
        assert failing(closure.check_harness, 5.0, claimed, share=9.0).needed == "share inf"


def test_a_card_may_compute_at_its_peak():
    closure.check_ceiling(8.0, cards=2, flop=3.0, peak=12.0, precision="fp32")
    failing(closure.check_ceiling, 8.1, cards=2, flop=3.0, peak=12.0, precision="fp32")


@pytest.mark.parametrize("name", ["core_s", "train_s", "whole_s"])
def test_scaling_may_be_perfect_and_better_by_the_noise(name):
    many = run(world=2, images=64.0)
    closure.check_scaling(run(), many, noise=0.0)
    faster = run(world=2, images=64.0, **{name: getattr(many, name) * 0.8})
    closure.check_scaling(run(), faster, noise=0.25)
    failure = failing(closure.check_scaling, run(), faster, noise=0.2499)
    assert failure.needed == "noise 0.25"
    assert failure.actual.endswith("efficiency 1.25")
    closure.check_scaling(run(world=2), run(world=4, images=64.0), noise=0.0)
    failing(closure.check_scaling, run(world=2), run(world=4, images=72.0), noise=0.1)


def test_a_rank_may_be_slower_by_the_share():
    closure.check_spread(run(spread=0.25), share=0.25)
    failing(closure.check_spread, run(spread=0.26), share=0.25)
    failing(closure.check_spread, run(spread=np.nan), share=0.25)


@pytest.mark.parametrize(
    ("card", "memory", "right"),
    [
        (True, (1, 2, 3, 4), True),
        (True, (4, 4, 4, 4), True),
        (True, (1, 2, 0, 4), True),  # the driver does not say
        (True, (1, 5, 0, 4), False),
        (True, (0, 2, 3, 4), False),
        (True, (3, 2, 3, 4), False),
        (True, (1, 4, 3, 4), False),
        (True, (1, 2, 5, 4), False),
        (False, (0, 0, 1, 1), True),
        (False, (9, 9, 3, 4), True),
        (False, (1, 2, 5, 4), False),
        (False, (1, 2, 0, 4), False),
    ],
)
def test_memory_is_nested(card, memory, right):
    names = ("allocated", "reserved", "process", "total")
    found = run(**dict(zip(names, memory)))
    if right:
        closure.check_memory(found, card=card)
    else:
        failing(closure.check_memory, found, card=card)
