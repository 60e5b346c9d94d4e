"""The report as one HTML file: no network, no foreign script, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from pathlib import Path

from plugins import judgement, ledger
from plugins.report import cards, tables
from plugins.report.contents import Contents
from plugins.report.markup import TONES, listed, tag

HERE = Path(__file__).resolve().parent
WORDS = {
    judgement.NOT_CONFORMANT: "bad",
    judgement.INCOMPLETE: "open",
    judgement.CONFORMANT: "good",
}
ON_CARDS = (f"{ledger.FAILED}: ", f"{ledger.STALE}: ")  # reasons that a card tells better


def html(contents: Contents) -> str:
    """The whole page; its policy lets nothing run or load that is not in it."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    word = str(contents.verdict["word"])
    sections = (
        *(_top, cards.trouble, tables.judged, cards.shifted, cards.curves, cards.latencies),
        *(tables.evidence, tables.environment, tables.not_run, _foot),
    )
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(word)}: RetinaNet conformance</title>\n<style>\n{style}</style>\n",
            "</head>\n<body>\n",
            *(part for section in sections for part in section(contents)),
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _bare(headline: str) -> tuple[str, str]:
    """The word, and what qualifies it."""
    word, _, rest = headline.partition(" (")
    return word, rest.rstrip(")")


def _top(contents: Contents) -> Iterator[str]:
    verdict = contents.verdict
    word, qualifier = _bare(verdict["headline"])
    yield f"<header>\n{tag('h1', word, class_=WORDS.get(word, 'bad'))}\n"
    if qualifier:
        yield tag("p", f"STAND-IN: {qualifier}", class_="standin")
    yield tag("p", "May this RetinaNet ship? What one run of the suite found.", class_="soft")
    chips = sorted(verdict["counts"].items(), key=lambda item: ledger.SEVERITY.index(item[0]))
    yield '<ul class="chips">'
    for outcome, count in chips:
        yield "<li>" + tag("span", f"{count} {outcome}", class_=f"chip {TONES[outcome]}") + "</li>"
    yield "</ul>\n"
    yield from listed([f"red: {hole}" for hole in verdict["holes"]], "why bad")
    yield from listed([one for one in verdict["reasons"] if not one.startswith(ON_CARDS)], "why")
    lanes = "; ".join(f"{lane} on {on}" for lane, on in verdict["environment"]["lanes"].items())
    yield "<dl class=facts>"
    for name, value in {
        "when": f"{verdict['started']} to {verdict['ended']}",
        "suite": verdict["suite"],
        "lanes": lanes,
        "command": " ".join(verdict["command"]),
        "exit code": verdict["exit_code"],
    }.items():
        yield tag("dt", name) + tag("dd", value)
    yield "</dl>\n</header>\n<main>\n"


def _foot(contents: Contents) -> Iterator[str]:
    judged = {name: sha for test in contents.tests for name, sha in test["hashes"].items()}
    if judged:
        yield "<h2>What was judged, by content</h2>\n<details>"
        yield tag("summary", f"{len(judged)} hashes") + "<dl class=facts>"
        for name, sha in sorted(judged.items()):
            yield tag("dt", name) + f"<dd>{tag('code', sha[:16])}</dd>"
        yield "</dl></details>\n"
    yield "</main>\n<footer>\n"
    links = ("verdict.json", "junit.xml", "certificate/manifest.json", "summary.md")
    beside = " ".join(f'<a href="{name}">{name}</a>' for name in links)
    yield f"<p>Beside this file: {beside}</p>\n</footer>\n"
