"""Faults of the learning rate's schedule."""

from __future__ import annotations

import types

import optimiser as optimisers
from loop import Loop


def _spec(**values):
    """The schedule's part of the plan, changed where it is read."""
    make = optimisers.Multistep.__init__

    def init(self, optimiser, spec, length):
        make(self, optimiser, {**spec, **values}, length)

    optimisers.Multistep.__init__ = init


def no_warmup():
    _spec(warmup_iterations=0)


def warmup_one_longer():
    """Over the whole first epoch, not over one iteration less."""
    make = optimisers._Ramp.__init__
    optimisers._Ramp.__init__ = lambda self, start, length: make(self, start, length + 1)


def no_drop():
    _spec(milestones=[])


def drops_by_iteration():
    def step(self):
        self.done += 1
        if self.warmup is not None and self.done < self.length:
            self.warmup.step()
        self.epochs.step()

    optimisers.Multistep.step = step


def drop_an_epoch_late():
    make = optimisers.MultiStepLR
    optimisers.MultiStepLR = lambda optimiser, milestones, gamma: make(
        optimiser, [m + 1 for m in milestones], gamma
    )


def stepped_twice():
    step = optimisers.Multistep.step
    optimisers.Multistep.step = lambda self: (step(self), step(self))


def rate_of_the_next_iteration():
    """The scheduler is stepped before the optimiser."""
    step = Loop._step

    def fault(self, images, targets):
        rates = self.rates
        rates.step()
        self.rates = types.SimpleNamespace(step=lambda: None)
        step(self, images, targets)
        self.rates = rates

    Loop._step = fault
