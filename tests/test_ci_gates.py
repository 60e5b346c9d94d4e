"""The gates of the CI pages can be green: each line, with everything in its lane passed, has no hole."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from plugins import capability, clauses, judgement, ledger
from plugins.judgement import Scope
from plugins.ledger import Entry, Ledger

HOUSE = Path(__file__).resolve().parent.parent
REAL = {"npu": "Ascend310P3 (torch_aie 6.3.rc2)", "a100": "NVIDIA A100-SXM4-40GB (40 GiB, sm_80)"}
GIVEN = {"--coco-root": "coco", "--weights": "weights", "--all-images": "all_images"}
DUMP = """
import dataclasses, json, os
def pytest_collection_finish(session):
    from plugins.clauses import ENTRY
    items = [item for item in session.items if ENTRY in item.stash]
    said = [(dataclasses.asdict(i.stash[ENTRY]), bool(i.get_closest_marker("slow"))) for i in items]
    with open(os.environ["ENTRIES"], "w") as file: json.dump(said, file)
"""


def gates() -> list[tuple[str, str]]:
    """Page and arguments of each job that requires something."""
    found = [
        (page.name, words)
        for page in sorted((HOUSE / "docs" / "ci").glob("*.yml"))
        for words in re.findall(r'ARGS="([^"]*)"', page.read_text(encoding="utf-8"))
    ]
    return [one for one in found if "--require" in one[1]]


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> list[tuple[Entry, bool]]:
    """Each test of conformance/ as it is collected, and whether it is slow."""
    folder = tmp_path_factory.mktemp("entries")
    (folder / "dump_entries.py").write_text(DUMP)
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{HOUSE}", "ENTRIES": str(folder / "entries.json")}
    words = ["-m", "pytest", "conformance", "--collect-only", "-q", "--benchmark"]
    words += ["-p", "dump_entries", "-p", "no:cacheprovider", f"--artifacts={folder}"]
    done = subprocess.run(
        [sys.executable, *words], cwd=HOUSE, env={**os.environ, **paths}, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return [
        (Entry(**fields), slow) for fields, slow in json.loads(Path(paths["ENTRIES"]).read_text())
    ]


def scope_of(words: list[str]) -> Scope:
    pairs = list(zip(words, words[1:]))
    (lane,) = [after for word, after in pairs if word == "-m"]
    required = tuple(after for word, after in pairs if word == "--require")
    here = {
        *required,
        *(GIVEN[w] for w in (word.partition("=")[0] for word in words) if w in GIVEN),
    }
    here |= {"cuda"} if "a100" in here else set()
    absent = tuple(name for name in capability.VOCABULARY if name not in here)
    return Scope(lane=lane, required=required, absent=absent)


def ended(one: Entry, slow: bool, scope: Scope, words: list[str]) -> Entry:
    """How a test ends in a lane in which everything that can run passes."""
    if scope.lane not in one.lanes:
        why = f"deselected by -m {scope.lane}"
        return replace(one, outcome=ledger.DESELECTED, reason=why)
    lacks = next((name for name in one.requires if name in scope.absent), "")
    if lacks:
        return replace(one, outcome=ledger.SKIPPED, reason=f"needs {lacks}")
    if slow and "--run-slow" not in words:
        return replace(one, outcome=ledger.SKIPPED, reason=clauses.SLOW)
    runtime = one.runtime if one.runtime in ledger.DEVICELESS else REAL[scope.lane]
    return replace(one, outcome=ledger.PASSED, runtime=runtime)


def test_there_are_gates_for_both_lanes_on_both_pages():
    lanes = {(page, scope_of(shlex.split(words)).lane) for page, words in gates()}
    assert len(lanes) == 4


@pytest.mark.parametrize(("page", "words"), gates())
def test_a_gate_whose_lane_passed_is_green(collected, page, words):
    words = shlex.split(words)
    scope, run = scope_of(words), Ledger()
    for one, slow in collected:
        run.plan(ended(one, slow, scope, words))
    assert judgement.judge(run, scope).holes == []


def test_a_required_capability_still_opens_a_hole_in_its_lane(collected):
    words = next(shlex.split(words) for _, words in gates() if "all_images" in words)
    scope, run = scope_of(words), Ledger()
    for one, slow in collected:
        done = ended(one, slow, scope, words)
        needs = "coco" in one.requires and done.outcome == ledger.PASSED
        run.plan(replace(done, outcome=ledger.INCONCLUSIVE) if needs else done)
    holes = judgement.judge(run, scope).holes
    assert any(hole.startswith("--require coco: not judged on it: accuracy.") for hole in holes)
