"""The training checks at their edges: on the tolerance, a step beyond it, lists as a record holds them."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import training_learning as learning
from plugins.checks import training_numerics as numerics
from plugins.checks import training_speed as speed
from plugins.failure import Inconclusive
from tests.training_records import failing

# --- first steps, bits and ranks ---

LOSSES, NORMS = np.array([[2.0, 4.0]]), np.array([[8.0, 16.0]])
MODULES = ["body", "head"]


def steps(losses=LOSSES, norms=NORMS) -> numerics.FirstSteps:
    return numerics.FirstSteps(np.array(losses), np.array(norms), MODULES)


def judge_first(found: numerics.FirstSteps) -> None:
    numerics.check_first_steps(found, steps(), loss=0.125, gradient=0.25)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (0, "classification loss"),
        (1, "box loss"),
        (2, "gradient norm of body"),
        (3, "gradient norm of head"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_first_step_may_be_off_by_its_tolerance_and_is_named_beyond_it(column, name, sign):
    row = np.array([[2.0, 4.0, 8.0, 16.0]])
    allowed = (0.125, 0.125, 0.25, 0.25)[column]
    row[0, column] *= 1 + sign * allowed
    judge_first(steps(row[:, :2], row[:, 2:]))
    row[0, column] += sign * 1e-3
    failure = failing(judge_first, steps(row[:, :2], row[:, 2:]))
    assert failure.what == f"the {name} of step 0 is another"


def test_the_worst_difference_of_a_first_step_says_how_wide_the_tolerances_would_be():
    failure = failing(judge_first, steps([[3.0, 4.0]], [[8.0, 80.0]]))
    assert failure.needed == "tolerances 16 times as wide"
    assert [row.split(":")[0] for row in failure.worst] == [
        "step 0, gradient norm of head",
        "step 0, classification loss",
    ]


@pytest.mark.parametrize(
    ("found", "expected", "off"),
    [
        (3, 2, 0.5),
        (1, 2, 0.5),
        (-3, -2, 0.5),
        (2, -2, 2.0),
        (0, 0, 0.0),
        (1, 0, np.inf),
        (np.inf, np.inf, np.inf),
        (np.nan, 1, np.inf),
        (1, np.nan, np.inf),
    ],
)
def test_a_relative_difference_has_a_value_for_every_pair(found, expected, off):
    assert numerics.relative([found], [expected]).tolist() == [off]


def test_losses_from_a_record_are_lists_and_a_longer_record_is_no_other_record():
    numerics.check_same_losses([3.0, 2.0], [5.0, 4.0, 3.0, 2.0, 1.0], what="resumed", start=2)
    numerics.check_same_losses([1.0], [3.0, 2.0, 1.0], what="resumed", start=2)
    failure = failing(numerics.check_same_losses, [9.0, 1.0], [2.0, 1.0], what="twice")
    assert failure.expected == "loss 2 in iteration 0"
    assert failure.actual == "9, 3.5 off; 1 of 2 differ, by 3.5 at most"


def test_hashes_are_compared_in_the_order_of_iterations():
    one = {str(k): "a" for k in reversed(range(1, 13))}  # of a few a set may keep the order
    other = {**one, "12": "b", "2": "b"}
    in_order = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    failure = failing(numerics.check_same_states, other, one, what="twice")
    assert failure.expected == f"equal hashes after iterations {in_order}"
    assert failure.actual == "2 of 12 differ, first after iteration 2"
    failure = failing(numerics.check_ranks_agree, {1: other, 0: one}, what="buffers")
    assert failure.expected == f"rank 1 is equal to rank 0 after iterations {in_order}"
    assert failure.actual == "2 of 12 hashes differ, first after iteration 2"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", [0, 1])
def test_ranks_may_be_off_by_the_allowance_of_their_iteration(sign, place):
    allowed = [0.125, 0.25]
    single = np.array([2.0, 2.0, 2.0])
    ranks = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    where = {"iterations": [1, 3], "allowed": allowed}
    numerics.check_equivalence(single, ranks, **where)
    ranks[:, 2 * place] += sign * 2 * allowed[place]
    numerics.check_equivalence(single, ranks, **where)
    ranks[:, 2 * place] += sign * 0.5
    failure = failing(numerics.check_equivalence, single, ranks, **where)
    assert failure.worst == [f"iteration {1 + 2 * place}: {allowed[place] + 0.25:.3g} relative"]
    assert failure.needed == f"tolerances {1 + 0.25 / allowed[place]:.3g} times as wide"


@pytest.mark.parametrize(("single", "ranks", "count"), [(2, 3, 2), (3, 2, 2), (3, 3, 1)])
def test_an_iteration_that_one_side_did_not_reach_cannot_be_compared(single, ranks, count):
    failure = failing(
        numerics.check_equivalence,
        np.ones(single),
        np.ones((count, ranks)),
        iterations=[3],
        allowed=[1.0],
    )
    assert failure.what == "there are too few losses to compare"
    numerics.check_equivalence(np.ones(3), np.ones((2, 3)), iterations=[3], allowed=[1.0])


def test_the_ranks_share_a_batch_in_whatever_order_each_reads_it():
    ids = np.array([[4, 1, 3, 2]])
    numerics.check_union(ids, [ids[:, [3, 1]], ids[:, [2, 0]]])
    failing(numerics.check_union, ids, [ids[:, [3, 1]], ids[:, [2, 2]]])


def close(found, **named) -> None:
    numerics.check_closeness(
        np.array(found), np.array([[4.0, 4.0], [4.0, 4.0]]), precision="amp", **named
    )


def test_a_precision_may_be_off_by_its_closeness_in_some_losses_and_in_none_too_far():
    close([[4.0, 4.0], [4.0, 5.0]], closeness=0.25)
    failure = failing(close, [[4.0, 4.0], [4.0, 5.0]], closeness=0.2499)
    assert failure.worst == ["iteration 1: 0.25"]
    assert failure.actual == "0.25 off in iteration 1"
    assert failure.expected.startswith("losses within")
    assert failure.needed == "closeness 0.25"
    failure = failing(close, [[3.0, 4.0], [8.0, 4.0]], closeness=0.2)
    assert failure.worst == ["iteration 0: 0.25", "iteration 1: 1"]


# --- learning ---


@pytest.mark.parametrize(("end_loss", "fits"), [(1.0, True), (1.01, False)])
def test_eight_images_are_learnt_when_the_last_losses_are_a_share_of_the_first(end_loss, fits):
    curve = [8.0, 100.0, 100.0, end_loss, end_loss]
    if fits:
        learning.check_overfit(curve, ratio=0.125, last=2)
    else:
        failure = failing(learning.check_overfit, curve, ratio=0.125, last=2)
        assert failure.needed == "ratio 0.126"
    failing(learning.check_overfit, [8.0, 1.0], ratio=0.125, last=2)
    learning.check_overfit([8.0, 1.0, 1.0], ratio=0.125, last=2)


def test_a_band_is_as_wide_as_the_standard_deviation_of_its_seeds():
    """Of 1, 3 and 5 it is 2, with one degree of freedom spent on the mean."""
    others = [[9.0, seed, seed, 7.0] for seed in (1.0, 3.0, 5.0)]
    named = {"at": [3], "width": 2, "sigmas": 2.0, "seeds": 3}
    for found in (-1.0, 7.0):
        learning.check_band([9.0, found, found, 8.0], others, **named)
    for found in (-1.1, 7.1):
        failure = failing(learning.check_band, [9.0, found, found, 8.0], others, **named)
        assert failure.needed == "sigmas 2.05"
        assert failure.expected == "3 +- 4 at 3"
    learning.check_band([9.0, 3.0, 3.0], np.array(others)[:, :3], **named)  # as long as the band
    with pytest.raises(Inconclusive, match="needs 4 seeds and has 3"):
        learning.check_band([9.0, 3.0, 3.0], others, **{**named, "seeds": 4})


def test_a_smoothed_loss_is_the_mean_of_those_before_it():
    found = learning.smoothed([[1, 2, 4, 8], [0, 0, 0, 4]], at=[2, 4], width=2)
    assert found.tolist() == [[1.5, 6.0], [0.0, 2.0]]


@pytest.mark.parametrize("short", ["found", "others"])
def test_a_curve_shorter_than_the_band_is_refused(short):
    lengths = {"found": 3, "others": 3, short: 2}
    failure = failing(
        learning.check_band,
        [1.0] * lengths["found"],
        [[float(k)] * lengths["others"] for k in range(3)],
        **{"at": [2, 3], "width": 1, "sigmas": 9.0, "seeds": 3},
    )
    assert failure.what == "the loss curve is too short"


def test_a_target_is_reached_exactly():
    learning.check_target([{"epoch": 1, "map": 0.35}], target=0.35, epochs=2)


# --- speed ---


def test_a_device_clock_may_say_exactly_the_window():
    rates = {"host": 2.0, "event": 2.0, "window": 2.0}
    speed.check_timers({"log_inside": rates}, share=0.0)


def test_the_honest_style_is_suspected_where_its_host_is_ahead_by_more_than_the_share():
    speed.check_timers({"log_inside": {"host": 2.5, "event": 2.0, "window": 1.0}}, share=0.25)
    ahead = {"log_inside": {"host": 2.51, "event": 2.0, "window": 1.0}}
    failing(speed.check_timers, ahead, share=0.25)
