"""The smallest deviations of a set's detections that the floor of mAP catches."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fixtures.accuracy import found_by, shapes_set_of
from plugins.checks.accuracy import table_of
from plugins.checks.average_precision import statistics
from plugins.checks.matching import Objects, match, read_objects
from plugins.contracts import Contract
from plugins.contracts.decisions import Accuracy
from plugins.drivers.lab import Lab
from plugins.drivers.subject import Subject
from tests.bisection import smallest

ARTIFACTS = Path(__file__).resolve().parents[1] / ".artifacts"
SEED = 0


def measure(contract: Contract, asked: Accuracy) -> dict[str, float]:
    """points: of mAP, from what the CPU reaches; all_boxes_px and all_sides: every box moved to the
    right, or grown by a share of its sides; lost_share: detections left out at random."""
    objects, table = _on_the_cpu(contract, asked)
    clean = _map(objects, table)

    def caught(changed: np.ndarray) -> bool:
        return not _map(objects, changed) >= asked.floor

    draw = np.random.RandomState(SEED).rand(len(table))
    return {
        "points": clean - asked.floor,
        "all_boxes_px": smallest(lambda px: caught(_moved(table, px)), 0.1),
        "all_sides": smallest(lambda share: caught(_grown(table, share)), 0.01),
        "lost_share": smallest(lambda share: caught(table[draw >= share]), 0.01),
    }


def _on_the_cpu(contract: Contract, asked: Accuracy) -> tuple[Objects, np.ndarray]:
    lab = Lab(interpreters={}, artifacts=ARTIFACTS, run=ARTIFACTS / "sensitivity", tell=_tell)
    try:
        images = shapes_set_of(lab, asked.images)
        found = found_by(Subject(contract, lab), "reference", images, [0])
    finally:
        lab.close()
    objects = read_objects(images.annotations, list(images.images))
    return objects, table_of(images, found, contract.category_ids)


def _tell(line: str) -> None:
    print(f"  ... {line}", file=sys.stderr)


def _map(objects: Objects, table: np.ndarray) -> float:
    return statistics(match(objects, table))["AP"]


def _moved(table: np.ndarray, px: float) -> np.ndarray:
    return table + np.array([0, px, 0, 0, 0, 0, 0])


def _grown(table: np.ndarray, share: float) -> np.ndarray:
    half = table[:, 3:5] * share / 2
    zeros = np.zeros((len(table), 1))
    return table + np.hstack([zeros, -half, 2 * half, zeros, zeros])
