"""The report as a page of Markdown, for where a CI system shows one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from plugins import ledger
from plugins.report.contents import TROUBLE, Contents

SHOWN = 10
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
SIGNS = {ledger.PASSED: "✅", ledger.SKIPPED: "⚪", ledger.DESELECTED: "⚪"}
TROUBLED = {**dict.fromkeys(TROUBLE, "🟠"), **dict.fromkeys(TROUBLE[:3], "❌")}


def markdown(contents: Contents) -> str:
    """The word, why, what to look at, and a line for each chapter."""
    return "\n".join(_lines(contents)) + "\n"


def _lines(contents: Contents) -> Iterator[str]:
    verdict = contents.verdict
    word, _, qualifier = verdict["headline"].partition(" (")
    yield f"## {_plain(word)}"
    if qualifier:
        yield f"\n> ⚠️ **STAND-IN: {_plain(qualifier.rstrip(')'))}**"
    counts = ", ".join(f"{count} {outcome}" for outcome, count in verdict["counts"].items())
    lanes = ", ".join(f"{name} on {on}" for name, on in verdict["environment"]["lanes"].items())
    yield f"\n{counts}; {_plain(lanes)}; suite `{verdict['suite'][:12]}`; exit {verdict['exit_code']}\n"
    yield from _some([f"🔴 {_plain(hole)}" for hole in verdict["holes"]])
    yield from _some([_plain(reason) for reason in verdict["reasons"]])
    yield "\n| chapter | tests | worst outcome |\n|---|---:|---|"
    yield from (_chapter(name, tests) for name, tests in _chapters(contents).items())
    figures = [row for row in verdict["rows"] if re.search(r"\d", str(row["measured"]))]
    if figures:
        yield "\n| clause | model | on | expected | measured | outcome |\n|---|---|---|---|---|---|"
        yield from map(_figure, figures[: 3 * SHOWN])


def _some(items: list[str]) -> Iterator[str]:
    yield from (f"- {item}" for item in items[:SHOWN])
    if len(items) > SHOWN:
        yield f"- and {len(items) - SHOWN} more"


def _chapters(contents: Contents) -> dict[str, list[dict[str, Any]]]:
    chapters: dict[str, list[dict[str, Any]]] = {}
    for test in contents.tests:
        chapters.setdefault(test["clause"].split(".")[0], []).append(test)
    return chapters


def _chapter(name: str, tests: list[dict[str, Any]]) -> str:
    worst = min((test["outcome"] for test in tests), key=ledger.SEVERITY.index)
    sign = {**SIGNS, **TROUBLED}.get(worst, "⚪")
    count = sum(test["outcome"] == worst for test in tests)
    return f"| {_plain(name)} | {len(tests)} | {sign} {worst} {count} |"


def _figure(row: dict[str, Any]) -> str:
    names = ("clause", "subject", "runtime", "expected", "measured", "outcome")
    return "| " + " | ".join(_plain(str(row[name]) or "-") for name in names) + " |"


def _plain(text: str) -> str:
    """Text without any power over Markdown, HTML or a table."""
    return (
        SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("\\<", "&lt;").replace("\\&", "&amp;")
    )
