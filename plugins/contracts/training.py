"""The training lane's contract, contracts/training.toml, as frozen dataclasses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from plugins.contracts import FOLDER
from plugins.contracts.tables import read
from plugins.contracts.training_gates import Gates
from plugins.contracts.training_runs import Runs, Subject, Timing
from plugins.contracts.training_soundness import problems
from plugins.failure import ContractError

PATH = FOLDER / "training.toml"


@dataclass(frozen=True)
class Recipe:
    """How the source trains; milestones and epochs in epochs."""

    batch: int
    momentum: float
    weight_decay: float
    warmup_iterations: int
    warmup_factor: float
    milestones: list[int]
    gamma: float
    epochs: int
    group_factor: int
    flip: float
    seed: int
    target_map: float
    images: int
    backbone_url: str
    backbone_hash: str


@dataclass(frozen=True)
class Row:
    """A published row, as text: its digits say how far it was cut. None: the source is silent.

    e2e_time in s, p_* in images/s of all cards, memory in GiB a card.
    """

    p_whole: str
    p_train: str
    p_core: str
    memory_used: str
    memory_total: str
    e2e_time: Optional[str] = None
    map: Optional[str] = None
    epochs: Optional[int] = None


@dataclass(frozen=True)
class Configuration:
    """One line of the source's table; `cards` a node."""

    name: str
    nodes: int
    cards: int
    lr: float
    doubt: str
    published: Row

    @property
    def world(self) -> int:
        """Ranks, one a card."""
        return self.nodes * self.cards


@dataclass(frozen=True)
class Published:
    """How the rows hang together: e2e less training, in evaluations, is at most so much."""

    initialisation_evaluations: float
    derivation: str


@dataclass(frozen=True)
class Types:
    """Dtypes of the network's parameters, of what it computes, of its gradients."""

    parameters: str
    compute: str
    gradients: str


@dataclass(frozen=True)
class Precision:
    """What a precision must be; `loss` and `gradient` relative to fp32, `skipped` a share of steps."""

    name: str
    tf32_conv: bool
    tf32_matmul: bool
    cuda: Types
    cpu: Types
    loss: float
    gradient: float
    skipped: float
    derivation: str

    def types(self, kind: str) -> Types:
        """Of a kind of device: cuda or cpu."""
        return getattr(self, kind)


@dataclass(frozen=True)
class Machine:
    """Peak FLOP/s of a class of cards, dense; `name` stands in the device's name."""

    name: str
    fp32: float
    tf32: float
    fp16: float
    source: str

    def peak(self, precision: str, *, tf32: bool) -> float:
        """FLOP/s that a precision can reach; convolutions are nearly all of the work."""
        if precision != "fp32":
            return self.fp16
        return self.tf32 if tf32 else self.fp32


@dataclass(frozen=True)
class Flops:
    """FLOP of a training step per image, padded to so many px."""

    height: int
    width: int
    flop: float


@dataclass(frozen=True)
class Training:
    """Everything that must hold for the training lane."""

    source: str
    recipe: Recipe
    configuration: list[Configuration]
    published: Published
    precision: list[Precision]
    machine: list[Machine]
    flops: list[Flops]
    subject: list[Subject]
    run: Runs
    timing: Timing
    gate: Gates

    def configured(self, name: str) -> Configuration:
        """A configuration by name: 1x1, 1x8, 2x8."""
        return next(c for c in self.configuration if c.name == name)

    def subject_of(self, id: str) -> Subject:
        """A subject by id."""
        return next(s for s in self.subject if s.id == id)

    def precision_of(self, name: str) -> Precision:
        """A precision by name: fp32, amp, fp16."""
        return next(p for p in self.precision if p.name == name)

    def machine_of(self, device: str) -> Optional[Machine]:
        """The class of a card by its full name; None for a card without declared peaks."""
        named = (m for m in self.machine if re.search(rf"\b{re.escape(m.name)}\b", device))
        return next(named, None)


def load_training(path=PATH) -> Training:
    """contracts/training.toml; ContractError names the file, the key and what is wrong."""
    contract = read(path, Training)
    for key, what in problems(contract):
        raise ContractError(path, key, what)
    return contract
