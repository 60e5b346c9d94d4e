"""`Certificate`: a small one that is made here, and changed before it is looked through."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from plugins import books, consistency, judgement, machine
from plugins.judgement import Scope
from plugins.ledger import Entry, Ledger

LANES = {"npu": "310P3", "a100": "NVIDIA A100"}
HOME = "conformance/test_a.py::"
FIGURE = {"name": "compute", "measured": 20.0, "unit": "img/s", "expected": ">= 19", "images": 1}


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
