"""All benches: who seeds the faults of which layer, and what else decides the outcome of a row.

A module of this list holds

- `FAULTS`: a list of Fault; where it serves several layers, such lists by layer;
- `TWINS`, if the one clean twin (`judge(None)`) is not all: good products of another kind, each a
  Fault without a clause; or with the clause that is rightly inconclusive about it;
- `Bench(folder)`: a context manager; `judge(fault)` seeds it and returns all Alarms, and leaves in
  `judged` how many tests or rules decided. `prepare(faults)`, if there is one, is told beforehand
  what will be asked of it. Names of faults are one of a kind in a module.

Modules are independent of each other: each gets a process of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from tests.bite.fault import Fault

CLEAN = Fault("clean", "nothing is broken", "", "")


@dataclass(frozen=True)
class Place:
    """A module with a bench.

    Args:
        module: its dotted name.
        layers: whose faults it seeds.
        sources: files, beside the suite itself, that decide what becomes of its rows; globs.
    """

    module: str
    layers: tuple[str, ...]
    sources: tuple[str, ...]

    def load(self) -> ModuleType:
        """The module; it may need what this process lacks, and then says so."""
        return importlib.import_module(self.module)


# The longest first: two run side by side.
PLACES = (
    Place("tests.bite.trainer", ("trainer",), ("tests/faults_of_*.py", "tests/bite/trainer*.py")),
    Place(
        "tests.bite.source",
        (
            *("emulator", "operators", "export", "runner"),
            *("images", "result files", "evaluator", "clock"),
        ),
        ("tests/bite/source*.py",),
    ),
    Place(
        "tests.bite.models",
        ("model file",),
        ("tests/faulty_models.py", "tests/fault_*.py", "tests/bite/models.py"),
    ),
    Place(
        "tests.bite.gate",
        ("gate",),
        ("tests/lab.py", "tests/certificates.py", "tests/bite/gate*.py"),
    ),
)


@dataclass(frozen=True)
class Row:
    """One thing to judge: a fault of a layer, or one of its clean twins."""

    place: Place
    layer: str
    fault: Fault
    twin: bool = False

    @property
    def id(self) -> str:
        return f"{self.layer}/{self.fault.name}"


def rows(place: Place) -> Iterator[Row]:
    """All rows of a module: the clean twins first, for others are compared with them."""
    module = place.load()
    faults = module.FAULTS
    layers = faults if isinstance(faults, dict) else {place.layers[0]: faults}
    yield Row(place, place.layers[0], CLEAN, twin=True)
    for twin in getattr(module, "TWINS", ()):
        yield Row(place, place.layers[0], twin, twin=True)
    for layer, some in layers.items():
        for fault in some:
            yield Row(place, layer, fault)
