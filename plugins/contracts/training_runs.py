"""The training lane's subjects and runs, a part of contracts/training.toml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Data:
    """The synthetic set: side relative to COCO's, images to train on and held out."""

    scale: float
    images: int
    held_out: int


@dataclass(frozen=True)
class Size:
    """A subject's short runs on one kind of device: batch a rank, rate of SGD, sides in px."""

    batch: int
    lr: float
    iterations: int
    min_size: int
    max_size: int


@dataclass(frozen=True)
class Subject:
    """A network that is trained; `frozen` are patterns of parameters that must not change."""

    id: str
    network: str
    classes: int
    trainable_layers: int
    frozen: list[str]
    parameters: int
    trainable_tensors: int
    data: Data
    cuda: Size
    cpu: Size
    first: Size

    def size(self, kind: str) -> Size:
        """Of a kind of device: cuda or cpu."""
        return getattr(self, kind)


@dataclass(frozen=True)
class Short:
    """The recipe in few iterations: milestones in its own short epochs."""

    images: int
    milestones: list[int]
    probe_steps: int
    hash_every: int
    resume_at: int


@dataclass(frozen=True)
class Fit:
    """A run that must learn something: optimiser, clip of the gradient's norm, warm-up."""

    optimiser: str
    lr: float
    weight_decay: float
    clip: float
    warmup: int
    images: int
    batch: int
    iterations: int


@dataclass(frozen=True)
class Distributed:
    """Ranks that share what one process does alone."""

    ranks: int
    iterations: int


@dataclass(frozen=True)
class Few:
    """A run of a few iterations."""

    iterations: int


@dataclass(frozen=True)
class Growth:
    """The last `window` iterations of the accuracy run, looked at `every` so many, must not grow."""

    window: int
    every: int


@dataclass(frozen=True)
class Modes:
    """A run with an evaluation in its middle."""

    iterations: int
    evaluate_at: int


@dataclass(frozen=True)
class Runs:
    """The runs of the lane."""

    short: Short
    overfit: Fit
    accuracy: Fit
    distributed: Distributed
    shards: Few
    precision: Few
    growth: Growth
    modes: Modes


@dataclass(frozen=True)
class Windows:
    """Iterations discarded, iterations between two synchronisations, windows."""

    warmup: int
    block: int
    blocks: int

    @property
    def iterations(self) -> int:
        """All of them."""
        return self.warmup + self.block * self.blocks


@dataclass(frozen=True)
class Timing:
    """How a run is timed on each kind of device, and the memory in MiB that an idle card may show."""

    cuda: Windows
    cpu: Windows
    idle_mib: float
    derivation: str
