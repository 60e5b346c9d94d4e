"""The contracts that belong to no one model: operators, environment, pipeline, known weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from plugins.contracts import FOLDER, Tolerance
from plugins.contracts.tables import read


@dataclass(frozen=True)
class NmsContract:
    """aie::batch_nms: schema, and each choice in words with its source."""

    schema: str
    schema_source: str
    choices: dict[str, str]
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RoiTolerance:
    """Allowed error relative to the largest expected feature, per dtype."""

    float16: float
    float32: float
    float64: float
    source: str
    derivation: str
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RoiContract:
    """aie::roi_extractor."""

    schema: str
    schema_source: str
    tolerance: RoiTolerance


@dataclass(frozen=True)
class Unlike:
    """A corpus case on which the 310P's kernel is documented to decide otherwise."""

    detections: int
    reason: str


@dataclass(frozen=True)
class DeviceNms:
    """How the 310P's operator may differ from ours on the corpus; `derivation` says why."""

    box_px: float
    box_ulp: float
    derivation: str
    unlike: dict[str, Unlike]
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Operators:
    """What the operator library promises, for floating-point tensors of these `dtypes`."""

    dtypes: list[str]
    batch_nms: NmsContract
    roi_extractor: RoiContract
    device_nms: DeviceNms


@dataclass(frozen=True)
class Version:
    """One line of the source's version table: what, which, and where it is read from.

    `also` is the same release under another number.
    """

    name: str
    version: str
    source: str
    also: str = ""


@dataclass(frozen=True)
class Pair:
    """The torch that exports and the torch that infers."""

    export: str
    infer: str


@dataclass(frozen=True)
class Matrix:
    """Pairs of torch versions that must find the same; the first is what the others must equal.

    `cases` are written subject/case; `tolerance` belongs to a backend each.
    """

    pairs: list[Pair]
    cases: list[str]
    tolerance: dict[str, Tolerance]


@dataclass(frozen=True)
class Environment:
    """The environments that the source document was measured in, and those that must agree."""

    npu: list[Version]
    export: list[Version]
    matrix: Matrix


@dataclass(frozen=True)
class Untrained:
    """How detectron2 initialises the class head, and how near to it (a share) is untrained."""

    score_bias: float
    score_std: float
    relative: float
    derivation: str


@dataclass(frozen=True)
class Published:
    """A weights file that is known by the first digits of its MD5; `subject` has these weights."""

    name: str
    md5: str
    source: str
    subject: str = ""


@dataclass(frozen=True)
class KnownWeights:
    """What tells trained weights from others, and published files from others."""

    untrained: Untrained
    published: list[Published]


def load_weights() -> KnownWeights:
    """contracts/weights.toml."""
    return read(FOLDER / "weights.toml", KnownWeights)


def load_operators() -> Operators:
    """contracts/mmdet_ops.toml."""
    return read(FOLDER / "mmdet_ops.toml", Operators)


def load_environment() -> Environment:
    """contracts/environment.toml."""
    return read(FOLDER / "environment.toml", Environment)


@dataclass(frozen=True)
class Pipeline:
    """How far the pipeline's arithmetic may lie from its rule; units in contracts/pipeline.toml."""

    grey_levels: float
    restored_px: float
    caught: dict[str, float] = field(default_factory=dict)


def load_pipeline() -> Pipeline:
    """contracts/pipeline.toml."""
    return read(FOLDER / "pipeline.toml", Pipeline)
