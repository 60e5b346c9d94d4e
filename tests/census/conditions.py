"""What a clean run is varied in: the interpreter, its threads, what disturbs the machine, the seed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
NPU_PYTHON = HOUSE / ".venv-npu" / "bin" / "python"
INFERENCE, ACCURACY, TRAINING = "inference", "accuracy", "training"
QUIET, LOADED, PAUSED = "nothing", "a loaded core", "paused workers"


@dataclass(frozen=True)
class Condition:
    """One way to run the clean suite.

    Args:
        lane: inference, accuracy (mAP on the whole set, which takes longer than all else) or training.
        python: the interpreter of pytest and of its workers.
        threads: OMP_NUM_THREADS of both.
        disturbance: one of QUIET, LOADED and PAUSED.
        runs: how many of them the census wants.
    """

    name: str
    lane: str
    python: str
    threads: int
    disturbance: str
    runs: int


def conditions() -> list[Condition]:
    """All conditions whose interpreter is there, those of the rarer stacks of a lane first."""
    here, npu = sys.executable, str(NPU_PYTHON)
    every = [
        Condition("torch-2.0.1", INFERENCE, npu, 1, QUIET, 40),
        Condition("plain", INFERENCE, here, 1, QUIET, 330),
        Condition("two-threads", INFERENCE, here, 2, QUIET, 40),
        Condition("torch-2.0.1-two-threads", INFERENCE, npu, 2, QUIET, 20),
        Condition("loaded-core", INFERENCE, here, 1, LOADED, 6),
        Condition("paused-workers", INFERENCE, here, 1, PAUSED, 20),
        Condition("training-torch-2.0.1", TRAINING, npu, 1, QUIET, 30),
        Condition("training-loaded-core", TRAINING, here, 1, LOADED, 16),
        Condition("training-paused-ranks", TRAINING, here, 1, PAUSED, 16),
        Condition("training", TRAINING, here, 1, QUIET, 1000),  # until all was judged often enough
        Condition("accuracy-torch-2.0.1", ACCURACY, npu, 1, QUIET, 30),
        Condition("accuracy-two-threads", ACCURACY, here, 2, QUIET, 20),
        Condition("accuracy-loaded-core", ACCURACY, here, 1, LOADED, 10),
        Condition("accuracy", ACCURACY, here, 1, QUIET, 140),
    ]
    return [one for one in every if Path(one.python).is_file()]
