"""The training recipe: what is trained, with which optimiser, at which rates, on which batches."""

import numpy as np
import pytest

from plugins.checks.training_batches import (
    aspect_groups,
    check_epochs,
    check_groups,
    check_shards,
    check_trace,
    trace,
)
from plugins.checks.training_numerics import check_closeness, check_first_steps, first_steps
from plugins.checks.training_optimiser import Probe, check_optimiser
from plugins.checks.training_recipe import (
    check_changed,
    check_learning_rates,
    check_parameters,
    check_trainable,
    learning_rates,
)
from plugins.checks.training_state import check_skipped, check_tf32, check_types

pytestmark = pytest.mark.a100


@pytest.mark.clause("training.network")
def test_the_network_is_the_declared_one(first_run, trained, figure):
    counts = first_run.ranks[0].record["parameters"]
    figure("parameters", counts["total"], expected=str(trained.parameters))
    check_parameters(counts, total=trained.parameters, trainable_tensors=trained.trainable_tensors)


@pytest.mark.clause("training.first_steps")
def test_losses_and_gradients_of_the_first_steps_are_the_recorded_ones(
    first_run, recorded_steps, training, figure
):
    rank, gate = first_run.ranks[0], training.gate.step_zero
    found = first_steps(rank.record, rank.arrays)
    figure("loss", float(found.losses[0].sum()))
    check_first_steps(found, recorded_steps, loss=gate.loss, gradient=gate.gradient)


@pytest.mark.clause("training.optimiser")
def test_each_step_is_the_recipes_sgd(first_run, trained, training):
    rank, recipe = first_run.ranks[0], training.recipe
    arrays = (rank.arrays["probe_parameters"], rank.arrays["probe_gradients"])
    check_optimiser(
        Probe(*arrays, rank.record["probe_index"]),
        rates=[trained.first.lr] * len(arrays[1]),
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        tolerance=training.gate.optimiser,
    )


@pytest.mark.clause("training.trainable")
def test_only_the_declared_tensors_are_frozen(first_run, trained):
    record = first_run.ranks[0].record
    check_trainable(record["trainable"], record["frozen"], trained.frozen)


@pytest.mark.clause("training.changed")
def test_exactly_the_trainable_tensors_change(first_run):
    record = first_run.ranks[0].record
    hashes = record["parameter_hash"]
    check_changed(hashes["0"], hashes[max(hashes)], record["trainable"])


@pytest.mark.clause("training.learning_rate")
def test_the_learning_rate_follows_the_recipe(short_run, exercised, lane, training):
    rank, recipe = short_run.ranks[0], training.recipe
    length = rank.record["epoch_iterations"]
    wanted = learning_rates(
        len(rank.arrays["lr"]),
        lr=exercised.size(lane.device.kind).lr,
        epoch_iterations=length,
        warmup_iterations=recipe.warmup_iterations,
        warmup_factor=recipe.warmup_factor,
        milestones=training.run.short.milestones,
        gamma=recipe.gamma,
    )
    allowed = training.gate.learning_rate.relative
    check_learning_rates(rank.arrays["lr"], wanted, relative=allowed, epoch_iterations=length)


@pytest.mark.deviceless("no device")
@pytest.mark.clause("training.schedule")
def test_a_whole_training_follows_the_schedule(rate_trace, training, figure):
    recipe, row, length = training.recipe, rate_trace["row"], rate_trace["length"]
    wanted = learning_rates(
        len(rate_trace["rates"]),
        lr=row.lr,
        epoch_iterations=length,
        warmup_iterations=recipe.warmup_iterations,
        warmup_factor=recipe.warmup_factor,
        milestones=recipe.milestones,
        gamma=recipe.gamma,
    )
    figure("iterations an epoch", length)
    allowed = training.gate.learning_rate.relative
    check_learning_rates(rate_trace["rates"], wanted, relative=allowed, epoch_iterations=length)


@pytest.mark.clause("training.batches")
def test_batches_are_the_recorded_ones(small_run, recorded_trace):
    rank = small_run.ranks[0]
    check_trace(trace(rank.record, rank.arrays), recorded_trace)


@pytest.mark.clause("training.groups")
def test_a_batch_is_of_one_aspect_ratio_group(sharded_run, small_shapes, training):
    groups = aspect_groups(*small_shapes[1:], factor=training.recipe.group_factor)
    group_of = dict(zip(small_shapes[0].tolist(), groups.tolist()))
    for rank in sharded_run.ranks:
        check_groups(trace(rank.record, rank.arrays), group_of)


@pytest.mark.clause("training.epochs")
def test_an_epoch_gives_each_image_once(sharded_run, small_shapes):
    for rank in sharded_run.ranks:
        found = trace(rank.record, rank.arrays)
        check_epochs(found, images=len(small_shapes[0]), world=sharded_run.world)


@pytest.mark.clause("training.shards")
def test_ranks_share_no_image(sharded_run, small_shapes):
    traces = [trace(rank.record, rank.arrays) for rank in sharded_run.ranks]
    check_shards(traces, images=len(small_shapes[0]))


@pytest.mark.clause("training.tf32")
def test_tf32_is_as_the_configuration_says(short_run, training):
    declared = training.precision_of("fp32")
    flags = short_run.ranks[0].record["flags"]
    check_tf32(flags, conv=declared.tf32_conv, matmul=declared.tf32_matmul)


@pytest.mark.clause("training.precision")
def test_a_precision_is_what_it_says(precise_run, precision, lane):
    found = precise_run.ranks[0].record["precision"]
    declared = vars(precision.types(lane.device.kind))
    check_types(found, declared, precision=precision.name)
    steps, skipped = found["scaler_steps"], found["scaler_skipped"]
    check_skipped(skipped, steps, share=precision.skipped, precision=precision.name)


@pytest.mark.clause("training.closeness")
def test_losses_are_close_to_fp32s_and_not_the_same(precise_run, short_run, precision, figure):
    found = precise_run.ranks[0].arrays["loss"]
    wanted = short_run.ranks[0].arrays["loss"][: len(found)]
    worst = float(np.abs(found / wanted - 1).max())
    figure("difference to fp32", worst, expected=f"<= {precision.loss:g}")
    figure("share of tolerance used", worst / precision.loss)
    check_closeness(found, wanted, closeness=precision.loss, precision=precision.name)


@pytest.mark.clause("training.gradients")
def test_gradients_are_close_to_fp32s_and_not_the_same(precise_run, short_run, precision, figure):
    norms = [run.ranks[0].arrays["gradient_norms"] for run in (precise_run, short_run)]
    worst = float(np.abs(norms[0] / norms[1] - 1).max())
    figure("difference to fp32", worst, expected=f"<= {precision.gradient:g}")
    allowed = precision.gradient
    check_closeness(*norms, closeness=allowed, precision=precision.name, what="gradient norms")
