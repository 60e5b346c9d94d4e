"""The contracts that belong to no model: the operator library's and the environment's."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.contracts import FOLDER
from plugins.tables import read


@dataclass(frozen=True)
class NmsContract:
    """aie::batch_nms: schema, dtypes, and each choice in words with its source."""

    schema: str
    schema_source: str
    dtypes: list[str]
    tolerance: float
    tolerance_source: str
    choices: dict[str, str]


@dataclass(frozen=True)
class RoiTolerance:
    """Allowed error relative to the largest expected feature, per dtype."""

    float16: float
    float32: float
    float64: float
    source: str
    derivation: str


@dataclass(frozen=True)
class RoiContract:
    """aie::roi_extractor."""

    schema: str
    schema_source: str
    dtypes: list[str]
    pool_modes: list[str]
    pool_modes_source: str
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


@dataclass(frozen=True)
class Operators:
    """What the operator library promises."""

    batch_nms: NmsContract
    roi_extractor: RoiContract
    device_nms: DeviceNms


@dataclass(frozen=True)
class Version:
    """One line of the source's version table: what, which, and where it is read from."""

    name: str
    version: str
    source: str


@dataclass(frozen=True)
class Environment:
    """The environments that the source document was measured in."""

    npu: list[Version]
    export: list[Version]


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


def load_pipeline() -> Pipeline:
    """contracts/pipeline.toml."""
    return read(FOLDER / "pipeline.toml", Pipeline)
