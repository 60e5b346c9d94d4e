"""The cards of the report: tests that need an eye, curves, and latencies."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from plugins.report import charts
from plugins.report.contents import PICTURES, Chart, Contents, Latency
from plugins.report.markup import TONES, tag

CARDS = 60


def trouble(contents: Contents) -> Iterator[str]:
    if not contents.trouble:
        return
    yield f"<h2>{len(contents.trouble)} to look at</h2>\n<div class=cases>\n"
    drawn = 0
    for test in contents.trouble[:CARDS]:
        picture = contents.picture(test) if drawn < PICTURES else ""
        drawn += bool(picture)
        yield _case(test, picture)
    yield "</div>\n"
    if drawn == PICTURES or len(contents.trouble) > CARDS:
        more = f"At most {CARDS} cards and {PICTURES} pictures are shown; evidence/ has the rest."
        yield tag("p", more, class_="soft")


def shifted(contents: Contents) -> Iterator[str]:
    """Cases that passed and still moved: what rounding may do, for the eye to agree."""
    moved = contents.shifted
    if not moved:
        return
    yield f"<h2>{len(moved)} shifted within tolerance</h2>\n<div class=cases>\n"
    for test in moved[:PICTURES]:
        said = (f"{one['measured']:.4g} {one['unit']} {one['name']}" for one in test["figures"])
        yield _case({**test, "reason": "; ".join(said)}, contents.picture(test))
    yield "</div>\n"


def _case(test: dict[str, Any], picture: str) -> str:
    where = test["subject"] + (f" on {test['backend']}" if test["backend"] else "")
    where += f", {test['case']}" if test["case"] else ""
    parts = [f'<article class="card case {TONES[test["outcome"]]}">']
    parts.append(tag("span", test["outcome"], class_=f"badge {TONES[test['outcome']]}"))
    parts.append(tag("h3", f"{test['clause']}: {where}"))
    parts.append(tag("p", test["reason"]))
    if test["waiver"]:
        parts.append(tag("p", f"forgiven by waiver {test['waiver']}", class_="soft"))
    if picture:
        alt = f"{where}: expected and obtained boxes"
        parts.append(f'<img alt="{escape(alt)}" src="{picture}">')
        parts.append(tag("p", "thick green: expected; thin red: obtained", class_="soft"))
    if test["expected"]:
        said = {"expected": test["expected"], "actual": test["measured"]}
        parts.append("<dl class=facts>")
        parts += [tag("dt", name) + tag("dd", value) for name, value in said.items()]
        parts.append("</dl>")
    if test["details"]:
        told = tag("pre", "\n".join(test["details"]))
        parts.append(f"<details><summary>worst, where, how to reproduce</summary>{told}</details>")
    parts.append("</article>\n")
    return "".join(parts)


def curves(contents: Contents) -> Iterator[str]:
    if not contents.charts:
        return
    yield "<h2>Curves</h2>\n<div class=cards>\n"
    for chart in contents.charts:
        drawn = _drawn(chart)
        if drawn:
            yield _figure(chart.title, drawn, [one.name for one in chart.series])
    yield "</div>\n"


def _drawn(chart: Chart) -> str:
    if chart.labels:
        return charts.dot_rows(chart.labels, chart.series, xlabel=chart.ylabel)
    return charts.lines(chart.series, xlabel=chart.xlabel, ylabel=chart.ylabel)


def _figure(title: str, drawing: str, names: list[str]) -> str:
    legend = "".join(
        f'<li><i class="s{i % 5}"></i>{escape(n)}</li>' for i, n in enumerate(names) if n
    )
    legend = f'<ul class="legend">{legend}</ul>' if legend else ""
    return f'<figure class="card">{tag("figcaption", title)}{drawing}{legend}</figure>\n'


def latencies(contents: Contents) -> Iterator[str]:
    if not contents.latencies:
        return
    yield "<h2>Latency</h2>\n"
    yield tag("p", f"machine class: {contents.latencies[0].machine}", class_="soft")
    yield "<div class=cards>\n"
    for one in contents.latencies:
        yield from _latency(one)
    yield "</div>\n"


def _latency(one: Latency) -> Iterator[str]:
    title = f"{one.name}: median {one.median:.4g} ms of {len(one.rounds)} steps"
    yield _figure(title, charts.histogram(one.rounds, xlabel="ms", median=one.median), [])
    if len(one.history.x) > 1:
        drawn = charts.lines([one.history], xlabel="run, oldest first", ylabel="ms", dots=True)
        yield _figure(f"{one.name}: {len(one.history.x)} runs here", drawn, ["median, quartiles"])
