"""The optimiser and the learning rate of every iteration, by torch's own schedulers.

`multistep` is the source's: linear warm-up over the first epoch's first iterations (at most
`warmup_iterations`, at most the epoch less one), then x gamma after each milestone, in epochs.
`cosine` is what a short accuracy run needs: linear warm-up, then half a cosine down to nothing.
"""

from __future__ import annotations

import math

import torch
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR


def make(spec: dict, weights: list) -> torch.optim.Optimizer:
    """The optimiser of a plan; one group, every weight decayed alike, as the source does."""
    if spec["name"] == "sgd":
        return torch.optim.SGD(
            weights,
            lr=spec["lr"],
            momentum=spec["momentum"],
            weight_decay=spec["weight_decay"],
        )
    return torch.optim.AdamW(weights, lr=spec["lr"], weight_decay=spec["weight_decay"])


class Multistep:
    """Warm-up within epoch 0, milestones at the ends of epochs."""

    def __init__(self, optimiser, spec: dict, epoch_iterations: int) -> None:
        # Made first: a scheduler remembers the rate that it finds, and the warm-up lowers it.
        self.epochs = MultiStepLR(optimiser, spec["milestones"], spec["gamma"])
        length = min(spec["warmup_iterations"], epoch_iterations - 1)
        self.warmup = (
            LambdaLR(optimiser, _Ramp(spec["warmup_factor"], length)) if length > 0 else None
        )
        self.length, self.done = epoch_iterations, 0

    def step(self) -> None:
        """After each iteration."""
        self.done += 1
        if self.warmup is not None and self.done < self.length:
            self.warmup.step()
        if self.done % self.length == 0:
            self.epochs.step()


class _Ramp:
    """Factor of the base rate at iteration i of the warm-up."""

    def __init__(self, start: float, length: int) -> None:
        self.start, self.length = start, length

    def __call__(self, i: int) -> float:
        share = min(i / self.length, 1.0)
        return self.start * (1 - share) + share


class _Cosine:
    """Linear warm-up to 1 over `warmup` iterations, then half a cosine to 0 at `total`."""

    def __init__(self, warmup: int, total: int) -> None:
        self.warmup, self.total = warmup, total

    def __call__(self, i: int) -> float:
        if i < self.warmup:
            return (i + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (i - self.warmup) / (self.total - self.warmup)))


def schedule(plan: dict, optimiser, epoch_iterations: int, done: int = 0):
    """The scheduler of a plan, `done` iterations on: step() after each iteration."""
    spec = plan["schedule"]
    if spec["name"] == "multistep":
        rates = Multistep(optimiser, spec, epoch_iterations)
    else:
        rates = LambdaLR(optimiser, _Cosine(spec["warmup_iterations"], plan["iterations"]))
    for _ in range(done):  # by the same steps as the run that is resumed: the same bits
        rates.step()
    return rates


def trace(plan: dict, epoch_iterations: int, epochs: int) -> list[float]:
    """The rate of every iteration of a whole training, by stepping the schedulers alone."""
    optimiser = make(plan["optimiser"], [torch.zeros(1, requires_grad=True)])
    rates = schedule(plan, optimiser, epoch_iterations)
    found = []
    optimiser.step()  # the schedulers warn when they are stepped first
    for _ in range(epochs * epoch_iterations):
        found.append(optimiser.param_groups[0]["lr"])
        rates.step()
    return found
