"""The table of a run: each row is our figure, a peer's, the floor, and whether the goal is met."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HOUSE = Path(__file__).resolve().parents[1]
EVIDENCE, PAGE = HOUSE / "golden/evidence/benchmarks.json", HOUSE / "docs/performance.md"
BEGIN, END = "<!-- written from {}: -->", "<!-- end of what is written -->"
OURS = "ours"
HEADING = ("what", "ours", "peer", "floor", "times better", "goal", "")
Figures = Mapping[str, Mapping[str, float]]  # by row and who


class Bound(NamedTuple):
    """One part of a goal: the key in goals.toml, how it reads, and when it holds."""

    key: str
    text: str
    holds: Any


BOUNDS = (
    Bound("at_most", "<= {:g} {}", lambda ours, ratio, bound: ours <= bound),
    Bound("at_least", ">= {:g} {}", lambda ours, ratio, bound: ours >= bound),
    Bound(
        "times_better", ">= {:g}x better", lambda ours, ratio, bound: bool(ratio and ratio >= bound)
    ),
)


def rows(figures: Figures, goals: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows that were measured, in the order of the goals; an unknown row is a KeyError."""
    known = {goal["what"]: goal for goal in goals}
    for what in figures:
        known[what]
    return [_row(goal, figures[what]) for what, goal in known.items() if what in figures]


def _row(goal: Mapping[str, Any], figures: Mapping[str, float]) -> dict[str, Any]:
    floor = goal.get("floor", "")
    peers = [who for who in figures if who not in (OURS, floor)]
    ours, theirs = figures.get(OURS), figures[peers[0]] if peers else None
    ratio = _better(ours, theirs, more="at_least" in goal) if ours and theirs else None
    asked = [bound for bound in BOUNDS if bound.key in goal]
    return {
        "what": goal["what"],
        "unit": goal["unit"],
        "ours": ours,
        "peer": peers[0] if peers else "",
        "theirs": theirs,
        "floor": figures.get(floor),
        "floor_is": floor,
        "ratio": ratio,
        "goal": ", ".join(b.text.format(goal[b.key], goal["unit"]) for b in asked),
        "met": None if ours is None else all(b.holds(ours, ratio, goal[b.key]) for b in asked),
    }


def _better(ours: float, theirs: float, more: bool) -> float:
    return ours / theirs if more else theirs / ours


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row as text, in the order of HEADING."""
    verdict = {True: "met", False: "NOT met", None: "not measured"}[row["met"]]
    peer = f"{_number(row['theirs'])} {row['peer']}" if row["peer"] else "-"
    floor = "-" if row["floor"] is None else f"{_number(row['floor'])} {row['floor_is']}"
    ratio = f"{row['ratio']:.3g}x" if row["ratio"] else "-"
    ours = f"{_number(row['ours'])} {row['unit']}"
    return (row["what"], ours, peer, floor, ratio, row["goal"], verdict)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table for a terminal."""
    lines = [HEADING, *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines]


def markdown(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table for a page."""
    lines = [HEADING, ("---",) * len(HEADING), *map(cells, found)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def written(page: str, name: str, lines: Iterable[str]) -> str:
    """The page with what stands between its marks `name` replaced; ValueError without them."""
    before, begin, rest = page.partition(BEGIN.format(name))
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE}: has no part {name!r}; put {BEGIN.format(name)} and {END} back")
    return "\n".join([before + begin, *lines, end + after])


def section(evidence: Mapping[str, Any]) -> list[str]:
    """The part of the page that the evidence fills."""
    origin = evidence["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    others = f"{origin['load']:.1f} processes were running on {origin['cores']} cores"
    prior = ", with less priority than this one" if origin["priority"] > 0 else ""
    return [
        f"Measured on {origin['date']}: {origin['machine']}; {packages}. {others} when it began{prior}.",
        "",
        *markdown(evidence["rows"]),
    ]


def record(evidence: Mapping[str, Any]) -> None:
    """Write the evidence, and the page from it."""
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    fill(EVIDENCE.name, section(evidence))


def fill(name: str, lines: Iterable[str]) -> None:
    """Write a part of the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, name, lines), encoding="utf-8")
