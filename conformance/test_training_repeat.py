"""Training repeats itself: alone, resumed, shared by ranks, looked at; and it stops when it must."""

import numpy as np
import pytest

from plugins.checks.training_end import (
    check_devices,
    check_finished,
    check_same_software,
    check_stopped,
)
from plugins.checks.training_numerics import (
    check_equivalence,
    check_ranks_agree,
    check_same_losses,
    check_same_states,
    check_union,
)
from plugins.checks.training_state import check_growth, check_modes

pytestmark = pytest.mark.a100


@pytest.mark.clause("training.finite")
def test_the_loss_stays_finite(short_ending, exercised, lane):
    events = [rank.events for rank in short_ending.ranks]
    code = int(short_ending.status != "finished")
    check_finished(events, code=code, iterations=exercised.size(lane.device.kind).iterations)


@pytest.mark.clause("training.finished")
def test_every_rank_finishes(sharded_run, training):
    events = [rank.events for rank in sharded_run.ranks]
    check_finished(events, code=0, iterations=training.run.shards.iterations)


@pytest.mark.clause("training.device")
def test_every_rank_runs_on_the_device_that_is_claimed(sharded_run, lane):
    records = [rank.record for rank in sharded_run.ranks]
    check_devices([r["device"] for r in records], kind=lane.device.kind, name=lane.device.name)
    check_same_software([r["versions"] for r in records], [r["flags"] for r in records])


@pytest.mark.clause("training.repeat")
def test_the_same_seed_gives_the_same_bits(short_run, again_run):
    one, other = short_run.ranks[0], again_run.ranks[0]
    check_same_losses(other.arrays["loss"], one.arrays["loss"], what="a second run")
    check_same_states(other.record["state_hash"], one.record["state_hash"], what="a second run")


@pytest.mark.clause("training.resume")
def test_a_resumed_training_goes_on_as_if_nothing_had_happened(short_run, resumed_run, training):
    whole, rest = short_run.ranks[0], resumed_run.ranks[0]
    half = training.run.short.resume_at
    losses = rest.arrays["loss"], whole.arrays["loss"]
    check_same_losses(*losses, what="the resumed run", start=half)
    check_same_states(rest.record["state_hash"], whole.record["state_hash"], what="the resumed run")


@pytest.mark.clause("training.ranks")
def test_two_ranks_train_what_one_process_trains(shared_run, small_run, training, figure):
    gate, alone = training.gate.distributed, small_run.ranks[0].arrays
    check_union(alone["ids"][: max(gate.iterations)], [r.arrays["ids"] for r in shared_run.ranks])
    losses = np.array([rank.arrays["loss"] for rank in shared_run.ranks])
    figure("difference to one process", float(np.abs(losses.mean(0) / alone["loss"][:5] - 1).max()))
    check_equivalence(alone["loss"], losses, iterations=gate.iterations, allowed=gate.allowed)


@pytest.mark.clause("training.rank_states")
def test_ranks_hold_the_same_weights(sharded_run):
    states = {rank.number: rank.record["state_hash"] for rank in sharded_run.ranks}
    check_ranks_agree(states, what="parameters")
    buffers = {rank.number: rank.record["buffer_hash"] for rank in sharded_run.ranks}
    check_ranks_agree(buffers, what="buffers")


@pytest.mark.clause("training.nonfinite")
def test_one_image_that_is_not_a_number_stops_the_whole_job(poisoned_run):
    check_stopped(
        [rank.events for rank in poisoned_run.run.ranks],
        code=int(poisoned_run.run.status != "finished"),
        rank=poisoned_run.rank,
        iteration=poisoned_run.iteration,
        image=poisoned_run.image,
    )


@pytest.mark.clause("training.modes")
def test_an_evaluation_leaves_no_trace(looked_at_run, small_run, training):
    record, length = looked_at_run.ranks[0].record, training.run.modes.iterations
    check_modes(record["modes"], evaluations=1)
    wanted = small_run.ranks[0].arrays["loss"][:length]
    check_same_losses(looked_at_run.ranks[0].arrays["loss"], wanted, what="an evaluated run")


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("allocated", marks=pytest.mark.requires("cuda")),
        "process",
        "handles",
        "threads",
    ],
)
@pytest.mark.clause("training.growth")
def test_a_long_run_does_not_grow(accuracy_run, training, what, figure):
    series, gate = accuracy_run.ranks[0].record["memory"]["series"], training.gate.growth
    counted = what in ("handles", "threads")
    figure(f"{what} at the end", series[what][-1], "" if counted else "bytes")
    check_growth(
        series["iteration"],
        series[what],
        window=training.run.growth.window,
        granule=getattr(gate, what if counted else f"{what}_bytes"),
        what=what,
        unit="" if counted else "bytes",
    )
