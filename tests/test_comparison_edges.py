"""Two artifacts in turns at their edges: on the margin, a step beyond it, by exact counts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import comparison
from plugins.checks.comparison import Compared
from plugins.failure import Inconclusive
from tests.training_records import failing

PLAN = SimpleNamespace(
    margin=0.25, error=0.05, processes=3, drift=0.5, false_alarms=0.005, caught=1.5
)


def quads(*ratios, old: float = 1.0) -> np.ndarray:
    """(processes, quads, 4, steps): the time of the new artifact over the old one's, by process."""
    made = np.full((len(ratios), 12, 4, 3), old)
    for k, ratio in enumerate(ratios):
        made[k, :, 1:3] *= ratio
    return made


def verdict(*ratios, plan=PLAN, **named) -> str:
    return comparison.compare(quads(*ratios, **named), plan).verdict


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ((1.25, 1.25), "PASS"),
        ((1.26, 1.26), "REGRESSED"),
        ((1.26, 1.24), "INCONCLUSIVE"),
        ((0.8, 0.8), "PASS"),
        ((0.79, 0.79), "IMPROVED"),
        ((0.79, 0.81), "PASS"),
        ((1.0,), "INCONCLUSIVE"),
        ((1.0, 1.0), "PASS"),
    ],
)
def test_a_verdict_must_recur_in_each_process(ratios, word):
    assert verdict(*ratios) == word


def test_an_upper_bound_beyond_the_margin_does_not_pass_although_each_process_does():
    assert comparison._verdict(0.0, 0.3, np.array([0.1, 0.1]), 0.2) == "INCONCLUSIVE"
    assert comparison._verdict(0.0, 0.2, np.array([0.2, 0.1]), 0.2) == "PASS"
    assert comparison._verdict(0.0, 0.2, np.array([0.3, 0.1]), 0.2) == "INCONCLUSIVE"
    assert comparison._verdict(0.2, 0.5, np.array([0.3, 0.3]), 0.2) == "INCONCLUSIVE"
    assert comparison._verdict(0.21, 0.5, np.array([0.3, 0.2]), 0.2) == "INCONCLUSIVE"
    assert comparison._verdict(-0.5, -0.2, np.array([-0.3, -0.3]), 0.2) == "PASS"
    assert comparison._verdict(-0.5, -0.21, np.array([-0.3, -0.2]), 0.2) == "PASS"


def test_a_comparison_says_what_was_measured():
    found = comparison.compare(quads(2.0, 2.0), PLAN)
    assert (found.ratio, found.low, found.high, found.quads) == pytest.approx((2.0, 2.0, 2.0, 24))
    assert found.processes == pytest.approx([2.0, 2.0])
    assert found.text() == "2 times the old one's time (2 to 2; 24 quads in 2 processes)"
    assert found.promise() == "<= 1.25 (alarms 0.5 %, finds 1.5)"
    plain = SimpleNamespace(**{**vars(PLAN), "caught": None})
    assert comparison.compare(quads(2.0), plain).promise() == "<= 1.25 (not calibrated here)"


def test_one_step_in_three_may_be_slow():
    made = quads(1.0, 1.0)
    made[:, :, 1:3, 0] = 9.0
    assert comparison.compare(made, PLAN).ratio == 1.0


def test_a_drift_within_a_quad_cancels():
    made = quads(1.0, 1.0) * np.array([1.0, 1.1, 1.1**2, 1.1**3])[:, None]
    found = comparison.compare(made, SimpleNamespace(**{**vars(PLAN), "drift": 9.0}))
    assert found.ratio == pytest.approx(1.0)


@pytest.mark.parametrize(("processes", "looks"), [(1, 1), (2, 1), (3, 2), (6, 5)])
def test_each_look_has_its_share_of_the_error(processes, looks):
    random = np.random.RandomState(3)
    made = quads(1.0, 1.0) * np.exp(random.normal(0, 0.01, (2, 12, 4, 1)))
    plan = SimpleNamespace(**{**vars(PLAN), "processes": processes})
    found = comparison.compare(made, plan)
    blocks = np.log(np.median(made, 3))
    values = (blocks[..., [1, 2]].mean(-1) - blocks[..., [0, 3]].mean(-1)).ravel()
    expected = np.exp(comparison.interval(values, 0.05 / looks))
    assert (found.ratio, found.low, found.high) == pytest.approx(tuple(expected))


def signed_ranks(n: int) -> np.ndarray:
    """How often each sum of ranks occurs among all signs."""
    sums = [sum(k + 1 for k in range(n) if bits >> k & 1) for bits in range(1 << n)]
    return np.bincount(sums, minlength=n * (n + 1) // 2 + 1) / (1 << n)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("error", [0.01, 0.03125, 0.05, 0.2])
def test_bounds_are_walsh_averages_by_the_signed_rank_distribution(n, error):
    values = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0, 5.5])[:n]
    walsh = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    outside = int((np.cumsum(signed_ranks(n)) <= error).sum())
    middle, low, high = comparison.interval(values, error)
    assert middle == np.median(walsh)
    bounds = (walsh[outside - 1], walsh[-outside]) if outside else (-np.inf, np.inf)
    assert (low, high) == bounds


def test_a_machine_may_change_its_pace_by_the_drift():
    steady = np.ones((2, 4, 2))
    for change in (1.5, 1 / 1.5):
        within, between = steady.copy(), steady.copy()
        within[1, 2:] *= change
        between[1] *= change
        for made, where in ((within, "within a process"), (between, "between processes")):
            assert comparison.instability(made, 0.5001) == ""
            assert comparison.instability(made, 0.49).endswith(where)
    assert comparison.instability(steady, 0.0) == ""
    said = comparison.instability(between, 0.25)
    assert said == "the old artifact changed its pace by 0.5 (allowed 0.25) between processes"


def test_of_an_odd_number_of_quads_the_middle_one_is_left_out():
    made = np.ones((1, 5, 2))
    made[0, 2] = 9.0
    assert comparison.instability(made, 0.0) == ""
    made[0, 3:] = 2.0
    assert comparison.instability(made, 0.5).endswith("within a process")
    assert comparison.instability(np.ones((1, 1, 2)), 0.0) == ""


def test_the_halves_of_a_process_are_compared_by_their_medians():
    four, two = np.ones((1, 4, 2)), np.ones((1, 2, 2))
    four[0, 3] = two[0, 1] = 2.0
    assert comparison.instability(four, 0.6) == ""
    assert comparison.instability(four, 0.4).endswith("within a process")
    assert comparison.instability(two, 0.9).endswith("within a process")


def compared(word: str, why: str = "") -> Compared:
    return Compared(word, 1.5, 1.375, 1.75, [1.4, 1.6], 8, why, PLAN)


def test_each_verdict_has_its_end():
    for word in ("PASS", "IMPROVED"):
        comparison.check_no_slower(compared(word))
    with pytest.raises(Inconclusive, match="INVALID comparison: busy; "):
        comparison.check_no_slower(compared("INVALID", "busy"))
    with pytest.raises(Inconclusive, match="cannot be told yet: 1.5 times"):
        comparison.check_no_slower(compared("INCONCLUSIVE"))
    failure = failing(comparison.check_no_slower, compared("REGRESSED"))
    assert failure.worst == ["process 0: 1.4 times", "process 1: 1.6 times"]
    assert failure.needed == "margin 0.375"
