"""Learning rates by hand, steps in float32, and every other recipe."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import training_recipe as recipe_checks
from plugins.checks.training_optimiser import Probe, check_optimiser
from plugins.contracts.training import load_training
from plugins.failure import Inconclusive
from tests.training_records import failing, sgd

TRAINING = load_training()
RECIPE, GATE = TRAINING.recipe, TRAINING.gate
RATES = np.array([1e-3, 5e-3])


def rates(iterations: int, epoch: int, *, lr: float = 0.08, **changes) -> np.ndarray:
    declared = {k: getattr(RECIPE, k) for k in ("warmup_iterations", "warmup_factor", "gamma")}
    declared = {**declared, "milestones": RECIPE.milestones, **changes}
    return recipe_checks.learning_rates(iterations, lr=lr, epoch_iterations=epoch, **declared)


# --- G3: the learning rate ---


def test_the_rates_of_the_sources_row_of_eight_cards():
    """916 iterations an epoch: warm-up over 915, a plateau to epoch 15, drops at 16 and 22."""
    found = rates(27 * 916, 916)
    assert found[:2] == pytest.approx([8.0e-5, 0.08 * (0.001 * 914 + 1) / 915], rel=1e-12)
    assert found[915] == found[916 * 16 - 1] == 0.08
    assert found[[916 * 16, 916 * 22 - 1]] == pytest.approx([0.008] * 2, rel=1e-12)
    assert found[[916 * 22, -1]] == pytest.approx([0.0008] * 2, rel=1e-12)


def test_one_card_warms_up_over_1000_iterations_of_its_first_epoch():
    found = rates(7329, 7329, lr=0.04)
    assert found[999] < 0.04 and found[1000] == 0.04


def test_short_epochs_swallow_the_warm_up():
    assert rates(4, 2) == pytest.approx([8e-5, 0.08, 0.08, 0.08], rel=1e-12)
    assert rates(2, 1)[0] == 0.08


SHORT = rates(60, 10, milestones=[3, 5])
TWICE = "the learning rate is 2 times the recipe's"
DROP = "a drop of the learning rate is missing, misplaced or another"


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (2 * SHORT, TWICE),
        (10 * SHORT, TWICE.replace("is 2", "is 10")),
        (0.5 * SHORT, TWICE.replace("is 2", "is 0.5")),
        (rates(60, 10, milestones=[3, 5], warmup_factor=1.0), "the warm-up is missing or another"),
        (rates(60, 10, milestones=[100]), DROP),
        (rates(60, 10, milestones=[3]), DROP),
        (rates(60, 10, milestones=[3, 4]), DROP),
        (np.full(60, 0.08), "the learning rates are another schedule's"),
        (rates(59, 10, milestones=[3, 5]), "the trace of learning rates has another length"),
        (np.full(60, np.nan), "the learning rates are another schedule's"),
        (SHORT * (1 + 1e-11 * (np.arange(60) == 30)), DROP),
    ],
)
def test_another_schedule_fails_by_name(found, what):
    failure = failing(
        recipe_checks.check_learning_rates, found, SHORT, relative=1e-12, epoch_iterations=10
    )
    assert failure.what == what


def test_a_resumed_run_continues_the_schedule():
    check, named = recipe_checks.check_learning_rates, {"relative": 1e-12, "epoch_iterations": 10}
    check(SHORT, SHORT, **named)
    check(SHORT[30:], SHORT, start=30, **named)
    failure = failing(check, SHORT[:30], SHORT, start=30, **named)
    assert "in iteration 30, " in failure.expected


# --- G2: the optimiser's algebra ---


def judge(probe: Probe, times: float = 1.0) -> None:
    check_optimiser(
        probe,
        rates=times * RATES,
        momentum=RECIPE.momentum,
        weight_decay=RECIPE.weight_decay,
        tolerance=GATE.optimiser,
    )


def test_a_right_step_in_float32_is_sgds():
    judge(sgd(RATES))


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ({"rate_times": 2.0}, "the learning rate in effect is 2 times the recipe's"),
        ({"rate_times": 0.5}, "the learning rate in effect is 0.5 times the recipe's"),
        ({"rate_times": 10.0}, "the learning rate in effect is 10 times the recipe's"),
        ({"rate_times": 0.0}, "the learning rate in effect is 0 times the recipe's"),
        ({"momentum": 0.0}, "the momentum in effect is -"),
        ({"decay": 0.0}, "the weight decay in effect is "),
        ({"decay": 1e-2}, "the weight decay in effect is 10"),
        ({"frozen": "head.bias"}, "a step is not SGD's"),
    ],
)
def test_another_optimiser_fails_by_name(fault, what):
    failure = failing(judge, sgd(RATES, **fault))
    assert failure.what.startswith(what.replace("-", ""))
    assert "spacings" in failure.needed or "error" in failure.needed


def test_a_fault_of_one_tensor_is_traced_to_it():
    failure = failing(judge, sgd(RATES, frozen="head.bias"))
    assert all(row.startswith("head.bias: ") for row in failure.worst)


def test_one_value_off_by_a_single_bit_too_many_fails():
    right = sgd(RATES)
    moved = right.parameters.copy()
    large = int(np.argmax(moved[2]))  # a small value's spacing is below the update's rounding
    moved[2, large] = np.nextafter(np.nextafter(moved[2, large], np.float32(9)), np.float32(9))
    failure = failing(judge, dataclasses.replace(right, parameters=moved))
    assert failure.actual.startswith("1 of 4000")


def test_a_decay_below_every_rounding_is_still_seen():
    """In the source's first steps lr x decay is 1e-8 of a value: all values together show it."""
    low = np.array([2e-5, 4e-5])
    named = {"rates": low, "momentum": 0.9, "weight_decay": 1e-4}
    blind = dataclasses.replace(GATE.optimiser, spacings=1.0)  # no value is off by as much
    check_optimiser(sgd(low), tolerance=blind, **named)
    failure = failing(check_optimiser, sgd(low, decay=0.0), tolerance=blind, **named)
    assert failure.what == "the weight decay in effect is 0.0232 times the recipe's"
    assert failure.actual == "0.02324 +- 0.049 in step 2"


