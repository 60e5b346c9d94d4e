"""The trainer's faults, and the places of the training lane where they are looked for.

A fault is a function of one of MODULES that changes the trainer in the process where a rank is about
to run: its dataset, sampler, network, optimiser, loop, evaluation or clock. No check is touched.
Which clause is there for which fault: tests/bite/trainer_rows.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable

GOOD = "good"
MODULES = tuple(
    f"tests.faults_of_{part}"
    for part in ("data", "learning", "schedule", "ranks", "evaluation", "measuring", "driving")
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
    "schedule": Place(("schedule",), ("rehearsal",), "1x8"),
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
    "growing": Place(("growth",), ("*-accuracy",), lengths={"*-accuracy": 230}),
    "timed": Place(TIMES, ("timed-*",), "1x1-fp32"),
    "simulated": Place(("timer",), ("rehearsal",)),
}


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
