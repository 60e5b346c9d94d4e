"""What a report shows, read from a run's folder and from what earlier runs on this machine left."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins import evidence, ledger
from plugins.report.charts import Series
from plugins.store import read_toml

PICTURES, PICTURE_SIDE, HISTORY = 24, 560, 30
LOOKED_AT = 200  # stored timings, the newest; a machine keeps them for its life
TROUBLE = (ledger.FAILED, ledger.STALE, ledger.ERROR, ledger.INCONCLUSIVE, ledger.WAIVED)
NOT_JUDGED = (ledger.SKIPPED, ledger.DESELECTED, ledger.NOT_RUN)


@dataclass(frozen=True)
class Chart:
    """Series that share a title; `labels` are the rows of a chart by class, else empty."""

    title: str
    series: list[Series]
    xlabel: str
    ylabel: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """The rounds of one timing test, in ms, and the medians (with quartiles) of the runs before."""

    name: str
    machine: str
    rounds: list[float]
    median: float
    history: Series


@dataclass(frozen=True)
class Contents:
    """A run as the report shows it."""

    folder: Path
    verdict: dict[str, Any]
    charts: list[Chart]
    latencies: list[Latency]
    golden: dict[str, list[str]]  # package -> the versions that golden data was made with
    evidence: list[tuple[str, str, str]]  # about the suite itself: what, figure, command

    @property
    def tests(self) -> list[dict[str, Any]]:
        """Every test, as in verdict.json."""
        return self.verdict["tests"]

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """The tests that need an eye, gravest first."""
        found = [test for test in self.tests if test["outcome"] in TROUBLE]
        return sorted(found, key=lambda test: TROUBLE.index(test["outcome"]))

    @property
    def shifted(self) -> list[dict[str, Any]]:
        """Comparisons that passed although not every detection is the same: they left a picture."""
        passed = (test for test in self.tests if test["outcome"] == ledger.PASSED)
        return [test for test in passed if self.picture(test)]

    def not_judged(self) -> dict[tuple[str, str], list[str]]:
        """(outcome, reason) -> the clauses, once each."""
        groups: dict[tuple[str, str], list[str]] = {}
        for test in self.tests:
            if test["outcome"] in NOT_JUDGED:
                clauses = groups.setdefault((test["outcome"], test["reason"]), [])
                clauses += [] if test["clause"] in clauses else [test["clause"]]
        return groups

    def picture(self, test: dict[str, Any]) -> str:
        """The overlay of a failed or shifted case as a data URI; empty if there is none."""
        name = re.sub(r"[^\w.-]+", "-", test["nodeid"].partition("::")[2])
        path = self.folder / "evidence" / f"{name}.png"
        return _data_uri(path) if path.is_file() else ""


def read(folder: Path, *, storage: Path, manifest: Path) -> Contents:
    """Everything about the run in a folder.

    Args:
        storage: where pytest-benchmark keeps the timings of all runs.
        manifest: of the golden data.
    """
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    curves = [_json(path) for path in sorted((folder / "curves").glob("*.json"))]
    charts = [chart for title in dict.fromkeys(_titles(curves)) for chart in _chart(title, curves)]
    known = evidence.summary(manifest.parent.parent)
    latencies = list(_latencies(folder, storage))
    return Contents(folder, verdict, charts, latencies, _golden(manifest), known)


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where it cannot be read, for a report is no place to fail."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _titles(curves: list[dict[str, Any]]) -> Iterator[str]:
    return (str(curve["title"]) for curve in curves if curve.get("title") and curve.get("y"))


def _chart(title: str, curves: list[dict[str, Any]]) -> Iterator[Chart]:
    """The chart of a title: {"title", "x", "y", "low", "high", "unit", "xlabel", "ylabel", "name"}.

    Curves of one title share a chart. With "labels" instead of "x" each y belongs to a class.
    """
    mine = [curve for curve in curves if str(curve.get("title")) == title and curve.get("y")]
    series = [
        Series(
            str(curve.get("name") or ""),
            *(_numbers(curve.get(key)) for key in ("x", "y", "low", "high")),
        )
        for curve in mine
    ]
    first = mine[0]
    unit = f" ({first['unit']})" if first.get("unit") else ""
    ylabel = f"{first.get('ylabel') or 'value'}{unit}"
    labels = tuple(map(str, first.get("labels") or ()))
    yield Chart(title, series, str(first.get("xlabel") or "step"), ylabel, labels)


def _numbers(values: Any) -> list[float]:
    nan = float("nan")
    return [float(v) if isinstance(v, (int, float)) else nan for v in values or ()]


def _latencies(folder: Path, storage: Path) -> Iterator[Latency]:
    paths = sorted(storage.rglob("*.json"), key=lambda path: path.stat().st_mtime)
    own = next((path for path in paths if path.stem.endswith(folder.resolve().name)), None)
    mine = _json(own) if own else {}
    machine = _machine(mine)
    earlier = [run for run in map(_json, paths[-LOOKED_AT:]) if run and _machine(run) == machine]
    earlier.sort(key=lambda run: str(run.get("datetime")))
    for one in mine.get("benchmarks", ()):
        rounds = [1000 * second for second in one["stats"].get("data", ())]
        if rounds:
            median = 1000 * one["stats"]["median"]
            yield Latency(one["name"], machine, rounds, median, _history(one["fullname"], earlier))


def _machine(run: dict[str, Any]) -> str:
    return str(run.get("machine_info", {}).get("machine_class", "unknown machine class"))


def _history(name: str, runs: list[dict[str, Any]]) -> Series:
    found = [
        [1000 * one["stats"][key] for key in ("median", "q1", "q3")]
        for run in runs
        for one in run.get("benchmarks", ())
        if one["fullname"] == name
    ][-HISTORY:]
    medians, low, high = zip(*found) if found else ((), (), ())
    return Series("median", range(1, len(medians) + 1), medians, low, high)


def _golden(manifest: Path) -> dict[str, list[str]]:
    records = read_toml(manifest).get("file", {}) if manifest.is_file() else {}
    versions: dict[str, set[str]] = {}
    for record in records.values():
        for name, version in record.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(version))
    return {name: sorted(some) for name, some in sorted(versions.items())}


def _data_uri(path: Path) -> str:
    from PIL import Image  # only a run with failures needs it

    with Image.open(path) as image:
        image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        content = io.BytesIO()
        image.convert("RGB").save(content, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
