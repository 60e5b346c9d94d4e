"""The figures by hand, and every way in which a clock, a count or a memory can lie."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from plugins.checks import training_closure as closure
from plugins.checks.training_figures import figures, rank_times
from plugins.contracts.training import load_training
from tests.training_records import (
    BATCH,
    BLOCK,
    BLOCKS,
    CORE_S,
    DATA_S,
    GIB,
    ITERATIONS,
    WARMUP,
    clocks,
    failing,
    warmup_included,
)

TRAINING = load_training()
GATE = TRAINING.gate.closure
A100 = TRAINING.machine_of("A100")
CLOCK = Path(__file__).parents[1] / "plugins" / "workers" / "training" / "clock.py"


def timer(seconds_per_iteration: float):
    """A rank whose core was timed by something else."""
    return clocks(core_s=np.full(ITERATIONS, seconds_per_iteration))


def test_a_rate_is_total_over_total_of_the_slowest_rank_without_the_warm_up():
    fast, slow = clocks(0), clocks(1, core_s=np.full(ITERATIONS, 0.66))
    found = figures([fast, slow])
    assert found.images == 2 * BATCH * BLOCK * BLOCKS
    assert found.p_core == pytest.approx(2 * BATCH / 0.66)
    slowest = max(fast.window_s.sum(), slow.window_s.sum())
    assert found.p_train == pytest.approx(found.images / slowest)
    assert found.p_whole == pytest.approx(found.images / (slowest + 10.0))
    assert found.e2e_time == max(fast.main_s, slow.main_s)
    assert found.world == 2
    assert found.mem == "30.0 allocated, 38.0 reserved, 39.0/40.0"


def test_a_record_gives_its_clocks_and_keeps_the_kinds_of_memory_apart():
    right = clocks()
    arrays = {k: v for k, v in vars(right).items() if isinstance(v, np.ndarray)}
    seconds = {"main": 1.0, "training": 0.5, "evaluation": 0.25, "checkpoint": 0.125}
    record = {
        "rank": 3, "counts": {"images": 7}, "seconds": seconds,
        "memory": {"allocated_peak": 1, "reserved_peak": 2, "process_peak": 9},
        "device": {"kind": "cuda", "memory_bytes": 4},
    }  # fmt: skip
    found = rank_times(record, arrays)
    assert (found.rank, found.images, found.main_s, found.checkpoint_s) == (3, 7, 1.0, 0.125)
    assert (found.allocated, found.reserved, found.process, found.total) == (1, 2, 0, 4)
    record["device"]["kind"] = "cpu"
    assert rank_times(record, arrays).process == 9


def test_a_right_run_closes():
    ranks = [clocks(0), clocks(1)]
    found = figures(ranks)
    closure.check_counted(ranks, batch=BATCH, iterations=ITERATIONS)
    closure.check_warmup(ranks, warmup=WARMUP, iterations=BLOCK * BLOCKS)
    closure.check_order(found, slack=GATE.clocks)
    closure.check_spread(found, share=GATE.spread)
    closure.check_scaling(figures(ranks[:1]), found, noise=GATE.efficiency)
    closure.check_memory(found, card=True)
    for rank in ranks:
        closure.check_nesting(rank, slack=GATE.clocks)
        closure.check_clocks(rank, slack=GATE.clocks)
        closure.check_accounted(rank, share=GATE.sum)
        closure.check_sum(rank, share=GATE.sum, asynchronous=False)
        closure.check_sum(rank, share=GATE.sum, asynchronous=True)
        core, host = rank.core_s.sum(), rank.host_core_s.sum()
        closure.check_harness(core, host, share=GATE.harness)


@pytest.mark.parametrize("seconds", [0.07, 0.22, CORE_S * 0.9])
def test_an_unsynchronised_timer_leaves_time_missing_from_the_core(seconds):
    """Launches alone; without the backward pass; one part in ten: on any kind of device."""
    for asynchronous in (False, True):
        failure = failing(
            closure.check_sum, timer(seconds), share=GATE.sum, asynchronous=asynchronous
        )
        assert failure.what == "time is missing from the core"
    claimed = failing(
        closure.check_harness, clocks().core_s.sum(), seconds * ITERATIONS, share=GATE.harness
    )
    assert claimed.what == "the timer did not wait for the device"


def test_a_clock_that_counts_twice_fails_where_host_and_device_are_one():
    found = clocks(data_s=np.full(ITERATIONS, 2 * DATA_S))
    closure.check_sum(found, share=GATE.sum, asynchronous=True)  # the host waits while it computes
    failure = failing(closure.check_sum, found, share=GATE.sum, asynchronous=False)
    assert failure.what == "time is counted twice"
    assert failure.needed.startswith("share 0.05")


def test_a_device_clock_cannot_outrun_the_hosts_in_any_window():
    core = clocks().core_s
    core[40:60] *= 1.1  # of one window: in the sum over all of them it hardly shows
    failure = failing(closure.check_clocks, clocks(core_s=core), slack=GATE.clocks)
    assert failure.what == "the device's clock runs ahead of the host's"
    assert failure.worst[0].startswith("window 1: ")


def test_the_length_of_the_data_set_is_no_count_of_images():
    """500 images on 8 ranks are 3 iterations of 16 a rank: the source's formula says 30 % more."""
    ranks = [clocks(k, images=500 * 40 // 8) for k in range(8)]
    failure = failing(closure.check_counted, ranks, batch=BATCH, iterations=ITERATIONS)
    assert failure.what == "images are not counted from the tensors"
    assert "(+30.21 %)" in failure.actual


def test_a_dropped_iteration_is_no_complete_count():
    one_more = {"batch": BATCH, "iterations": ITERATIONS + 1}
    padded = clocks(images=BATCH * (ITERATIONS + 1))
    failing(closure.check_counted, [padded], **one_more)
    failing(closure.check_counted, [clocks()], batch=BATCH, iterations=ITERATIONS + 1)


def test_a_warm_up_in_the_figures_is_found():
    found = warmup_included()
    failure = failing(closure.check_warmup, [found], warmup=WARMUP, iterations=BLOCK * (BLOCKS + 1))
    assert failure.what == "the warm-up is in the figures"
    assert figures([found]).p_core < 0.95 * figures([clocks()]).p_core


def test_windows_that_leave_iterations_out_are_found():
    found = clocks(window_iterations=np.full(BLOCKS, BLOCK - 1))
    failure = failing(closure.check_warmup, [found], warmup=WARMUP, iterations=BLOCK * BLOCKS)
    assert failure.what == "iterations were not timed"


def test_rates_divided_by_the_wrong_time_do_not_count_the_same_images():
    found = figures([clocks()])
    rates = np.array([found.p_whole, found.p_train, found.p_core])
    seconds = np.array([found.whole_s, found.train_s, found.core_s])
    closure.check_numerator(rates, seconds, found.images, relative=1e-9)
    by_e2e = rates * [found.whole_s / found.e2e_time, 1, 1]
    failing(closure.check_numerator, by_e2e, seconds, found.images, relative=1e-9)


def test_rates_out_of_order_fail():
    right = figures([clocks()])
    for change in ({"core_s": right.train_s * 1.01}, {"whole_s": right.train_s * 0.99}):
        failure = failing(
            closure.check_order, dataclasses.replace(right, **change), slack=GATE.clocks
        )
        assert failure.what == "the rates are out of order"
    short = dataclasses.replace(right, e2e_time=right.whole_s - 1)
    assert "longer than the whole" in failing(closure.check_order, short, slack=GATE.clocks).what
    for images in (float("nan"), float("inf"), 0):
        none = dataclasses.replace(right, images=images)
        failing(closure.check_order, none, slack=GATE.clocks)


def test_parts_that_outlast_the_run_fail():
    failing(closure.check_nesting, clocks(main_s=1.0), slack=GATE.clocks)
    failing(closure.check_nesting, clocks(evaluation_s=1000.0), slack=GATE.clocks)
    failing(closure.check_accounted, clocks(evaluation_s=0.0), share=GATE.sum)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_s": np.zeros(BLOCKS)},
        {"window_s": np.full(BLOCKS, np.nan)},
        {"window_s": np.full(BLOCKS, np.inf)},
        {"core_s": np.zeros(ITERATIONS)},
        {k: np.zeros(0, int) for k in ("window_s", "window_iterations", "window_start")},
    ],
)
def test_a_run_without_timed_windows_has_no_figures(changes):
    assert "nothing was timed" in failing(figures, [clocks(**changes)]).what


