"""The trainer's faults: which clause of the training lane is there for each, and what it says.

A fault is a function of one of MODULES that changes the trainer in the process where a rank is about
to run: its dataset, sampler, network, optimiser, loop, evaluation or clock. No check is touched.
Each row of CAUGHT: the fault, the place where it is looked for, the clause that must fail there, and
words of its first line. Each row of MISSED: the fault, a place, and why no clause of it fails.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable

GOOD = "good"
MODULES = tuple(
    f"tests.faults_of_{part}"
    for part in ("data", "learning", "schedule", "ranks", "evaluation", "measuring")
)


@dataclass(frozen=True)
class Place:
    """Where faults are looked for.

    clauses: judged, all of them, by one session; runs: patterns of the runs that are seeded; only: a
    part of the names of the tests; trained: the runs begin where the good twin's ended; lengths:
    iterations that suffice, by pattern of runs, where those of the contract are not needed (0: are).
    """

    clauses: tuple[str, ...]
    runs: tuple[str, ...]
    only: str = ""
    trained: bool = False
    lengths: Mapping[str, int] = field(default_factory=dict)


STEPS = ("network", "first_steps", "optimiser", "trainable", "changed")
SHARES = ("groups", "epochs", "shards", "rank_states", "finished", "device")
TIMES = ("counted", "order", "clocks", "accounted", "sum", "spread", "memory")
PRECISE = ("precision", "closeness", "gradients")
PLACES = {
    "first": Place(STEPS, ("*-first",)),
    "short": Place(
        ("learning_rate", "batches", "band", "tf32"), ("*-short",), lengths={"*-short": 0}
    ),
    "schedule": Place(("schedule",), ("schedule*",), "1x8"),
    "sharded": Place(SHARES, ("*-sharded",)),
    "shared": Place(("ranks",), ("*-1x2",), "1x2", lengths={"*-short": 5}),
    "again": Place(("repeat",), ("*-again",), lengths={"*-short": 20, "*-again": 20}),
    "resumed": Place(("resume",), ("*-resumed",), lengths={"*-short": 30, "*-resumed": 30}),
    "amp": Place(PRECISE, ("*-amp*",), "amp", lengths={"*-short": 5}),
    "fp16": Place(PRECISE, ("*-fp16*",), "fp16", lengths={"*-short": 5}),
    "poisoned": Place(("nonfinite",), ("*-poisoned",), lengths={"*-short": 5}),
    "looked_at": Place(("modes",), ("*-looked-at",), lengths={"*-short": 20}),
    "memorised": Place(("overfit", "overfit_map"), ("*-overfit",)),
    "found": Place(("overfit_map",), ("*-overfit",), trained=True),
    "held_out": Place(("map",), ("*-accuracy",), trained=True, lengths={"*-accuracy": 0}),
    "learning": Place(("map",), ("*-accuracy",), lengths={"*-accuracy": 0}),
    "growing": Place(("growth",), ("*-accuracy",), lengths={"*-accuracy": 130}),
    "timed": Place(TIMES, ("timed-*",), "1x1-fp32"),
    "simulated": Place(("timer",), ("simulated-device",)),
}

LOSS_0, LOSS_1 = "classification loss of step 0", "classification loss of step 1"
BODY_0, BODY_1 = "gradient norm of body of step 0", "gradient norm of body of step 1"
BELOW = "mAP on the training images is below its floor"
HELD_OUT = "mAP on held-out images is below its floor"
BITS = "losses are not bit-equal"
CAUGHT = [
    # the reference's measured matrix, row by row
    ("boxes_not_flipped", "first", "first_steps", LOSS_0),
    ("labels_minus_one", "first", "first_steps", LOSS_0),
    ("labels_of_odd_iterations", "first", "first_steps", LOSS_1),
    ("first_object_only", "first", "first_steps", LOSS_0),
    ("gradients_kept", "first", "first_steps", BODY_1),
    ("box_loss_dropped", "first", "first_steps", BODY_0),
    ("loss_halved", "first", "first_steps", BODY_0),
    ("lr_tenfold", "first", "optimiser", "learning rate in effect is 10 times"),
    ("lr_double", "first", "optimiser", "learning rate in effect is 2 times"),
    ("lr_half", "first", "optimiser", "learning rate in effect is 0.5 times"),
    ("no_warmup", "schedule", "schedule", "the warm-up is missing"),
    ("no_drop", "schedule", "schedule", "a drop of the learning rate is missing"),
    ("momentum_zero", "first", "optimiser", "the momentum in effect"),
    ("decay_zero", "first", "optimiser", "the weight decay in effect"),
    ("decay_hundredfold", "first", "optimiser", "the weight decay in effect is 100 times"),
    ("prior_zero", "first", "first_steps", LOSS_0),
    ("anchors_double", "first", "first_steps", LOSS_0),
    ("frozen_stem_trains", "first", "trainable", "frozen tensors are trainable"),
    ("backbone_frozen", "first", "trainable", "tensors are frozen that must be trained"),
    ("box_head_left_out", "first", "changed", "trainable tensors do not change"),
    ("not_shuffled", "short", "batches", "other images"),
    ("same_batch", "short", "batches", "other images"),
    ("batch_norm_in_eval", "first", "first_steps", LOSS_0),
    ("x_and_y_swapped", "first", "first_steps", LOSS_0),
    ("box_loss_tenfold", "first", "first_steps", BODY_0),
    ("lr_tenth", "first", "optimiser", "learning rate in effect is 0.1 times"),
    ("no_step", "first", "changed", "trainable tensors do not change"),
    # more of data
    ("image_not_flipped", "first", "first_steps", LOSS_0),
    ("nothing_flipped", "short", "batches", "other flips"),
    ("flips_said_not_done", "first", "first_steps", LOSS_0),
    ("labels_permuted", "short", "batches", "other targets"),
    ("boxes_of_another_image", "first", "first_steps", LOSS_0),
    ("crowd_trained", "first", "first_steps", LOSS_0),
    ("empty_images_trained", "sharded", "groups", "not of one aspect-ratio group"),
    ("rgb_as_bgr", "first", "first_steps", LOSS_0),
    ("image_not_scaled", "first", "first_steps", LOSS_0),
    ("image_of_another_size", "first", "first_steps", LOSS_0),
    ("epoch_not_set", "sharded", "epochs", "two epochs have the same order"),
    ("epoch_not_set", "short", "batches", "other images"),
    ("ungrouped", "sharded", "groups", "not of one aspect-ratio group"),
    ("images_twice", "sharded", "epochs", "an epoch repeats images"),
    ("last_batch_lost", "sharded", "epochs", "another length"),
    ("same_shard", "sharded", "shards", "ranks read the same images"),
    ("shuffled_by_rank", "sharded", "shards", "ranks read the same images"),
    # more of network, losses, optimiser and schedule
    ("batch_norm", "sharded", "rank_states", "different buffers"),
    ("heads_share_a_seed", "first", "first_steps", "box loss of step 0"),
    ("other_seed", "first", "first_steps", LOSS_0),
    ("resized_otherwise", "first", "first_steps", LOSS_0),
    ("not_normalised", "first", "first_steps", LOSS_0),
    ("loss_halved_and_said", "first", "first_steps", LOSS_0),
    ("lr_double_unsaid", "first", "optimiser", "learning rate in effect is 2 times"),
    ("nesterov", "first", "optimiser", "learning rate in effect is 1.9 times"),
    ("dampening", "first", "optimiser", "a step is not SGD's"),
    ("decay_not_of_norms", "first", "optimiser", "a step is not SGD's"),
    ("gradients_clipped", "first", "optimiser", "a step is not SGD's"),
    ("adam", "first", "optimiser", "a step is not SGD's"),
    ("no_drop", "short", "learning_rate", "a drop of the learning rate is missing"),
    ("no_warmup", "short", "learning_rate", "the warm-up is missing"),
    ("no_warmup", "short", "band", "leaves the band"),
    ("warmup_one_longer", "schedule", "schedule", "another schedule's"),
    ("drops_by_iteration", "schedule", "schedule", "another schedule's"),
    ("drop_an_epoch_late", "schedule", "schedule", "a drop of the learning rate is missing"),
    ("stepped_twice", "schedule", "schedule", "another schedule's"),
    ("rate_of_the_next_iteration", "short", "learning_rate", "another schedule's"),
    # ranks
    ("gradients_summed", "shared", "ranks", "do not compute what one process does"),
    ("no_gradient_sync", "shared", "ranks", "do not compute what one process does"),
    ("no_gradient_sync", "sharded", "rank_states", "different parameters"),
    ("sync_every_other_step", "shared", "ranks", "do not compute what one process does"),
    ("same_batches_on_ranks", "shared", "ranks", "do not share the one process's batch"),
    ("replay_without_flips", "shared", "ranks", "do not compute what one process does"),
    ("batch_norm", "shared", "ranks", "do not compute what one process does"),
    ("ranks_decay_unlike", "sharded", "rank_states", "different parameters"),
    # repeats and checkpoints
    ("noise", "again", "repeat", BITS),
    ("optimiser_lost", "resumed", "resume", BITS),
    ("momentum_lost", "resumed", "resume", BITS),
    ("position_lost", "resumed", "resume", BITS),
    ("epoch_lost", "resumed", "resume", BITS),
    ("schedule_lost", "resumed", "resume", BITS),
    ("checkpoint_in_half", "resumed", "resume", BITS),
    # precisions
    ("amp_in_fp32", "first", "first_steps", LOSS_0),
    ("tf32_ignored", "short", "tf32", "other TF32 flags"),
    ("amp_off", "amp", "precision", "amp is not what ran"),
    ("amp_off", "amp", "closeness", "amp is not in effect"),
    ("amp_is_half", "amp", "precision", "amp is not what ran"),
    ("half_is_full", "fp16", "precision", "fp16 is not what ran"),
    ("half_gradients_kept", "fp16", "closeness", "fp16 is too far from fp32"),
    ("every_step_skipped", "fp16", "precision", "fp16 skips steps"),
    # ends
    ("guard_removed", "poisoned", "nonfinite", "reported as a success"),
    ("loss_made_finite", "poisoned", "nonfinite", "reported as a success"),
    ("success_claimed", "poisoned", "nonfinite", "reported as a success"),
    ("culprit_unnamed", "poisoned", "nonfinite", "not traced to its image"),
    ("one_iteration_short", "sharded", "finished", "a failed run is reported as a success"),
    # clocks and counts
    ("timer_does_not_wait", "simulated", "timer", "the style log_outside is not caught"),
    ("border_does_not_wait", "simulated", "timer", "the device's clock is wrong"),
    ("marks_forget_the_queue", "simulated", "timer", "the style log_outside is not caught"),
    ("warmup_included", "timed", "counted", "the warm-up is in the figures"),
    ("images_of_the_set", "timed", "counted", "not counted from the tensors"),
    ("images_of_all_ranks", "timed", "counted", "not counted from the tensors"),
    ("backward_outside_the_core", "timed", "sum", "time is missing from the core"),
    ("step_outside_the_core", "timed", "sum", "time is missing from the core"),
    ("core_too_long", "timed", "sum", "time is counted twice"),
    ("windows_shortened", "timed", "clocks", "the device's clock runs ahead"),
    ("windows_too_long", "timed", "sum", "time is missing from the core"),
    ("evaluation_in_the_windows", "timed", "sum", "time is missing from the core"),
    ("data_untold", "timed", "sum", "time is missing from the core"),
    ("evaluation_untold", "timed", "accounted", "time that nothing accounts for"),
    ("memory_unmeasured", "timed", "memory", "contradict each other"),
    ("training_time_only", "timed", "order", "took longer than the whole run"),
    # evaluations
    ("stays_in_eval", "looked_at", "modes", "an evaluation changes the training"),
    ("draws_from_the_training", "looked_at", "modes", "an evaluation changes the training"),
    ("changes_a_weight", "looked_at", "modes", "an evaluation changes the training"),
    ("labels_minus_one", "memorised", "overfit_map", BELOW),
    ("category_shifted", "found", "overfit_map", BELOW),
    ("category_contiguous", "found", "overfit_map", BELOW),
    ("xyxy", "found", "overfit_map", BELOW),
    ("centres", "found", "overfit_map", BELOW),
    ("half_a_pixel", "found", "overfit_map", BELOW),
    ("scores_reversed", "found", "overfit_map", BELOW),
    ("scores_alike", "found", "overfit_map", BELOW),
    ("not_resized_back", "found", "overfit_map", BELOW),
    ("image_ids_by_place", "found", "overfit_map", "images that are not scored"),
    ("half_of_the_images", "found", "overfit_map", BELOW),
    ("found_twice", "found", "overfit_map", BELOW),
    ("category_shifted", "held_out", "map", HELD_OUT),
    ("not_resized_back", "held_out", "map", HELD_OUT),
    ("labels_minus_one", "learning", "map", HELD_OUT),
    # growth
    ("losses_kept_with_their_graph", "growing", "growth", "process grows"),
    ("images_kept", "growing", "growth", "process grows"),
    ("handles_leaked", "growing", "growth", "handles grows"),
    ("handle_leaked_at_times", "growing", "growth", "handles grows"),
    ("threads_leaked", "growing", "growth", "threads grows"),
]
# Nothing fails in these, and why. "harmless": what is trained or reported is what it must be. Not here:
# a mean of rates and a wrong rank's clock are no faults of a trainer; tests/test_training_figures.py.
MISSED = [
    ("ranks_draw_their_weights", "shared", "harmless: DDP gives each rank the weights of rank 0"),
    ("random_state_lost", "resumed", "harmless: the sampler draws from generators of its own"),
    (
        "exit_code_lost",
        "poisoned",
        "harmless: the driver believes what ranks say, not how they end",
    ),
    ("scores_in_percent", "found", "harmless: COCO's score uses nothing but the order"),
    (
        "timer_does_not_wait",
        "timed",
        "harmless on a CPU, which has no queue; a card is judged by sum",
    ),
    ("score_threshold_high", "held_out", "AP hardly counts what is found with scores below 0.5"),
    ("half_a_pixel", "held_out", "the floor of unseen images leaves room; see it in found"),
    ("not_shuffled", "learning", "learns as well; it is found in batches"),
    ("masters_in_half", "fp16", "three steps of the warm-up are too small to be lost in rounding"),
]
# What `make test` runs, one of nearly each clause; --run-slow runs all. The others take a run of 60
# iterations or more for each fault (short, memorised, growing) or for the good twin (found, timed).
QUICK = (
    "first",
    "schedule",
    "sharded",
    "shared",
    "resumed",
    "amp",
    "fp16",
    "poisoned",
    "looked_at",
)
QUICK_ROWS = (
    *("boxes_not_flipped", "gradients_kept", "box_loss_dropped", "lr_half", "no_drop"),
    *("momentum_zero", "decay_zero", "frozen_stem_trains", "box_head_left_out", "no_step"),
    *("same_shard", "ungrouped", "no_gradient_sync", "gradients_summed", "position_lost"),
    *("amp_off", "half_is_full", "success_claimed", "culprit_unnamed", "stays_in_eval"),
    *("timer_does_not_wait",),
)


def seed_of(name: str) -> Callable[[], None]:
    """The function that seeds a fault; the good twin's does nothing."""
    if name == GOOD:
        return lambda: None
    modules = map(importlib.import_module, MODULES)
    return next(vars(module)[name] for module in modules if name in vars(module))


def names() -> set[str]:
    """All faults that there are."""
    modules = map(importlib.import_module, MODULES)
    return {
        name
        for module in modules
        for name, one in vars(module).items()
        if callable(one)
        and one.__module__ == module.__name__
        and name[0] not in "_"
        and name[0].islower()
    }
