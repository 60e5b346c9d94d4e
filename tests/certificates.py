"""`Certificate`: a small one that is made here; and what a careful hand changes in one of a run."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from plugins import books, certificate, consistency, judgement, machine
from plugins.judgement import Scope
from plugins.ledger import Entry, Ledger

LANES = {"npu": "310P3", "a100": "NVIDIA A100"}
HOME = "conformance/test_a.py::"
FIGURE = {"name": "compute", "measured": 20.0, "unit": "img/s", "expected": ">= 19", "images": 1}

CHAPTER = """
@pytest.mark.npu
@pytest.mark.clause("throughput.fps")
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
def test_fps(subject, benchmark, request, record_property):
    from plugins import benchmark as instrument
    clock = request.config.stash[instrument.CLOCK]
    benchmark.pedantic(lambda: clock.advance(0.05), rounds=4, iterations=1)
    figure = dict(name="compute", measured=20.0, unit="img/s", expected=">= 19 img/s", images=1)
    record_property("figure", figure)

@pytest.mark.clause("export.loads")
@pytest.mark.parametrize("case", ["bus", "dog"])
def test_loads(case, record_property):
    record_property("hash", {"model of retinanet_shapes": MODEL, "image " + case: "22" * 32})

@pytest.mark.clause("accuracy.map")
@pytest.mark.requires("coco")
def test_map(): pass

@pytest.mark.clause("outputs.late")
def test_late(): raise Inconclusive("too few images")
"""


def entry(name: str, outcome: str = "passed", **fields) -> Entry:
    right = {"nodeid": f"{HOME}test_{name}", "clause": f"outputs.{name}", "subject": "model"}
    return Entry(**{**right, "outcome": outcome, "attempts": 1, **fields})


def everything() -> list[Entry]:
    device = {"lanes": ["npu"], "runtime": "310P3 (6.3)"}
    return [
        entry("range", **device, hashes={"model": "11" * 32}),
        entry("dtype", **device, hashes={"model": "11" * 32, "image": "22" * 32}),
        entry("clock", lanes=["npu"], runtime="no device"),
        entry("fps", figures=[FIGURE, {"name": "AP", "measured": 38.0}]),
        entry("both", lanes=["npu", "a100"], runtime="310P3"),
        entry("weights", "skipped", reason="needs weights"),
    ]


class Certificate:
    """The parts of a certificate, to be changed before it is looked through."""

    def __init__(self, folder: Path, *entries: Entry, scope: Scope = Scope(), **run) -> None:  # noqa: B008
        self.folder, self.scope = folder, scope
        self.run = Ledger({one.nodeid: one for one in entries or everything()}, **run)
        self.planned = list(copy.deepcopy(list(self.run)))
        self.lanes, self.exit_code, self.change = dict(LANES), 0, {}
        self.samples: dict = (
            {}
            if entries
            else {
                "machine_info": {"machine_class": "310P3; NVIDIA A100; 2 x x86"},
                "benchmarks": [
                    {"fullname": f"{HOME}test_fps", "stats": {"data": [0.04, 0.06, 0.05, 0.05]}}
                ],
            }
        )
        self.shown = dict.fromkeys(self.run.entries, "")
        self.shown[f"{HOME}test_weights"] = "<skipped/>"
        self.junit = None

    def verdict(self) -> dict:
        said = judgement.judge(self.run, self.scope)
        versions = {"python": "3.11", "packages": {"numpy": "2.0"}}
        here = {"fingerprint": machine.fingerprint({**versions}), "capabilities": {"npu": ""}}
        names = ("broken", "remarks", "gaps", "overdue", "trouble", "interrupted")
        return {
            "word": said.final_word(),
            "headline": said.headline(),
            "reasons": said.reasons,
            "holes": said.holes,
            "rows": judgement.rows(self.run, {}),
            "counts": dict(Counter(one.outcome for one in self.run)),
            "exit_code": self.exit_code,
            "false_alarms": {},
            "tests": [asdict(one) for one in self.run],
            "scope": asdict(self.scope),
            "books": {name: getattr(self.run, name) for name in names},
            "environment": {**versions, **here, "lanes": self.lanes},
            **self.change,
        }

    def faults(self) -> list[str]:
        (self.folder / "samples.json").write_text(json.dumps(self.samples))
        (self.folder / "must_run.toml").write_text(books.text(self.planned))
        rows = "".join(
            f'<testcase classname="conformance.test_a" name="{name.split("::")[1]}">{tag}</testcase>'
            for name, tag in self.shown.items()
        )
        (self.folder / "junit.xml").write_text(self.junit or f"<suites>{rows}</suites>")
        verdict = json.loads(json.dumps(self.verdict()))
        return list(consistency.contradictions(self.folder, verdict))


def edit(
    folder: Path, change: Callable, name: str = "verdict.json", seal: bool = True
) -> str | None:
    """Change a JSON file of a certificate as somebody would who also mends the manifest."""
    path = folder / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return certificate.seal(folder) if seal else None


def faster(verdict: dict) -> None:
    """A figure, and the row that is made of it."""
    (test,) = (one for one in verdict["tests"] if one["clause"] == "throughput.fps")
    test["figures"][0]["measured"] = 21.0
    (row,) = (one for one in verdict["rows"] if one["clause"] == "throughput.fps")
    row["measured"] = row["measured"].replace("20", "21")


def redden(verdict: dict) -> None:
    """A run that ended with 0 had a clause that is overdue."""
    verdict["books"]["overdue"] = verdict["holes"] = ["accuracy.map: inconclusive for 40 days"]


def swap(verdict: dict) -> None:
    """The second case was judged on another model."""
    test = next(one for one in verdict["tests"] if one["case"] == "dog")
    test["hashes"]["model of retinanet_shapes"] = "33" * 32


def lose(verdict: dict) -> None:
    """The second case is in no test, row or count."""
    verdict["tests"] = [one for one in verdict["tests"] if one["case"] != "dog"]
    verdict["counts"]["passed"] -= 1
    (row,) = (one for one in verdict["rows"] if one["clause"] == "export.loads")
    (kept,) = (one for one in verdict["tests"] if one["clause"] == "export.loads")
    row.update(tests=1, outcome="passed", seconds=kept["seconds"])


def move(verdict: dict) -> None:
    """The lane ran on a real device."""
    verdict["environment"]["lanes"]["npu"] = "Ascend310P3 (torch_aie 6.3.rc2)"
