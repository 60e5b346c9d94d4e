"""Whether a certificate's parts agree: each figure, row and word follows from what lies below it."""

from __future__ import annotations

import json
import xml.etree.ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plugins import books, judgement, ledger, machine
from plugins.judgement import Scope
from plugins.ledger import Entry, Ledger

RELATIVE = 1e-6  # between a figure and its samples: the device's clock is a sum that was subtracted
NOT_VERSIONS = ("fingerprint", "capabilities", "lanes")
HOME = "conformance."  # where JUnit's names of our tests begin
NONSENSE = (KeyError, TypeError, AttributeError, ValueError)  # what a mutilated file leads to
JUNIT_SHOWS = {
    **dict.fromkeys(ledger.RED, "failed"),
    **dict.fromkeys((ledger.SKIPPED, ledger.WAIVED, ledger.INCONCLUSIVE), "skipped"),
    ledger.PASSED: "passed",
}


def contradictions(folder: Path, verdict: Mapping[str, Any]) -> Iterator[str]:
    """Each disagreement between verdict.json, junit.xml, the samples and the must-run list."""
    try:
        run, scope = _run(verdict)
        yield from _word(verdict, run, scope)
        yield from _planned(folder, run, scope)
        yield from _devices(folder, verdict, run)
        yield from _samples(folder, verdict, run)
        yield from _artifacts(run)
        yield from _junit(folder / "junit.xml", run)
    except NONSENSE as error:
        yield f"verdict.json: cannot be judged again: {type(error).__name__} {error}"


def _run(verdict: Mapping[str, Any]) -> tuple[Ledger, Scope]:
    """The books and the scope that the word was spoken from."""
    entries = {test["nodeid"]: Entry(**test) for test in verdict["tests"]}
    scope = dict(verdict["scope"])
    lists = {name: tuple(scope[name]) for name in ("required", "absent")}
    return Ledger(entries, **verdict["books"]), Scope(**{**scope, **lists})


def _word(verdict: Mapping[str, Any], run: Ledger, scope: Scope) -> Iterator[str]:
    again = judgement.judge(run, scope)
    derived = {
        "word": again.final_word(),
        "headline": again.headline(),
        "reasons": again.reasons,
        "holes": again.holes,
        "rows": judgement.rows(run, verdict["false_alarms"]),
        "counts": dict(Counter(entry.outcome for entry in run)),
    }
    for name, value in derived.items():
        if verdict[name] != value:
            yield f"verdict.json: {name} does not follow from its tests: {_difference(verdict[name], value)}"
    if verdict["exit_code"] == 0 and (again.holes or any(e.outcome in ledger.RED for e in run)):
        yield "verdict.json: exit_code is 0, and the run was red"
    if any(entry.aside for entry in run) and not verdict["options"]["model_ts"]["value"]:
        yield f"verdict.json: has tests {ledger.NOT_ABOUT}, and no file was given"


def _difference(said: Any, derived: Any) -> str:
    """The first place where two values differ, in a few words."""
    if isinstance(said, list) and isinstance(derived, list):
        pairs = [(a, b) for a, b in zip(said, derived) if a != b]
        if not pairs:
            return f"{len(said)} are there, {len(derived)} follow"
        said, derived = pairs[0]
    if isinstance(said, dict) and isinstance(derived, dict):
        name = next(k for k in {**said, **derived} if said.get(k) != derived.get(k))
        who = f" of {said['clause']}" if "clause" in said else ""
        return f"{name}{who} is {said.get(name)!r}, and {derived.get(name)!r} follows"
    return f"it is {said!r}, and {derived!r} follows"


def _planned(folder: Path, run: Ledger, scope: Scope) -> Iterator[str]:
    if scope.partial or scope.refused:
        return
    for gap in books.faults(folder / "must_run.toml", run, scope.lane):
        if gap not in run.gaps:
            yield f"verdict.json: does not say that {gap}"


