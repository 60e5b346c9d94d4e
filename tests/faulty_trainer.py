"""A faulty trainer that torchrun can start: pytest -p tests.faulty_trainer conformance -m a100 ...

As a pytest plugin it makes the lane launch this file in place of the trainer; as that program it
seeds the fault that FAULTY_TRAINER names, one of tests/faulty_training.py, and trains.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
FAULT = "FAULTY_TRAINER"


def pytest_collection_finish(session) -> None:
    """Once the lane is loaded, and before anything is launched."""
    lane = importlib.import_module("fixtures.training")
    lane.launch = functools.partial(lane.launch, program=Path(__file__).resolve())


def main(plan: str) -> int:
    """The trainer's main, after the seeding."""
    sys.path[:1] = [str(HOUSE / "plugins" / "workers" / "training"), str(HOUSE)]
    train, faults = map(importlib.import_module, ("train", "tests.faulty_training"))
    faults.seed_of(os.environ[FAULT])()
    return train.main(plan)


if __name__ == "__main__":
    os._exit(main(sys.argv[1]))
