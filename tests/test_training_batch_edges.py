"""Batches and optimiser at their edges: the first and last epoch, one image, one value, equality."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import training_batches as batches
from plugins.checks import training_optimiser as optimiser
from plugins.failure import Inconclusive
from tests.training_records import failing, sgd

# --- batches ---


def trace(*epochs: tuple, rank: int = 0, first: int = 0) -> batches.Trace:
    """Epochs of batches of image ids; odd and even batches are a group each."""
    rows = [(first + number, row) for number, epoch in enumerate(epochs) for row in epoch]
    ids = np.array([row for _, row in rows])
    where = np.array([number for number, _ in rows])
    return batches.Trace(rank, ids, ids > 99, ids[:, 0] % 2, where, ["t"] * len(rows))


A, B, C, D = (1, 3), (2, 4), (5, 7), (6, 8)


def judge(found: batches.Trace, **named) -> None:
    batches.check_epochs(found, **{"images": 8, "world": 1, **named})


def test_a_record_gives_its_trace():
    right = trace((A, B), (B, A), rank=3)
    arrays = {name: getattr(right, name).tolist() for name in ("ids", "flips", "groups", "epochs")}
    found = batches.trace({"rank": 3, "targets": ("t",) * 4}, arrays)
    batches.check_trace(found, right)
    assert found.rank == 3 and found.targets == right.targets
    assert all(isinstance(getattr(found, name), np.ndarray) for name in arrays)


@pytest.mark.parametrize("column", [0, 1])
def test_one_other_image_in_a_batch_is_another_batch(column):
    right = trace((A, B, C, D))
    ids = right.ids.copy()
    ids[2, column] = 9
    failure = failing(batches.check_trace, dataclasses.replace(right, ids=ids), right)
    assert failure.what == "batches have other images"
    assert failure.expected == "[5, 7] in iteration 2 of rank 0"
    assert failure.actual == f"{ids[2].tolist()}; 1 of 4 iterations differ"


def test_of_a_large_batch_the_first_six_images_are_shown():
    right = trace((range(1, 17),))
    other = dataclasses.replace(right, ids=right.ids + 10**15)
    failure = failing(batches.check_trace, other, right)
    assert failure.expected.startswith("[1, 2, 3, 4, 5, 6] in iteration 0")
    assert len(failure.actual.split(";")[0]) == 80


def test_an_image_that_is_not_in_the_set_is_of_no_group():
    groups = {1: 1, 2: 0, 4: 0}
    failure = failing(batches.check_groups, trace((A, B)), groups)
    assert failure.actual.startswith("groups [-1, 1] (-1: ")


@pytest.mark.parametrize(
    ("second", "same"),
    [((A, B, D, C), True), ((A, B, C, D), True), ((A, C, B, D), False), ((D, C, B, A), False)],
)
def test_two_epochs_have_the_same_order_when_their_first_halves_do(second, same):
    found = trace((A, B, C, D), second)
    if same:
        assert failing(judge, found).what == "two epochs have the same order"
    else:
        judge(found)


def test_a_last_epoch_that_has_only_begun_is_judged_too():
    assert "same order" in failing(judge, trace((A, B, C, D), (A, B))).what
    judge(trace((A, B, C, D), (A, C)))
    assert "same order" in failing(judge, trace((A, C), (A,)), images=4).what


def test_epochs_of_one_batch_may_differ_in_it():
    judge(trace((A,), (B,), (C,)), images=2)
    assert "same order" in failing(judge, trace((A,), (B,), (A,)), images=2).what


def test_of_a_resumed_run_the_epoch_that_had_begun_is_not_judged_and_the_next_is():
    repeated = ((1, 1), C, D)  # would be filled before others are complete
    judge(trace(repeated, (A, B, C, D)), start=1)
    failure = failing(judge, trace(repeated, (A, B, B, D), (D, C, B, A)), start=1)
    assert failure.what == "an epoch repeats images"


def test_a_set_that_fills_no_batch_has_no_epochs():
    failure = failing(judge, trace((A,), (B,)), images=1)
    assert failure.what == "the epochs have another length"


def test_a_set_that_three_ranks_cannot_share_is_padded():
    ranks = [trace(((1, 2, 3),)), trace(((4, 5, 6),)), trace(((7, 1, 2),))]
    batches.check_shards(ranks, images=7)
    failing(batches.check_shards, ranks, images=8)


def test_each_whole_epoch_of_a_rank_has_another_share():
    apart = [trace(((1, 2),), ((3, 4),), ((1, 3),), ((2, 4),)), trace(*[((9, 8),)] * 4)]
    other = trace(((5, 6),), ((7, 8),), ((5, 7),), ((6, 8),), rank=1)
    batches.check_shards([apart[0], other], images=8)
    same = trace(((5, 6),), ((7, 8),), ((5, 7),), ((6, 5),), rank=1)
    assert "same shard" in failing(batches.check_shards, [apart[0], same], images=8).what


def test_a_run_that_was_resumed_late_has_no_earlier_shares():
    ranks = [trace(((1, 2),), ((3, 4),), first=3), trace(((3, 4),), ((1, 2),), first=3)]
    batches.check_shards(ranks, images=4)


# --- the optimiser ---


TOLERANCE = SimpleNamespace(spacings=2.0, roundings=1.0, effect_error=0.5, effect_sigmas=3.0)
RATES = np.array([0.02, 0.02])


def step(found, expected, *, spacing=1.0, slack=0.0, directions=None) -> optimiser._Step:
    found = np.asarray(found, float)
    same = np.ones(len(found))
    directions = np.zeros((3, len(found))) if directions is None else np.asarray(directions, float)
    return optimiser._Step(
        np.asarray(expected, float), found, spacing * same, slack * same, directions
    )


def judge_values(some: optimiser._Step) -> None:
    probe = optimiser.Probe(np.zeros(0), np.zeros(0), [("a", 0, 2, 9, 9), ("b", 2, 5, 9, 9)])
    optimiser._check_values(probe, 1, some, np.tile([0.0, np.inf], (3, 1)), TOLERANCE)


def test_a_sample_is_of_the_tensor_whose_range_it_is_in():
    probe = optimiser.Probe(np.zeros(0), np.zeros(0), [("a", 0, 2, 9, 9), ("b", 2, 5, 9, 9)])
    assert [probe.name(i) for i in range(5)] == ["a", "a", "b", "b", "b"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_may_be_off_by_some_spacings_beside_the_slack(sign):
    judge_values(step([sign * 2.0, 0, 0], [0, 0, 0]))
    judge_values(step([sign * 2.5, 0, 0], [0, 0, 0], slack=0.5))
    judge_values(step([sign * 1.0, 0, 0], [0, 0, 0], spacing=0.5))
    failing(judge_values, step([sign * 2.6, 0, 0], [0, 0, 0], slack=0.5))
    failing(judge_values, step([sign * 1.1, 0, 0], [0, 0, 0], spacing=0.5))


def test_the_value_that_is_off_the_most_is_shown_first():
    failure = failing(judge_values, step([3, -9, 5, 0], [0, 0, 0, 0]))
    assert [row.split(":")[0] for row in failure.worst] == ["a", "b", "a"]
    assert failure.worst[0] == "a: -9 for 0, 9 spacings"
    assert failure.needed == "9 spacings"


@pytest.mark.parametrize(
    ("excess", "error", "off"),
    [
        (0.5, 0.0, False),
        (0.51, 0.0, True),
        (-0.51, 0.0, True),
        (0.6, 0.2, False),
        (0.61, 0.2, True),
    ],
)
def test_an_effect_is_off_beyond_its_tolerance_and_its_own_uncertainty(excess, error, off):
    assert optimiser._is_off(excess, error, TOLERANCE) is off


def test_an_effect_must_be_known_to_its_tolerance():
    fits = [np.array([[0.0, 9.0]] * 3), np.array([[0.0, 0.5]] * 3)]
    optimiser._check_effect(0, fits, TOLERANCE)
    fits[1][:, 1] = 0.51
    with pytest.raises(Inconclusive, match="standard error is 0.51"):
        optimiser._check_effect(0, fits, TOLERANCE)


def test_the_uncertainty_of_effects_that_resemble_each_other_is_that_of_least_squares():
    random = np.random.RandomState(1)
    directions = 100 + random.standard_normal((3, 50))
    directions[1] += 0.5 * directions[0]
    truth = np.array([0.3, -0.2, 0.1])
    found = truth @ directions
    fit = optimiser._fit(step(found, np.zeros(50), slack=0.5, directions=directions))
    design = directions.T / np.sqrt(1 / 12 + 0.25 / 3)
    assert fit[:, 0] == pytest.approx(truth)
    assert fit[:, 1] == pytest.approx(np.sqrt(np.diag(np.linalg.inv(design.T @ design))))


def test_an_update_of_four_spacings_is_told_from_its_rounding():
    directions = np.array([[4.0, -4.0, 8.0], [0, 0, 0], [0, 0, 0]])
    fit = optimiser._fit(step([0, 0, 0], [0, 0, 0], directions=directions))
    assert fit[0, 1] == pytest.approx(1 / np.sqrt(12 * 96))
    assert np.isinf(fit[1:, 1]).all()
    below = optimiser._fit(step([0, 0], [0, 0], directions=0.9 * directions[:, :2]))
    assert np.isinf(below[:, 1]).all()


def test_an_effect_that_one_value_does_not_have_is_told_by_the_others():
    directions = np.array([[9.0, -9.0, 8.0, 7.0], [1.0, 0.0, 2.0, 5.0], [0.0, 3.0, 1.0, 1.0]])
    fit = optimiser._fit(step(np.zeros(4), np.zeros(4), directions=directions))
    assert np.isfinite(fit[:, 1]).all()


@pytest.mark.parametrize("name", ["parameters", "gradients"])
def test_one_number_of_a_probe_that_is_not_finite_is_enough(name):
    right = sgd(RATES)
    broken = getattr(right, name).copy()
    broken[1, 7] = np.nan
    failure = failing(
        optimiser.check_optimiser,
        dataclasses.replace(right, **{name: broken}),
        **{"rates": RATES, "momentum": 0.9, "weight_decay": 1e-4, "tolerance": TOLERANCE},
    )
    assert failure.what == "the probe of the optimiser is not complete"
