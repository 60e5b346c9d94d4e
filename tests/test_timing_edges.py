"""Rates and clocks at their edges: exact values pass, a step beyond fails."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import throughput
from plugins.checks.throughput import Step, Timing
from tests.training_records import failing

# --- the clock ---


def steps(count: int = 6, **changes) -> list[Step]:
    """Steps that take turns with two images; 1, 4 and 2 ms of a call of 8 ms."""
    right = {"seconds": (0.001, 0.004, 0.002), "detections": 1, "passed": 0.008}
    return [Step(image=k % 2, **{**right, **changes}) for k in range(count)]


def timing(some=None, *, warmup: int = 2, rounds: int = 4) -> Timing:
    some = steps() if some is None else some
    table = np.array([step.seconds for step in some[warmup:]])
    return Timing(table, rounds, some, warmup)


def judge(some=None, *, accounted: float = 0.75, **named) -> None:
    throughput.check_clock(timing(some, **named), accounted, accounted)


def replaced(index: int, **changes) -> list[Step]:
    some = steps()
    some[index] = some[index].__class__(**{**vars(some[index]), **changes})
    return some


def test_what_is_not_said_of_a_timing_is_nothing():
    assert (Timing(np.ones((1, 3)), 1).steps, Timing(np.ones((1, 3)), 1).warmup) == ((), 0)


def test_a_right_clock_passes():
    judge()


@pytest.mark.parametrize(("warmup", "rounds"), [(2, 3), (2, 5), (1, 4), (3, 4)])
def test_as_many_steps_are_timed_as_are_declared(warmup, rounds):
    failure = failing(judge, warmup=warmup, rounds=rounds)
    assert failure.what == "the warm-up is not what is declared"
    assert failure.actual == "6 steps in all"


def test_every_timed_step_detects_something_and_a_warm_up_need_not():
    judge(replaced(1, detections=0))
    failure = failing(judge, replaced(5, detections=0))
    assert failure.actual == "1 of 4 steps without one"


def test_two_steps_take_turns_and_one_cannot():
    same = [Step((0.001, 0.004, 0.002), 7, 1, 0.008)] * 2
    failure = failing(judge, same, warmup=0, rounds=2)
    assert failure.what == "all steps are on one image"
    assert failure.actual == "2 steps on image 7"


def test_results_are_copied_in_less_time_than_they_are_computed_in():
    judge(steps(seconds=(0.001, 0.0035, 0.003)))
    failure = failing(judge, steps(seconds=(0.001, 0.003, 0.003)))
    assert failure.what == "the clock was read before the device was synchronised"
    assert failure.actual == "compute 3 ms, copy out 3 ms (medians)"


@pytest.mark.parametrize("seconds", [(0.0, 0.006, 0.001), (0.001, 0.006, 0.0)])
def test_every_copy_takes_some_time(seconds):
    failure = failing(judge, replaced(3, seconds=seconds))
    assert failure.what == "a copy takes no time: it is not inside the clock"
    assert failure.actual == "1 of 8 copies took none"


def test_the_parts_of_a_call_fill_most_of_it_and_not_more():
    judge(steps(passed=0.007))
    judge(steps(seconds=(0.0625, 0.5, 0.1875), passed=1.0))
    judge(replaced(2, passed=0.5))  # one in six
    failure = failing(judge, replaced(2, passed=0.0069))
    assert failure.what == "the clock tells more time than has passed"
    assert failure.actual == "1 of 6 steps last longer than their call"
    failure = failing(judge, steps(passed=0.0094))
    assert failure.what == "the clock tells less time than has passed"
    assert failure.actual == "74.47 % (median)"


def cached(new: float, known: float) -> list[Step]:
    return [
        Step(
            (new / 8, new if k < 2 else known, new / 8),
            k % 2,
            1,
            (new if k < 2 else known) + new / 3,
        )
        for k in range(6)
    ]


def test_an_input_that_was_seen_takes_its_time():
    judge(cached(0.5, 0.375))
    failure = failing(judge, cached(0.5, 0.37))
    assert failure.what == "an input that was seen before takes no time: results are cached"
    assert failure.actual == "370 ms (median) after 500 ms"
    one_slow = cached(0.5, 0.375)
    one_slow[0] = Step((0.0625, 9.0, 0.0625), 0, 1, 9.2)
    judge(one_slow)  # a first step may be slow for other reasons
    one_waited = cached(0.5, 0.1)
    one_waited[3] = Step((0.0625, 0.375, 0.0625), 1, 1, 0.5)
    failing(judge, one_waited)  # nor does one that was slow hide the others
    judge(steps(2), warmup=0, rounds=2)  # nothing was seen twice


def test_only_inputs_that_were_seen_are_suspected():
    some = [Step((0.0625, 0.5, 0.0625), k, 1, 0.65) for k in range(5)]
    again = Step((0.0625, 0.25, 0.0625), 1, 1, 0.4)
    failure = failing(judge, [*some, again], warmup=0, rounds=6)
    assert failure.actual == "250 ms (median) after 500 ms"
    judge(some, warmup=0, rounds=5)


def test_a_timing_is_complete_whatever_its_copies_took():
    throughput.check_complete(Timing(np.array([[0, 0.5, 0], [0, 0.25, 0.0]]), 2))


# --- rates and tails ---


def test_a_rate_may_lie_on_its_floor_less_its_drop():
    floors = [SimpleNamespace(machine="310P3", floor=16.0, allowed_drop=0.25)]
    throughput.check_rate(12.0, floors, "an Ascend 310P3")
    failure = failing(throughput.check_rate, 11.0, floors, "an Ascend 310P3")
    assert failure.needed == "allowed drop 31.25 %"
    two = [SimpleNamespace(machine="310P3", floor=8.0, allowed_drop=0.0), *floors]
    assert throughput.floor_text(two, "310P3") == ">= 8 img/s"
    failing(throughput.check_rate, 9.0, two, "310P3")


def test_one_step_without_copies_has_a_rate():
    one = Timing(np.array([[0.25, 0.5, 0.25]]), 1)
    assert (one.rate(copies=False), one.rate(copies=True)) == (2.0, 1.0)


def exact_tail(n: int, share: float, rest: float) -> tuple:
    """Places of the bounds by exact sums: counted from 1; None where there is none."""
    below = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    first = max((k for k in range(n + 1) if sum(below[:k]) <= rest), default=0)
    last = next((k for k in range(n + 1) if sum(below[: k + 1]) >= 1 - rest), n)
    return first or None, last + 1 if last < n else None


@pytest.mark.parametrize("n", [1, 5, 8, 20, 59, 60, 100])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_a_tail_is_bounded_by_order_statistics(n, share):
    first, last = exact_tail(n, share, 0.025)
    found = throughput.tail(np.arange(n, 0, -1.0), share, 0.95)
    if first is None or last is None:
        assert found is None
    else:
        assert (found.low, found.high) == (first, last)
        assert found.value == math.ceil(share * n)


def test_the_steps_that_a_tail_needs_are_the_fewest():
    for share in (0.5, 0.9, 0.99, 0.05):
        n = throughput.steps_needed(share, 0.95)
        assert throughput.tail(np.arange(n, dtype=float), share, 0.95) is not None
        assert throughput.tail(np.arange(n - 1, dtype=float), share, 0.95) is None