@pytest.mark.parametrize(
    ("fault", "what", "recipe"),
    [
        ({"rate_times": 0.5}, "the learning rate", 0.9),
        ({"rate_times": 0.5}, "the learning rate", 0.0),
        ({"momentum": 0.5}, "the momentum", 0.9),
        ({"decay": 0.0}, "the weight decay", 0.9),
        ({"decay": 0.0}, "the weight decay", 0.0),
    ],
)
def test_each_effect_is_seen_without_any_single_value(fault, what, recipe):
    blind = dataclasses.replace(GATE.optimiser, spacings=1e12)
    named = {"rates": RATES, "momentum": recipe, "weight_decay": 1e-4, "tolerance": blind}
    check_optimiser(sgd(RATES, momentum=recipe), **named)
    failure = failing(check_optimiser, sgd(RATES, **{"momentum": recipe, **fault}), **named)
    assert failure.what.startswith(f"{what} in effect is ")


def test_sgd_without_momentum_is_judged_without_it():
    named = {"rates": RATES, "weight_decay": 1e-4, "tolerance": GATE.optimiser}
    check_optimiser(sgd(RATES, momentum=0.0), momentum=0.0, **named)
    failing(check_optimiser, sgd(RATES), momentum=0.0, **named)


@pytest.mark.parametrize(("rate", "gradients_of"), [(1e-12, 0.02), (10.0, 0.0)])
def test_steps_that_cannot_be_told_apart_prove_nothing(rate, gradients_of):
    """No value moves; without gradients the rate and the decay are one."""
    rates = np.array([rate, rate])
    probe = sgd(rates, gradients_of=gradients_of)
    with pytest.raises(Inconclusive, match="the learning rate is below rounding"):
        check_optimiser(
            probe, rates=rates, momentum=0.9, weight_decay=1e-4, tolerance=GATE.optimiser
        )


def test_steps_too_small_to_be_seen_prove_nothing():
    tiny = np.array([2e-6, 4e-6])
    with pytest.raises(Inconclusive, match="the weight decay is below rounding in the 2 probed"):
        check_optimiser(
            sgd(tiny), rates=tiny, momentum=0.9, weight_decay=1e-4, tolerance=GATE.optimiser
        )


@pytest.mark.parametrize("name", ["parameters", "gradients"])
def test_an_incomplete_or_infinite_probe_fails(name):
    right = sgd(RATES)
    for broken in (getattr(right, name)[:-1], getattr(right, name) * np.float32(np.inf)):
        with np.errstate(all="ignore"):
            failure = failing(judge, dataclasses.replace(right, **{name: broken}))
        assert failure.what == "the probe of the optimiser is not complete"


def test_a_probe_of_nothing_or_without_its_rates_is_not_complete():
    right = sgd(RATES)
    none = Probe(right.parameters[:1], right.gradients[:0], right.index)
    empty = Probe(right.parameters[:, :0], right.gradients[:, :0], [])
    named = {"momentum": 0.9, "weight_decay": 1e-4, "tolerance": GATE.optimiser}
    for probe, rates in ((right, RATES[:1]), (none, []), (empty, RATES)):
        failure = failing(check_optimiser, probe, rates=rates, **named)
        assert failure.what == "the probe of the optimiser is not complete"


NAMES = ["backbone.body.conv1.weight", "backbone.body.layer1.0.conv1.weight", "head.weight"]
PATTERNS = TRAINING.subject_of("retinanet_resnet50_fpn").frozen


def test_the_trainable_set_is_the_contracts():
    check = recipe_checks.check_trainable
    check(NAMES[2:], NAMES[:2], PATTERNS)
    leak = failing(check, NAMES[1:], NAMES[:1], PATTERNS)
    assert (leak.what, leak.worst) == ("frozen tensors are trainable", [NAMES[1]])
    failing(check, [], NAMES[:2], PATTERNS)
    stuck = failing(check, ["other"], NAMES, PATTERNS)
    assert (stuck.what, stuck.worst) == (
        "tensors are frozen that must be trained", [NAMES[2]]
    )  # fmt: skip


def test_exactly_the_trainable_tensors_change():
    check, before = recipe_checks.check_changed, dict.fromkeys(NAMES, "a")
    check(before, {**before, NAMES[2]: "b"}, NAMES[2:])
    leak = failing(check, before, dict.fromkeys(NAMES, "b"), NAMES[2:])
    assert leak.what == "frozen tensors change"
    assert failing(check, before, before, NAMES[2:]).worst == [NAMES[2]]
    failing(check, before, {NAMES[2]: "b"}, NAMES[2:])
    unseen = failing(check, before, {**before, NAMES[2]: "b"}, [NAMES[2], "another"])
    assert unseen.what == "not every parameter was looked at"


def test_a_network_of_another_size_is_another_network():
    subject = TRAINING.subject_of("retinanet_resnet50_fpn")
    declared = {"total": subject.parameters, "trainable_tensors": subject.trainable_tensors}
    recipe_checks.check_parameters(declared, **declared)
    failing(recipe_checks.check_parameters, {**declared, "trainable_tensors": 184}, **declared)
