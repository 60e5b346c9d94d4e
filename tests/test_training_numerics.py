"""First steps, bits and ranks: right records pass, each fault of the matrix fails by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import training_numerics as numerics
from plugins.contracts.training import load_training
from tests.training_records import CURVE, failing

TRAINING = load_training()
GATE = TRAINING.gate
MODULES = ["body", "fpn", "cls", "box"]


# --- G1: the first steps ---

LOSSES = np.array([[1.17, 0.78], [1.16, 0.77]])
NORMS = np.array([[0.733, 0.676, 0.937, 6.999], [0.630, 0.620, 0.816, 6.097]])
GOLDEN = numerics.FirstSteps(LOSSES, NORMS, MODULES)


def first_steps(losses=1.0, norms=1.0, step: int = 0) -> numerics.FirstSteps:
    """The golden first steps with one step's losses and norms multiplied."""
    changed = LOSSES.copy(), NORMS.copy()
    changed[0][step] *= losses
    changed[1][step] *= norms
    return numerics.FirstSteps(*changed, MODULES)


def judge_first(found: numerics.FirstSteps) -> None:
    numerics.check_first_steps(
        found, GOLDEN, loss=GATE.step_zero.loss, gradient=GATE.step_zero.gradient
    )


def test_the_same_first_steps_pass_within_float32():
    judge_first(GOLDEN)
    judge_first(first_steps(1 + 9e-6, 1 - 9e-5))


# Ratios at iteration 0 of correct and faulty runs, as the fault matrix measured them.
MATRIX = {
    "image flipped, boxes not": ((1.0, 1.005), (1.11, 0.97, 0.93, 0.94)),
    "class ids shifted": (1.0, (0.99, 0.99, 1.00, 1.00)),
    "only the first object kept": ((0.98, 0.99), (1.43, 1.30, 1.10, 1.17)),
    "box loss dropped": ((1, 0), (0.14, 0.12, 1.00, 0.00)),
    "loss halved": (0.5, 0.5),
    "class prior bias 0": ((104.5, 1), (2.81, 11.73, 333, 1.00)),
    "anchors x2": ((1, 1.03), (1.13, 1.56, 1.16, 1.31)),
    "frozen stem trainable": (1, (1.05, 1, 1, 1)),
    "whole backbone frozen": (1, (0, 1, 1, 1)),
    "BatchNorm in eval mode": ((1, 1.01), (0.55, 2.44, 1.06, 1.19)),
    "x/y swapped in boxes": ((1, 1.01), (0.98, 0.82, 0.89, 0.88)),
    "box loss x10": ((1, 10), (9.91, 9.91, 1, 10)),
    "gradient not a number": (1, (np.nan, 1, 1, 1)),
}


@pytest.mark.parametrize("fault", MATRIX)
def test_the_first_step_kills(fault):
    failure = failing(judge_first, first_steps(*MATRIX[fault]))
    assert "of step 0 is another" in failure.what
    assert failure.needed.endswith("times as wide")


def test_a_gradient_that_was_not_cleared_shows_in_the_second_step():
    failure = failing(judge_first, first_steps(1, 1.9, step=1))
    assert failure.what == "the gradient norm of body of step 1 is another"
    assert "ratio 1.9" in failure.worst[0]


def test_other_modules_or_steps_cannot_be_compared():
    failing(judge_first, dataclasses.replace(GOLDEN, modules=MODULES[::-1]))
    failing(judge_first, numerics.FirstSteps(LOSSES[:1], NORMS[:1], MODULES))


def test_a_record_gives_its_first_steps():
    arrays = {
        "loss_classification": np.arange(9.0), "loss_box": -np.arange(9.0), "gradient_norms": NORMS
    }  # fmt: skip
    found = numerics.first_steps({"modules": MODULES}, arrays)
    assert found.losses.tolist() == [[0, 0], [1, -1]]


# --- G5, G6, G8: bits ---

STATES = {str(k): f"hash {k}" for k in range(10, 70, 10)}


