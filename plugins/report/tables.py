"""The tables of the report: what was judged, on what, and what was not run."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from plugins import judgement, ledger
from plugins.report.contents import Contents
from plugins.report.markup import TONES, tag

CLAUSES = 12
COLUMNS = judgement.COLUMNS


def judged(contents: Contents) -> Iterator[str]:
    rows = [row for row in contents.verdict["rows"] if row["runtime"] or not _left_out(row)]
    lanes = _lanes(contents)
    if not rows:
        return
    yield '<h2>What was judged</h2>\n<div class="filters" id="filters"></div>\n'
    yield '<table class="wide" id="rows"><thead><tr>'
    yield (
        "".join(tag("th", name, scope="col") for name in judgement.HEADINGS)
        + "</tr></thead><tbody>\n"
    )
    for subject in dict.fromkeys(row["subject"] for row in rows):
        head = tag("th", subject, colspan=len(COLUMNS), scope="colgroup")
        yield f'<tr class="group">{head}</tr>\n'
        for row in rows:
            if row["subject"] == subject:
                yield _row(row, lanes[row["subject"], row["clause"], row["backend"]])
    yield "</tbody></table>\n"


def _left_out(row: dict[str, Any]) -> bool:
    """Whether nothing of a row came to run, as the last section says already."""
    return str(row["outcome"]).startswith((ledger.DESELECTED, ledger.NOT_RUN))


def _lanes(contents: Contents) -> dict[tuple[str, str, str], str]:
    """The lanes of each row, as its filter knows them."""
    lanes: dict[tuple[str, str, str], set[str]] = {}
    for test in contents.tests:
        key = (test["subject"], test["clause"], test["backend"])
        lanes.setdefault(key, set()).update(test["lanes"] or ["cpu"])
    return {key: " ".join(sorted(some)) for key, some in lanes.items()}


def _row(row: dict[str, Any], lanes: str) -> str:
    outcome = next(one for one in ledger.SEVERITY if str(row["outcome"]).startswith(one))
    cells = []
    for column in COLUMNS:
        text = f"{row[column]:.1f}" if column == "seconds" else str(row[column] or "")
        text = judgement.TOOLKIT.sub("", text) if column == "runtime" else text
        kind = ' class="number"' if column == "seconds" else ""
        badge = tag("span", text, class_=f"badge {TONES[outcome]}")
        content = badge if column == "outcome" else escape(text)
        cells.append(f'<td{kind} data-label="{column.replace("_", " ")}">{content}</td>')
    return f'<tr data-lane="{escape(lanes)}" data-outcome="{outcome}">{"".join(cells)}</tr>\n'


def environment(contents: Contents) -> Iterator[str]:
    found = contents.verdict["environment"]
    exporting = found["workers"].get("export", {})
    now = {**found["packages"], "python": found["python"], **exporting}
    yield "<h2>Environment</h2>\n<table><thead><tr>"
    yield "".join(tag("th", name) for name in ("", "golden data", "this run"))
    yield "</tr></thead><tbody>\n"
    for name in sorted({*contents.golden, *now}, key=lambda n: (n not in contents.golden, n)):
        golden, here = contents.golden.get(name, []), str(now.get(name, "not here"))
        same = _public(here) in map(_public, golden)
        kind = ' class="differs"' if golden and not same else ""
        yield f"<tr{kind}>{tag('td', name)}{tag('td', ', '.join(golden))}{tag('td', here)}</tr>\n"
    for name, value in found.get("system", {}).items():
        yield f"<tr>{tag('td', name)}<td></td>{tag('td', value)}</tr>\n"
    yield "</tbody></table>\n"
    if contents.golden:
        yield tag("p", "A marked line differs from what golden data was made with.", class_="soft")


def _public(version: str) -> str:
    """A version without its build: 2.11.0+cu130 is 2.11.0."""
    return version.partition("+")[0]


def evidence(contents: Contents) -> Iterator[str]:
    """What the suite itself was shown to catch, and how often it was wrong."""
    yield "<h2>Evidence</h2>\n<p>May the judge be believed? Each figure is measured by its command; "
    yield "docs/evidence.md has the rows.</p>\n<table><tbody>\n"
    for what, figure, command in contents.evidence:
        code = f"<td>{tag('code', command)}</td>"
        yield f"<tr>{tag('td', what)}{tag('td', figure)}{code}</tr>\n"
    yield "</tbody></table>\n"


def not_run(contents: Contents) -> Iterator[str]:
    groups = contents.not_judged()
    absent = {
        name: one["why"]
        for name, one in contents.verdict["environment"]["capabilities"].items()
        if not one["present"]
    }
    if not groups and not absent:
        return
    yield "<h2>What was not run, and why</h2>\n<ul class=why>"
    for (outcome, reason), clauses in groups.items():
        why = reason if reason.startswith(outcome) else f"{outcome}: {reason or 'the run ended'}"
        shown = ", ".join(clauses[:CLAUSES])
        more = f" and {len(clauses) - CLAUSES} more clauses" if clauses[CLAUSES:] else ""
        yield tag("li", f"{why}: {shown}{more}")
    yield "</ul>\n<dl class=facts>"
    for name, why in absent.items():
        yield tag("dt", f"no {name}") + tag("dd", why)
    yield "</dl>\n"
