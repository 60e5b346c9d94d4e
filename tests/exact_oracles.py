"""Oracles and tolerances of round figures, with which a difference is exactly what is allowed."""

from __future__ import annotations

import dataclasses

import numpy as np

from plugins.checks.detections import Oracle
from tests.oracles import TOLERANCE, detections

STEP = 2.0**-11  # of fp16 between 0.5 and 1
# A box may be off by a pixel and a score by a step; no other allowance.
PLAIN = dataclasses.replace(TOLERANCE, score_logit=0.0, box_px=1.0, box_ulp=0.0, box_relative=0.0)
RIGID = dataclasses.replace(PLAIN, box_px=0.0)  # for overlaps that no rounding changes
WHOLE, HALF, MORE = [0, 0, 8, 8], [0, 0, 8, 4], [0, 0, 8, 5]  # which overlap by 1, 1/2 and 5/8


def knows(*rows, kept=None, limit: int = 9, threshold: float = 0.5) -> Oracle:
    """An oracle that reports all of its candidates, unless their ranks are given."""
    ranks = np.arange(len(rows)) if kept is None else np.array(kept)
    return Oracle(detections(*rows), ranks, limit, threshold, 0.5)


def row(score: float = 0.75, box=(0, 0, 8, 8), label: int = 0) -> tuple:
    return (label, score, *box)


def apart(count: int) -> list[tuple]:
    """Rows that have nothing in common."""
    return [(k, 0.9 - k / 64, 100 * k, 40 * k, 100 * k + 30, 40 * k + 50) for k in range(count)]
