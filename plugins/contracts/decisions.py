"""What a contract says of questions that luck has a part in: how to ask, and how often to be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class Paired:
    """How the device is compared with the CPU on the same images: see checks/sequential.py.

    looks: numbers of images after which to decide, ascending; accept and reject: the error that each
    look may spend on a wrong pass and on a wrong failure, 0 for none; confidence: of either, over all
    looks together. unseen: the chance that not one of the images is among the first accepting look's,
    where the whole margin is lost on a few images that are lost entirely; resampling cannot tell of what
    it never saw. resamples are drawn from `seed`.
    """

    looks: list[int]
    accept: list[float]
    reject: list[float]
    confidence: float
    unseen: float
    resamples: int
    seed: int
    derivation: str


@dataclass(frozen=True)
class Accuracy:
    """mAP@[.5:.95] on a set, in percent, unrounded: floor, and allowed drop of device against CPU."""

    set: str
    images: int
    floor: float
    allowed_drop: float
    derivation: str
    paired: Paired
    caught: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """How --against compares two artifacts on a machine class: see checks/comparison.py.

    margin: share of time that the new one may take more; error: of a wrong verdict, over all looks
    together. A look ends each of the `processes`, `quads` times two blocks of `steps` steps of each
    artifact. drift: share by which the old one may differ from itself. false_alarms and caught:
    measured share of A/A runs that were not PASS or INCONCLUSIVE, and the slowdown caught nine times
    in ten; none where it was not measured.
    """

    machine: str
    margin: float
    error: float
    processes: int
    quads: int
    steps: int
    drift: float
    false_alarms: Optional[float]
    caught: Optional[float]
    derivation: str