def test_equal_losses_and_states_are_equal():
    numerics.check_same_losses(CURVE, CURVE, what="twice")
    numerics.check_same_losses(CURVE[30:], CURVE, what="resumed", start=30)
    numerics.check_same_states({"40": "hash 40"}, STATES, what="resumed")


@pytest.mark.parametrize(
    ("start", "first", "times"),
    [(0, 31, 1.007), (0, 59, 1.038), (30, 0, 1.04), (0, 5, 1 + 2.3e-16)],
)
def test_a_difference_of_any_bit_is_named_by_iteration_and_size(start, first, times):
    """Optimiser state lost, randomness lost, a race of a last bit."""
    found = CURVE[start:].copy()
    found[first:] *= times
    failure = failing(numerics.check_same_losses, found, CURVE, what="resumed", start=start)
    assert failure.what == "resumed: the losses are not bit-equal"
    assert failure.expected.endswith(f"in iteration {start + first}")


def test_losses_that_are_no_numbers_are_equal_to_nothing():
    lost = np.full(3, np.nan)
    failing(numerics.check_same_losses, lost, lost, what="twice")
    failing(numerics.check_same_losses, CURVE[:0], CURVE, what="twice")
    failing(numerics.check_same_losses, CURVE, CURVE[:50], what="twice")


def test_states_that_differ_or_are_missing_fail():
    failure = failing(numerics.check_same_states, {**STATES, "40": "x"}, STATES, what="twice")
    assert failure.actual == "1 of 6 differ, first after iteration 40"
    assert "no state" in failing(numerics.check_same_states, {}, STATES, what="twice").what


def test_ranks_agree_after_every_hash():
    numerics.check_ranks_agree({0: STATES, 1: dict(STATES)}, what="parameters")
    apart = {0: STATES, 1: {**STATES, "60": "x"}}
    failure = failing(numerics.check_ranks_agree, apart, what="buffers")
    assert failure.what == "the ranks have different buffers"
    assert failure.actual == "1 of 6 hashes differ, first after iteration 60"
    failing(numerics.check_ranks_agree, {0: {}, 1: {}}, what="parameters")
    failing(numerics.check_ranks_agree, {0: STATES, 1: {**STATES, "70": "x"}}, what="parameters")
    failing(numerics.check_ranks_agree, {0: STATES, 1: {}}, what="parameters")


# --- G7: ranks together are one process; relative differences as measured ---

IT = GATE.distributed.iterations


def together(one: float, two: float, five: float) -> np.ndarray:
    off = np.interp(np.arange(30) + 1, [1, 2, 5], [one, two, five])
    return CURVE[:30] * (1 + off) * np.array([[1.1], [0.9]])


def judge_ranks(ranks: np.ndarray) -> None:
    numerics.check_equivalence(CURVE, ranks, iterations=IT, allowed=GATE.distributed.allowed)


def test_two_ranks_that_compute_what_one_process_does_pass():
    judge_ranks(together(9e-8, 0, 2e-6))


@pytest.mark.parametrize(
    ("fault", "iteration"),
    [
        ((9e-8, 6e-4, 0.32), 2),  # gradients summed
        ((9e-4, 4e-3, 0.02), 1),  # the same shard
        ((9e-8, 1e-5, 0.01), 2),  # no synchronisation
        ((2e-3, 1e-3, 0.03), 1),  # BatchNorm
    ],
)
def test_ranks_that_do_not_fail_within_five_iterations(fault, iteration):
    failure = failing(judge_ranks, together(*fault))
    assert f"in iteration {iteration}, " in failure.expected


def test_too_few_ranks_or_losses_prove_nothing():
    failing(judge_ranks, together(0, 0, 0)[:, :4])
    failing(judge_ranks, CURVE[None, :30])


def test_the_ranks_share_one_batch():
    ids = np.arange(32).reshape(2, 16)
    numerics.check_union(ids, [ids[:, ::2], ids[:, 1::2]])
    failing(numerics.check_union, ids, [ids[:, ::2], ids[:, ::2]])
    failing(numerics.check_union, ids, [ids[:1, ::2], ids[:1, 1::2]])
