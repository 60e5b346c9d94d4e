"""The published rows and the learning rates at their edges: exact values pass, a step beyond fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugins.checks import training_published as published
from plugins.checks import training_recipe as recipe
from tests.training_records import failing

# --- the published rows ---


def row(**changes) -> SimpleNamespace:
    right = {"p_whole": "2", "p_train": "4", "p_core": "8", "e2e_time": "10", "epochs": 1}
    memory = {"memory_used": "4", "memory_total": "8"}
    return SimpleNamespace(**{**right, **memory, **changes})


def test_a_band_has_the_width_of_its_last_digit():
    low, high = published.band("0.353").low, published.band("0.353").high
    assert (low, high) == (0.353, pytest.approx(0.354, abs=1e-12))


@pytest.mark.parametrize(("other", "meet"), [((2, 3), False), ((0, 1), False), ((1.5, 9), True)])
def test_bands_that_only_touch_have_no_number_in_common(other, meet):
    assert published.Band(1, 2).meets(published.Band(*other)) is meet
    assert published.Band(*other).meets(published.Band(1, 2)) is meet


def test_a_row_may_be_as_fast_as_a_digit_allows():
    published.check_row("row", row(p_whole="4", memory_used="8"))
    published.check_row("row", row(p_whole="4.9"))
    failing(published.check_row, "row", row(p_whole="5"))
    failing(published.check_row, "row", row(p_train="9"))
    failing(published.check_row, "row", row(memory_used="9"))


def test_epochs_are_counted_from_one_and_leave_no_more_than_some_evaluations():
    """8 images: an epoch takes more than 4 s and at most 8 s, an evaluation less than 6 s."""
    slow = row(p_whole="1", p_train="3", e2e_time="14")
    assert published.epochs(slow, 8, evaluations=1.0) == [1, 2, 3]
    assert published.epochs(slow, 8, evaluations=0.999) == [2, 3]
    short = row(p_whole="1", p_train="3", e2e_time="8")
    assert published.epochs(short, 8, evaluations=9.0) == [1, 2]
    assert published.epochs(row(p_whole="1", p_train="3", e2e_time="2"), 8, evaluations=9.0) == []


def rows_of(seconds: dict) -> dict:
    """Rows of n cards with an evaluation of so many seconds, to nine digits; 1000 images in 100 s."""
    return {
        n: row(p_train=f"{10 * n:.9f}", p_whole=f"{1000 / (100 / n + s):.9f}")
        for n, s in seconds.items()
    }


def test_an_evaluation_costs_a_part_that_is_shared_and_one_that_is_not():
    """10 s + 80 s / n."""
    right = {2: 50.0, 8: 20.0, 16: 15.0}
    published.check_evaluation_time(rows_of(right), 1000)
    published.check_evaluation_time(rows_of({16: 15.0, 8: 20.0, 2: 50.0, 32: 99.0}), 1000)
    for n in right:
        for times in (0.99, 1.01):
            other = rows_of({**right, n: right[n] * times})
            failure = failing(published.check_evaluation_time, other, 1000)
            assert failure.what == "the published rows do not belong together"


def test_efficiencies_whose_bands_only_touch_are_out_of_order():
    """Whole: at least 1. Train: less than 1. Core: 0.5 to 1.5."""
    one = row(p_whole="1", p_train="1", p_core="1")
    two = row(p_whole="4", p_train="1", p_core="2")
    assert "scale" in failing(published.check_rows_scale, {1: one, 2: two}).what


def test_perfect_scaling_is_possible_and_more_is_not():
    one = row(p_whole="1", p_train="1", p_core="1")
    published.check_rows_scale({1: one, 2: row(p_whole="3", p_train="3", p_core="4")})
    failing(published.check_rows_scale, {1: one, 2: row(p_whole="3", p_train="3", p_core="5")})
    published.check_row_ceiling("row", row(p_core="8"), cards=2, flop=3.0, peak=12.0)
    failing(published.check_row_ceiling, "row", row(p_core="8.1"), cards=2, flop=3.0, peak=12.0)


# --- learning rates ---


def judge_rates(found, expected, **named) -> None:
    recipe.check_learning_rates(
        found, expected, **{"relative": 0.25, "epoch_iterations": 4, **named}
    )


def test_a_rate_may_be_off_by_its_tolerance_and_one_of_nothing_by_that_of_the_largest():
    judge_rates([5.0, 3.0], [4.0, 4.0])
    failing(judge_rates, [5.1, 4.0], [4.0, 4.0])
    failing(judge_rates, [4.0, 2.9], [4.0, 4.0])
    judge_rates([8.0, 2.0], [8.0, 0.0])
    failing(judge_rates, [8.0, 2.1], [8.0, 0.0])
    failing(judge_rates, [0.5, 0.3], [0.5, 0.0])
    judge_rates([0.0], [0.0])


@pytest.mark.parametrize(
    ("found", "start", "what"),
    [
        ([8.0] * 8, 0, "the learning rate is 2 times the recipe's"),
        ([8.0] * 7 + [8.1], 0, "the learning rates are another schedule's"),
        ([8.0] * 7 + [8.0 + 1e-9], 0, "the learning rate is 2 times the recipe's"),
        ([-8.0] * 8, 0, "the learning rate is -2 times the recipe's"),
        ([0.0] * 8, 0, "the learning rate is 0 times the recipe's"),
        ([1e-9] * 7 + [2e-9], 0, "the learning rates are another schedule's"),
        ([4.0] * 4 + [8.0] + [4.0] * 3, 0, "a drop of the learning rate is missing, misplaced or another"),
        ([4.0] * 3 + [8.0] + [4.0] * 4, 0, "the warm-up is missing or another"),
        ([8.0] + [4.0] * 3 + [8.0] + [4.0] * 3, 0, "the learning rates are another schedule's"),
        ([8.0] * 2 + [4.0] * 2 + [8.0] * 4, 0, "the learning rates are another schedule's"),
        ([8.0, 4.0, 4.0, 4.0], 4, "a drop of the learning rate is missing, misplaced or another"),
        ([8.0, 4.0, 4.0, 4.0], 3, "the warm-up is missing or another"),
    ],
)  # fmt: skip
def test_rates_that_are_others_are_named_by_where_they_are(found, start, what):
    failure = failing(judge_rates, found, [4.0] * (start + len(found)), start=start)
    assert failure.what == what


def test_a_network_that_is_trained_as_a_whole_changes_as_a_whole():
    before = {"a": "1", "b": "2"}
    recipe.check_changed(before, {"a": "3", "b": "4"}, ["a", "b"])