def test_ranks_with_other_windows_have_no_figures():
    other = clocks(1, window_iterations=np.full(BLOCKS, BLOCK - 1))
    assert "different windows" in failing(figures, [clocks(), other]).what


def test_a_straggler_is_found():
    ranks = [clocks(k) for k in range(3)] + [clocks(3, core_s=np.full(ITERATIONS, 0.75))]
    assert "slower" in failing(closure.check_spread, figures(ranks), share=GATE.spread).what


def test_eight_cards_are_at_most_eight_times_as_fast():
    one, two = figures([clocks()]), figures([clocks(0), clocks(1)])
    better = dataclasses.replace(two, core_s=two.core_s / 1.05)
    failure = failing(closure.check_scaling, one, better, noise=GATE.efficiency)
    assert failure.what == "more than perfect scaling"
    assert failure.expected.startswith("p_core <= 2 x ")


@pytest.mark.parametrize(
    "changes",
    [{"reserved": 29 * GIB}, {"process": 37 * GIB}, {"process": 41 * GIB}, {"allocated": 0}],
)
def test_memory_figures_that_contradict_each_other_fail(changes):
    found = figures([clocks(**changes)])
    assert "memory" in failing(closure.check_memory, found, card=True).what


def test_memory_is_judged_by_what_is_known_of_it():
    closure.check_memory(figures([clocks(process=0)]), card=True)
    closure.check_memory(figures([clocks(allocated=0, reserved=0)]), card=False)
    failing(closure.check_memory, figures([clocks(process=0)]), card=False)


def test_strict_fp32_on_an_a100_has_a_ceiling_of_16_8_images_a_second():
    flop = TRAINING.flops[0].flop
    named = {"cards": 1, "flop": flop, "peak": A100.fp32, "precision": "fp32"}
    closure.check_ceiling(16.8, **named)
    failure = failing(closure.check_ceiling, 16.9, **named)
    assert failure.what == "faster than fp32 can be"
    assert "16.83 img/s a card" in failure.expected


def test_on_a_simulated_device_every_timer_that_does_not_wait_is_caught():
    spec = importlib.util.spec_from_file_location("clock_under_test", CLOCK)
    clock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(clock)
    for style, rates in clock.experiment().items():
        event_s, host_s = 1 / rates["event"], 1 / rates["host"]
        if style == "log_inside":
            closure.check_harness(event_s, host_s, share=GATE.harness)
        else:
            failing(closure.check_harness, event_s, host_s, share=GATE.harness)
        closure.check_harness(event_s, event_s, share=GATE.harness)


def test_the_ranks_of_one_of_two_machines_stand_for_all():
    one = figures([clocks(0)])
    both = figures([clocks(0)], world=2)
    assert both.world == 2
    assert both.p_core == pytest.approx(2 * one.p_core)
