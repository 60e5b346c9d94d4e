"""What the training lane's invariants allow, a part of contracts/training.toml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepZero:
    """G1, relative."""

    loss: float
    gradient: float
    derivation: str


@dataclass(frozen=True)
class Algebra:
    """G2; see checks/training_optimiser.py for the formula."""

    spacings: float
    roundings: float
    effect_sigmas: float
    effect_error: float
    derivation: str


@dataclass(frozen=True)
class LearningRate:
    """G3, relative."""

    relative: float
    derivation: str


@dataclass(frozen=True)
class Repeat:
    """G5, G6, G8, G16: relative, and nothing."""

    losses: float
    derivation: str


@dataclass(frozen=True)
class Equivalence:
    """G7: relative differences allowed at iterations, counted from 1."""

    iterations: list[int]
    allowed: list[float]
    derivation: str


@dataclass(frozen=True)
class Overfit:
    """G9: mean of so many last losses over the first, and mAP as a share."""

    ratio: float
    last: int
    map: float
    derivation: str


@dataclass(frozen=True)
class Floor:
    """G10: mAP@[.5:.95] as a share."""

    map: float
    derivation: str


@dataclass(frozen=True)
class Band:
    """G11: means over `width` iterations that end at `at`, in standard deviations of the seeds."""

    at: list[int]
    width: int
    sigmas: float
    seeds: int
    derivation: str


@dataclass(frozen=True)
class Granules:
    """G14: growth over the window, in bytes and pieces."""

    allocated_bytes: int
    process_bytes: int
    handles: int
    threads: int
    derivation: str


@dataclass(frozen=True)
class Closure:
    """G15, relative; see checks/training_figures.py."""

    clocks: float
    sum: float
    harness: float
    efficiency: float
    spread: float
    derivation: str


@dataclass(frozen=True)
class Baseline:
    """Throughput may fall by this share below what is recorded of the same class of machines."""

    drop: float
    derivation: str


@dataclass(frozen=True)
class Gates:
    """What each invariant allows."""

    step_zero: StepZero
    optimiser: Algebra
    learning_rate: LearningRate
    repeat: Repeat
    distributed: Equivalence
    overfit: Overfit
    accuracy: Floor
    band: Band
    growth: Granules
    closure: Closure
    baseline: Baseline
