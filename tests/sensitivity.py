"""python -m tests.sensitivity: the smallest seeded deviation that each tolerance of a contract catches.

The checks of plugins/checks are called as the tests of conformance/ call them, on recorded detections, on
photographs and on the operators' corpus; what is seeded is made larger until the check fails. Writes
golden/evidence/sensitivity.json and exits with 1 where a contract's `caught` says something else. With
--whole also what takes a minute: mAP, on detections of a whole set.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable

from plugins import contracts, machine
from plugins.contracts import operators
from plugins.store import Store, write_atomically
from tests import (
    sensitivity_of_detections,
    sensitivity_of_operators,
    sensitivity_of_pipeline,
    sensitivity_of_speed,
)

HOUSE = Path(__file__).resolve().parents[1]
FILE = HOUSE / "golden" / "evidence" / "sensitivity.json"
DIGITS = 2  # of what a contract says
AGREE = 0.1  # relative: two digits, and a bisection that ends within a per cent
SMALL, SHIPPED = "retinanet_shapes", "retinanet_r50_fpn_3x"


@dataclass(frozen=True)
class Table:
    """A table of tolerances in a contract, and how what it catches is measured."""

    name: str
    declared: Any
    measure: Callable[[], dict[str, float]]


def detections(golden: Store) -> Iterator[Table]:
    """The tolerances of each subject and backend."""
    for subject in contracts.load_all().values():
        for backend, tolerance in subject.tolerance.items():
            how = partial(sensitivity_of_detections.measure, subject, tolerance, golden)
            yield Table(f"{subject.id}.toml tolerance.{backend}", tolerance, how)


def others(golden: Store) -> Iterator[Table]:
    """Operators, pipeline, parity and floors of speed."""
    known, bands = operators.load_operators(), operators.load_pipeline()
    subjects = contracts.load_all()
    small, shipped = subjects[SMALL], subjects[SHIPPED]
    of, around = sensitivity_of_operators, sensitivity_of_pipeline
    roi = known.roi_extractor.tolerance
    yield Table("mmdet_ops.toml batch_nms", known.batch_nms, partial(of.batch_nms, known))
    yield Table("mmdet_ops.toml roi_extractor.tolerance", roi, partial(of.roi_extractor, known))
    yield Table("mmdet_ops.toml device_nms", known.device_nms, partial(of.device_nms, known))
    yield Table("pipeline.toml", bands, partial(around.measure, small, bands))
    parity = partial(around.parity, shipped, golden)
    yield Table(f"{SHIPPED}.toml parity", shipped.parity, parity)
    for index, floor in enumerate(shipped.throughput):
        how = partial(sensitivity_of_speed.floor, floor)
        yield Table(f"{SHIPPED}.toml throughput[{index}]", floor, how)


def whole() -> Iterator[Table]:
    """mAP of the small subject: its detections take a minute."""
    from tests import sensitivity_of_accuracy

    subject = contracts.load_all()[SMALL]
    for index, asked in enumerate(subject.accuracy):
        how = partial(sensitivity_of_accuracy.measure, subject, asked)
        yield Table(f"{SMALL}.toml accuracy[{index}]", asked, how)


def disagreements(
    name: str, declared: Mapping[str, float], found: Mapping[str, float]
) -> list[str]:
    """What a contract's `caught` says otherwise than was measured."""
    lines = [f"{name}: caught.{key} is not measured" for key in declared if key not in found]
    for key, value in found.items():
        said = declared.get(key)
        if said is None or not math.isclose(said, value, rel_tol=AGREE):
            lines.append(f"{name}: caught.{key} says {said}, measured {rounded(value)}")
    return lines


def rounded(value: float) -> float:
    """As a contract says it."""
    return float(f"{value:.{DIGITS}g}")


def figures(tolerance: Any) -> dict[str, float]:
    """The figures of a table of tolerances, by name."""
    return {k: v for k, v in vars(tolerance).items() if isinstance(v, float)}


def main(words: Sequence[str]) -> int:
    """Measure, write, and compare with the contracts."""
    parser = argparse.ArgumentParser(prog="python -m tests.sensitivity", description=__doc__)
    parser.add_argument("--whole", action="store_true", help="mAP too, a minute")
    parser.add_argument("--only", default="", help="a part of the names of tables")
    asked = parser.parse_args(words)
    golden = Store(HOUSE / "golden")
    known = json.loads(FILE.read_text(encoding="utf-8"))["tolerances"] if FILE.is_file() else {}
    wrong = []
    for one in [*detections(golden), *others(golden), *(whole() if asked.whole else ())]:
        if asked.only in one.name:
            found = one.measure()
            caught = {key: rounded(value) for key, value in found.items()}
            known[one.name] = {"figures": figures(one.declared), "caught": caught}
            wrong += disagreements(one.name, one.declared.caught, found)
    _write(known)
    print("\n".join([*wrong, f"{len(known)} tables, {len(wrong)} figures to correct in contracts"]))
    return int(bool(wrong))


def _write(tables: Mapping[str, Any]) -> None:
    origin = machine.measured("python -m tests.sensitivity --whole")
    content = {"schema": 1, "provenance": origin, "tolerances": tables}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(FILE, text.encode("utf-8"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
