"""How a training ends, and what it must not do on the side, at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import training_end as end
from plugins.checks import training_state as state
from tests.training_records import failing

# --- the end ---


def test_an_end_without_a_count_is_enough_where_any_number_will_do():
    end.check_finished([[{"event": "FINISHED", "rank": 0}]], code=0)
    unsaid = [[{"event": "FINISHED", "rank": 0}]]
    failing(end.check_finished, unsaid, code=0, iterations=1)
    failure = failing(end.check_finished, [[]], code=0)
    assert failure.actual == "rank 0 ended with nothing at 0; exit code 0"


def test_what_the_software_of_two_ranks_differs_in_is_named():
    same = [{"torch": "2", "cuda": "12"}] * 2
    other = [same[0], {"torch": "1", "cuda": "12"}]
    failure = failing(end.check_same_software, other, same)
    assert failure.what == "the ranks ran with different versions"
    assert failure.expected == "torch 2 on every rank"
    assert failure.actual == "rank 1: torch 1"
    failure = failing(end.check_same_software, same, [{"tf32": True}, {"tf32": False}, {}])
    assert failure.what == "the ranks ran with different flags"
    assert failure.expected == "tf32 True on every rank"
    lost = [{"tf32": True, "debug": 1}, {"tf32": True}]
    assert failing(end.check_same_software, same, lost).expected == "debug 1 on every rank"


# --- on the side ---


def test_flags_of_fp32_are_named_so():
    failure = failing(
        state.check_tf32, {"tf32_conv": True, "tf32_matmul": True}, conv=True, matmul=False
    )
    assert failure.what == "fp32 ran with other TF32 flags"


def test_of_one_step_none_is_left_out():
    state.check_skipped(0, 1, share=0.0, precision="amp")
    failing(state.check_skipped, 1, 1, share=0.9, precision="amp")


def growth(at, values, granule=0.0, window=100) -> None:
    state.check_growth(at, values, window=window, granule=granule, what="memory", unit="bytes")


def test_three_readings_over_most_of_the_window_are_enough():
    growth([100, 150, 200], [5, 5, 5])
    growth([120, 150, 200], [5, 5, 5])  # 0.8 of the window
    failure = failing(growth, [121, 150, 200], [5, 5, 5])
    assert failure.actual == "3 readings over 79"


def test_what_was_read_before_the_window_does_not_count():
    growth([0, 99, 100, 150, 200], [0, 0, 5, 5, 5])
    failing(growth, [0, 99, 100, 150, 200], [0, 0, 5, 6, 6])
    failing(growth, [99, 150, 200], [5, 5, 5])


def test_memory_that_is_taken_for_something_new_is_in_few_quarters_and_a_leak_in_each():
    at = np.arange(100, 201, 5)
    growth(at, np.where(at < 120, 0, 900) + np.where(at < 160, 0, 900), granule=100)
    for when in (110, 150, 190):
        growth(at, np.where(at < when, 0, 900), granule=100)
    growth(at, 1.0 * (at - 100), granule=100)
    growth(at, np.where(at < 125, 0, at - 125), granule=1)
    growth(at, np.where(at < 175, at, 175), granule=1)
    failing(growth, at, np.where(at < 105, 0, at - 105), granule=1)
    growth([100, 150, 200], [0, 5, 5], granule=1)
    steps = sum(np.where(at < when, 0, 900) for when in (112, 138, 162, 188))
    failing(growth, at, steps, granule=100)  # one in each quarter
    failure = failing(growth, at, 1.1 * (at - 100) + np.where(at < 130, 0, 900), granule=100)
    assert failure.actual.startswith("110 bytes, 1.1 an iteration, from 0 to ")


def test_what_may_not_rise_is_judged_by_the_least_of_two_halves():
    at = np.arange(100, 201, 10)
    waiting = np.where((at == 160) | (at == 190), 64, 24)  # a batch that came out of turn
    growth(at, waiting)
    growth(at, waiting[::-1])
    failing(growth, at, waiting + (at > 140))  # and a leak of one
    failing(growth, at, np.where(at < 130, 0, 1))
    growth(at, np.where(at < 160, 0, 1))  # a leak that comes again is in the other half too
    failing(growth, at, at // 50)


@pytest.mark.parametrize("level", [0.0, 1e9, -1e9])
def test_a_line_may_rise_by_a_granule_whatever_the_level(level):
    at = np.arange(100, 201, 10)
    growth(at, level + 10.0 * (at - 100), granule=1000.0)
    failing(growth, at, level + 10.1 * (at - 100), granule=1000.0)
    growth(at, level - 10.0 * (at - 100))


def test_rounding_of_the_line_is_forgiven_and_no_more():
    at = np.array([0.0, 50.0, 100.0])
    line = 10.0 * at
    growth(at, (1 + 0.5e-9) * line, granule=1000.0)
    failing(growth, at, (1 + 2e-9) * line, granule=1000.0)
    for level in (1e9, -1e9, 0.0):  # nothing is fitted where nothing may rise
        failing(growth, at, [level, level + 1e-6, level + 1e-6])


def test_what_an_evaluation_adds_or_removes_is_a_change():
    look = {"training": 3, "digest": "a"}
    for before, after in ((look, {**look, "new": 1}), ({**look, "old": 1}, look)):
        failing(
            state.check_modes, [{"iteration": 1, "before": before, "after": after}], evaluations=1
        )


def test_several_changes_of_an_evaluation_are_named_in_one_order():
    before = {"training": 3, "rng": 0, "flags": 0, "digest": 0}
    look = {"iteration": 1, "before": before, "after": dict.fromkeys(before, 9)}
    failure = failing(state.check_modes, [look], evaluations=1)
    assert failure.actual == (
        "parameters or buffers; which modules are in training mode; the random state; "
        "the number of modules in training mode"
    )
