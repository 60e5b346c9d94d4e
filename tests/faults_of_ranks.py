"""Faults between processes: ranks, checkpoints, precisions, and how a run ends."""

from __future__ import annotations

import contextlib
import os

import checkpoint
import diary
import loop
import network as networks
import numpy as np
import precision
import sampling
import torch
import train
from loop import Loop
from torch import distributed

# --- ranks


def gradients_summed():
    wrap = Loop._distributed

    def total(state, bucket):
        done = distributed.all_reduce(bucket.buffer(), async_op=True).get_future()
        return done.then(lambda future: future.value()[0])

    def fault(self):
        model = wrap(self)
        if self.world > 1:
            model.register_comm_hook(None, total)
        return model

    Loop._distributed = fault


def no_gradient_sync():
    Loop._distributed = lambda self: self.network


def sync_every_other_step():
    step = Loop._step

    def fault(self, images, targets):
        lone = self.world > 1 and self.done % 2
        with self.model.no_sync() if lone else contextlib.nullcontext():
            step(self, images, targets)

    Loop._step = fault


def same_batches_on_ranks():
    """Each rank replays what is the first rank's."""
    batches = Loop._batches

    def fault(self):
        rank, self.rank = self.rank, 0
        try:
            return batches(self)
        finally:
            self.rank = rank

    Loop._batches = fault


def replay_without_flips():
    make = sampling.Replay.__init__

    def init(self, *args):
        make(self, *args)
        self.batches = [[p._replace(flip=False) for p in batch] for batch in self.batches]

    sampling.Replay.__init__ = init


def ranks_draw_their_weights():
    """Other initial weights on each rank: DDP copies those of rank 0 before the first step."""
    build = networks.build
    networks.build = lambda spec, seed: build(spec, seed + int(os.environ["RANK"]))


def ranks_decay_unlike():
    run = Loop.run

    def fault(self):
        for group in self.optimiser.param_groups:
            group["weight_decay"] *= 1 + self.rank
        run(self)

    Loop.run = fault


# --- repeats and checkpoints


def noise():
    """What no seed decides: uninitialised memory, a race."""
    moved = Loop._moved

    def fault(self, images, targets):
        images, targets = moved(self, images, targets)
        seed = int.from_bytes(os.urandom(4), "little")
        images[0][0, 0, 0] += np.random.RandomState(seed).random_sample() * 1e-3
        return images, targets

    Loop._moved = fault


def optimiser_lost():
    Loop._restore_optimiser = lambda self: None


def momentum_lost():
    restore = Loop._restore_optimiser

    def fault(self):
        restore(self)
        for state in self.optimiser.state.values():
            state["momentum_buffer"].zero_()

    Loop._restore_optimiser = fault


def position_lost():
    """The resumed run begins its epoch again."""
    iterate = sampling.Batches.iterate
    sampling.Batches.iterate = lambda self, start=0: iterate(self, 0)


def epoch_lost():
    sampling.Batches.set_epoch = lambda self, epoch: setattr(self, "epoch", max(epoch - 3, 0))


def schedule_lost():
    schedule = loop.optimisers.schedule
    loop.optimisers.schedule = lambda plan, optimiser, length, done: schedule(
        plan, optimiser, length, 0
    )


def random_state_lost():
    """Training draws nothing from torch's generator: the sampler has its own."""
    resume = Loop._resume

    def fault(self, path):
        resume(self, path)
        torch.manual_seed(1)

    Loop._resume = fault


def checkpoint_in_half():
    load = checkpoint.load

    def fault(path):
        state = load(path)
        state["network"] = {k: v.half().float() for k, v in state["network"].items()}
        return state

    checkpoint.load = fault


# --- precisions


def amp_off():
    precision.Mixed.context = lambda self: contextlib.nullcontext()


def amp_in_fp32():
    """Autocast that nobody asked for."""
    precision.Full.context = lambda self: torch.autocast("cpu", dtype=torch.bfloat16)


def amp_is_half():
    precision.KINDS["amp"] = precision.Half


def half_is_full():
    precision.KINDS["fp16"] = precision.Full


def masters_in_half():
    """Steps are taken on the half-precision weights, whose rounding swallows small ones."""
    step = precision.Half.step

    def fault(self, optimiser):
        step(self, optimiser)
        with torch.no_grad():
            for master in self.masters:
                master.copy_(master.half())

    precision.Half.step = fault


def half_gradients_kept():
    precision.Half.clear = lambda self, optimiser: optimiser.zero_grad()


def every_step_skipped():
    backward = precision.Half.backward

    def fault(self, loss, optimiser):
        backward(self, loss * float("inf"), optimiser)

    precision.Half.backward = fault


def tf32_ignored():
    switch = precision.switch

    def fault(plan):
        switch(plan)
        torch.backends.cudnn.allow_tf32 = False

    precision.switch = fault


# --- ends


def guard_removed():
    Loop._check_finite = lambda self: None


def loss_made_finite():
    backward = precision.Full.backward

    def fault(self, loss, optimiser):
        backward(self, loss, optimiser)
        for parameter in self.weights():
            parameter.grad.nan_to_num_()

    precision.Full.backward = fault
    Loop._check_finite = lambda self: None


def culprit_unnamed():
    """The whole batch is blamed."""
    Loop._culprits = lambda self, index: self.trace["ids"][index]


def exit_code_lost():
    """A rank whose loss is not finite ends with 0, as behind a pipe into tee."""
    main = train.main
    train.main = lambda path: main(path) and 0


def success_claimed():
    """And it says FINISHED, too."""
    tell = diary.Diary.tell
    exit_code_lost()

    def fault(self, event, iteration=0, **more):
        tell(self, "FINISHED" if event == "NONFINITE" else event, iteration)

    diary.Diary.tell = fault


def one_iteration_short():
    make = Loop.__init__

    def init(self, plan, *args):
        make(self, {**plan, "iterations": plan["iterations"] - 1}, *args)

    Loop.__init__ = init
