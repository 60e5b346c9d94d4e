"""Contracts: TOML written by people, read into frozen dataclasses, refused when anything is off."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from plugins.contracts.decisions import Accuracy, Comparison
from plugins.contracts.soundness import problems
from plugins.contracts.tables import read
from plugins.failure import ContractError

FOLDER = Path(__file__).resolve().parents[2] / "conformance" / "contracts"


@dataclass(frozen=True)
class Architecture:
    """The network, in detectron2's terms; `sizes` are the anchor sizes in px, a level each."""

    stem: int
    blocks: list[int]
    widths: list[int]
    outputs: list[int]
    fpn: int
    head_convs: int
    classes: int
    sizes: list[float]
    ratios: list[float]
    scales: list[float]


@dataclass(frozen=True)
class InputSize:
    """One square input: its side and the resizing rule that leads to it, in px."""

    side: int
    shortest: int
    longest: int


@dataclass(frozen=True)
class Input:
    """The model's input; `sizes` lists the sides that cases may use, the first is the shipped one."""

    dtype: str
    mean: list[float]
    sizes: list[InputSize]

    def shape(self, side: int) -> list[int]:
        """[1, 3, side, side]."""
        return [1, 3, side, side]

    def preprocess(self, side: int) -> dict:
        """Arguments of the pre-processing for one of the declared sides."""
        size = next(s for s in self.sizes if s.side == side)
        return {"shortest": size.shortest, "longest": size.longest, "size": side, "mean": self.mean}


@dataclass(frozen=True)
class Output:
    """One output: its place is its index in the list; `axes` names each dimension.

    `dtype` is what the file must return; `device_dtypes` what a compiled module may return instead.
    """

    name: str
    dtype: str
    axes: list[str]
    shape: list[int]
    device_dtypes: list[str]
    optional: bool = False


@dataclass(frozen=True)
class Recipe:
    """The post-processing that the exported graph contains."""

    topk_per_class: int
    score_threshold: float
    iou_threshold: float
    max_size_per_class: int
    max_total_size: int


@dataclass(frozen=True)
class Stock:
    """What detectron2 itself does with the same head outputs."""

    topk_per_level: int
    score_threshold: float
    iou_threshold: float
    max_total_size: int


@dataclass(frozen=True)
class Weights:
    """Where the weights come from when --weights does not say."""

    kind: str
    path: str
    seed: int = 0


@dataclass(frozen=True)
class Training:
    """How a checkpoint of ours is made: training images, steps, images per step, rate, seed."""

    images: int
    iterations: int
    batch: int
    rate: float
    seed: int


@dataclass(frozen=True)
class Case:
    """One image that a subject is judged on.

    `kind` is photograph (a file of the repository), scene (an index into the synthetic set) or
    hostile (the name of a generated file). With the declared weights a lively case must show at
    least so many distinct `detections` of so many `classes`.
    """

    name: str
    image: str
    side: int
    kind: str
    detections: int = 0
    classes: int = 0


@dataclass(frozen=True)
class Tolerance:
    """How far a detection may lie from the oracle's; see checks/detections.py for the formulas.

    Units: score_logit in logits, box_px in px, *_ulp in units of fp16's spacing at the value,
    box_relative as a share of the box's side. `borderline` is the share of detections whose presence may depend
    on rounding. `derivation` says where each figure comes from; `caught` which seeded deviation of which
    kind is the smallest that fails: measured by `python -m tests.sensitivity`.
    """

    score_logit: float
    score_ulp: float
    box_px: float
    box_ulp: float
    box_relative: float
    borderline: float
    derivation: str
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Parity:
    """How near our network must stay to detectron2's, stage by stage, on one case.

    `samples` values of each stage are compared; `spacings` is the allowed difference in units of
    float32's spacing at the stage's largest sampled magnitude.
    """

    case: str
    samples: int
    spacings: float
    derivation: str
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Throughput:
    """A floor for one machine class, in images per second at batch 1, and its allowed drop."""

    machine: str
    floor: float
    allowed_drop: float
    derivation: str
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Steps that are timed, and steps before them that are not; fewer where the device is emulated.

    tail: shares of the steps whose longest time is told, as 0.99, with an interval. idle_usage: % of
    an NPU's cores that may be in use before the first step. accounted: share of a call's time that
    the worker's clock must tell of. known_input: share of a new input's time that one that was seen
    before must take.
    """

    rounds: int
    warmup: int
    emulated_rounds: int
    emulated_warmup: int
    tail: list[float]
    idle_usage: float
    tail_confidence: float
    accounted: float
    known_input: float


@dataclass(frozen=True)
class Compile:
    """Options of torch_aie.compile, all by name, and what may stay in torch."""

    precision_policy: str
    soc_version: str
    truncate_long_and_double: bool
    allow_tensor_replace_int: bool
    require_full_compilation: bool
    min_block_size: int
    optimization_level: int
    left_in_torch: list[str]

    def options(self) -> dict:
        """The keyword arguments of compile."""
        options = dataclasses.asdict(self)
        options.pop("left_in_torch")
        return options


@dataclass(frozen=True)
class Contract:
    """Everything that must hold for one subject."""

    id: str
    source: str
    category_ids: list[int]
    architecture: Architecture
    input: Input
    output: list[Output]
    recipe: Recipe
    stock: Stock
    weights: Weights
    compile: Compile
    case: list[Case]
    tolerance: dict[str, Tolerance]
    accuracy: list[Accuracy]
    timing: Timing
    comparison: list[Comparison]
    throughput: list[Throughput] = field(default_factory=list)
    training: Optional[Training] = None
    parity: Optional[Parity] = None


def load(path: Path) -> Contract:
    """Read one subject's contract; ContractError names the file, the key and what is wrong."""
    contract = read(path, Contract)
    for key, what in problems(contract):
        raise ContractError(path, key, what)
    return contract


def load_all() -> dict[str, Contract]:
    """The contracts of all subjects, by id."""
    contracts = [load(path) for path in sorted(FOLDER.glob("retinanet_*.toml"))]
    return {contract.id: contract for contract in contracts}