def _devices(folder: Path, verdict: Mapping[str, Any], run: Ledger) -> Iterator[str]:
    """One run is on one machine: its lanes, its tests and its versions say the same."""
    environment = verdict["environment"]
    planned = books.deviceless(folder / "must_run.toml")
    for lane, runtime in environment["lanes"].items():
        for entry in run:
            if lane not in entry.lanes[:1] or entry.outcome not in ledger.JUDGED:
                continue
            elsewhere = ledger.DEVICELESS if books.key(entry)[:2] in planned else ()
            if not entry.runtime.startswith((runtime, *elsewhere)):
                yield f"{entry.title()}: ran on {entry.runtime}, and the lane is on {runtime}"
    versions = {name: value for name, value in environment.items() if name not in NOT_VERSIONS}
    if machine.fingerprint(versions) != environment["fingerprint"]:
        yield "verdict.json: the environment was edited; its fingerprint is another one"


def _samples(folder: Path, verdict: Mapping[str, Any], run: Ledger) -> Iterator[str]:
    path = folder / "samples.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    samples = {one["fullname"]: one for one in content.get("benchmarks", ())}
    lanes = verdict["environment"]["lanes"]
    measured_on = content.get("machine_info", {}).get("machine_class", "")
    if measured_on and not measured_on.startswith(f"{lanes['npu']}; {lanes['a100']}; "):
        yield f"samples.json: was measured on {measured_on}, and verdict.json on {lanes}"
    for name in sorted(set(samples) - set(run.entries)):
        yield f"samples.json: {name} is no test of verdict.json"
    for entry in run:
        for figure in entry.figures:
            if figure.get("images"):
                yield from _recomputed(entry, figure, samples.get(entry.nodeid))


def _recomputed(entry: Entry, figure: Mapping[str, Any], sample: Any) -> Iterator[str]:
    name = f"{entry.title()}: {figure['name']}"
    data = sample["stats"]["data"] if sample else ()
    if not data:
        yield f"{name} has no raw samples in samples.json"
        return
    rate = figure["images"] * len(data) / sum(data)
    measured = float(figure["measured"])  # verdict.json has "nan" as text
    if not abs(measured - rate) <= RELATIVE * rate:
        yield f"{name} is {measured:.6g}, and its {len(data)} raw samples give {rate:.6g}"


def _artifacts(run: Ledger) -> Iterator[str]:
    """A name stands for one content throughout a run."""
    known: dict[str, str] = {}
    for entry in run:
        for name, sha in entry.hashes.items():
            if known.setdefault(name, sha) != sha:
                yield f"{name}: changed during the run: sha256 {known[name][:12]}, then {sha[:12]}"


def _junit(path: Path, run: Ledger) -> Iterator[str]:
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except FileNotFoundError:
        return  # said by the manifest
    except xml.etree.ElementTree.ParseError:
        yield "junit.xml: is cut short or no XML"
        return
    shown = {
        (_unprefixed(one.get("classname", "")), one.get("name")): _shown(one)
        for one in root.iter("testcase")
    }
    for entry in run:
        wanted = JUNIT_SHOWS.get(entry.outcome)
        found = shown.get(_address(entry.nodeid))
        if found != wanted and (wanted or entry.aside):
            yield f"junit.xml: {entry.nodeid} is {found or 'missing'}, in verdict.json {entry.outcome}"


def _unprefixed(name: str) -> str:
    """A dotted path without what --junit-prefix put before it."""
    before, home, rest = name.rpartition(HOME)
    return home + rest if not before or before.endswith(".") else name


def _shown(testcase: xml.etree.ElementTree.Element) -> str:
    tags = {child.tag for child in testcase}
    return "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"


def _address(nodeid: str) -> tuple[str, str]:
    """A node id as JUnit writes it: dotted path and name."""
    path, _, rest = nodeid.partition("::")
    name, bracket, parameters = rest.partition("[")
    *classes, name = name.split("::")
    module = path[: -len(".py")].replace("/", ".")
    return ".".join([module, *classes]), name + bracket + parameters
