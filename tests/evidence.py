"""python -m tests.evidence: docs/evidence.md, written from golden/evidence/*.json and tests/census/found.toml.

With --check nothing is written, and the exit code is 1 where the page is not what would be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plugins import evidence
from plugins.store import read_toml, write_atomically

HOUSE = Path(__file__).resolve().parents[1]
PAGE = HOUSE / "docs" / "evidence.md"
HEAD = """\
# Is the judge to be believed?

A suite is worth what it catches, and what it leaves alone. Both are measured; this page is written by
`python -m tests.evidence` from `golden/evidence/*.json`, where each file says by which command, on what
and when. Nothing on it is typed by hand, but the causes of past false alarms.
"""


def page(root: Path = HOUSE) -> str:
    """The whole page as Markdown."""
    parts = (_summary, _matrix, _inexpressible, _mutants, _alarms, _past, _sensitivity)
    return "\n".join([HEAD, *(line for part in parts for line in part(root))]) + "\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table; what would break a cell is escaped."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return [*lines, *("| " + " | ".join(map(cell, row)) + " |" for row in rows), ""]


def cell(value: Any) -> str:
    """One cell: numbers short, no character with a meaning in Markdown tables or HTML."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    for old, new in (("|", "\\|"), ("<", "&lt;"), ("\n", " ")):
        text = text.replace(old, new)
    return text


def _summary(root: Path) -> Iterator[str]:
    rows = [(what, figure, f"`{command}`") for what, figure, command in evidence.summary(root)]
    yield from table(("what", "measured", "again with"), rows)
    yield "The page itself: `make evidence`. A census or a matrix that stopped goes on where it was.\n"


def _matrix(root: Path) -> Iterator[str]:
    content = evidence.read(root, "faults")
    yield "## Seeded faults\n"
    yield from _provenance(content, "make bite")
    faults = content.get("faults", [])
    layers: dict[str, list[Mapping]] = {}
    for one in faults:
        layers.setdefault(one["id"].partition("/")[0], []).append(one)
    yield from table(
        ("layer", "faults", "caught", "by the clause for it", "cause named", "missed", "seconds"),
        [_counts(name, some) for name, some in [*layers.items(), ("all", faults)] if some],
    )
    twins = content.get("twins", [])
    loud = [one for one in twins if one["alarms"]]
    yield f"Clean twins: {len(twins)} judged, {len(loud)} with an alarm.\n"
    yield from (f"- {one['layer']}, {one['name']}: {one['alarms'][0]}" for one in loud)
    missed = [one for one in faults if not one["caught"]]
    if missed:
        yield "\n### Missed\n"
        rows = [(one["id"], one["breaks"], one["missed"] or "nobody knows yet") for one in missed]
        yield from table(("fault", "what it breaks", "why nothing catches it"), rows)
    for name, some in layers.items():
        yield f"### {name}\n"
        yield from table(
            ("fault", "what it breaks", "caught by", "first line", "cause", "s"),
            [_fault(one) for one in some if one["caught"]],
        )


def _counts(name: str, faults: Sequence[Mapping]) -> tuple:
    caught = [one for one in faults if one["caught"]]
    right = sum(one["by"] == one["clause"] for one in caught)
    named = sum(bool(one["names_cause"]) for one in faults)
    seconds = round(sum(one["seconds"] for one in faults))
    return name, len(faults), len(caught), right, named, len(faults) - len(caught), seconds


def _fault(one: Mapping) -> tuple:
    other = "" if one["by"] == one["clause"] else f" (meant: {one['clause']})"
    name, named = one["id"].partition("/")[2], "named" if one["names_cause"] else "-"
    return name, one["breaks"], one["by"] + other, one["line"], named, f"{one['seconds']:.1f}"


def _inexpressible(root: Path) -> Iterator[str]:
    rows = evidence.read(root, "faults").get("inexpressible", [])
    if rows:
        yield "## Faults that cannot be seeded without the hardware\n"
        cells = [(one["kind"], one["fault"], one["reason"]) for one in rows]
        yield from table(("kind", "fault", "why not"), cells)


def _mutants(root: Path) -> Iterator[str]:
    content = evidence.read(root, "mutants")
    yield "## Mutants of the judge\n"
    yield from _provenance(content, evidence.COMMANDS["mutants"])
    files = content.get("files", {})
    heads = (
        "file",
        "mutants",
        "killed",
        "hung",
        "crashed",
        "equivalent",
        "survived",
        "killed of able",
    )
    yield from table(heads, [_mutated(name, one) for name, one in files.items()])
    for title, key in (("Survivors", "survived"), ("Equivalent, and why", "equivalent")):
        rows = [_change(name, row) for name, one in files.items() for row in one[key]]
        if rows:
            yield f"### {title}\n"
            yield from table(("where", "change", "reason"), rows)


def _mutated(name: str, one: Mapping) -> tuple:
    alike, left = len(one["equivalent"]), len(one["survived"])
    killed = sum(one[how] for how in evidence.KILLED)
    share = evidence.percent(killed / max(one["mutants"] - alike, 1), 3)
    counts = (one[key] for key in ("mutants", "killed", "hung", "crashed"))
    return (f"`{name}`", *counts, alike, left, share)


def _change(name: str, row: Mapping) -> tuple:
    where = f"`{name}:{row['line']}`"
    return where, f"{row['operator']}: {row['before']} -> {row['after']}", row.get("reason", "open")


def _alarms(root: Path) -> Iterator[str]:
    content = evidence.read(root, "census")
    yield "## False alarms\n"
    yield from _provenance(content, "make census")
    yield "A clean product is judged again and again; whatever fails is a false alarm. The bound is Clopper"
    yield "and Pearson's at 95 %. Weights, exports, images and seeds differ from run to run; `load` is what"
    yield "else ran: the largest load average during a run. Half of the trainings have the contract's seed, for"
    yield "clauses that compare with a record of it; a clause that this seed decides is counted with others.\n"
    heads = ("condition", "lane", "torch", "threads", "disturbance", "runs")
    yield from table(heads, [[one[head] for head in heads] for one in conditions(content)])
    clauses = content.get("clauses", {})
    heads = ("statistical clause", "clean runs", "alarms", "at most", "nominal", "confirmed by")
    chance = {name: one for name, one in clauses.items() if one["kind"] == "statistical"}
    yield from table(heads, [_statistical(name, one) for name, one in chance.items()])
    yield from (f"- `{name}`: {one['arithmetic']}." for name, one in chance.items())
    yield "\nDeterministic clauses, nominal rate 0, those of like counts together:\n"
    heads = ("clauses", "clean runs", "alarms", "rate at most", "tests")
    yield from table(heads, list(_alike(clauses)))
    noise = content.get("noise", {})
    if noise:
        yield "What rounding (`numerics.recipe` by backend) and chance used of tolerances in all these runs: 1"
        yield "would be an alarm, far below 1 a tolerance too wide.\n"
        yield from table(("where: what", "largest"), list(noise.items()))


def conditions(content: Mapping) -> list[dict]:
    """Under which conditions clean products were judged; the column of the name is `condition`."""
    return [{**one, "condition": one["name"]} for one in content.get("conditions", [])]


def _statistical(name: str, one: Mapping) -> tuple:
    by = one.get("simulated")
    said = f"{by['alarms']} of {by['runs']} simulated: {by['by']}" if by else "arithmetic alone"
    bound = evidence.percent(one["upper_95"]) if one["runs"] else "-"
    return f"`{name}`", one["runs"], one["alarms"], bound, evidence.percent(one["nominal"]), said


def _alike(clauses: Mapping[str, Mapping]) -> Iterator[tuple]:
    """Deterministic clauses by their counts, alarms first, then those that were judged most often."""
    groups: dict[tuple, list[str]] = {}
    for name, one in clauses.items():
        if one["kind"] != "statistical":
            key = (-one["alarms"], -one["runs"], one["upper_95"])
            groups.setdefault(key, []).append(name)
    for (alarms, runs, bound), names in sorted(groups.items()):
        tests = sum(clauses[name]["tests"] for name in names)
        said = ", ".join(f"`{name}`" for name in names)
        yield said, -runs, -alarms, evidence.percent(bound) if runs else "-", tests


def _past(root: Path) -> Iterator[str]:
    alarms = read_toml(root / "tests" / "census" / "found.toml").get("alarm", [])
    if alarms:
        yield "\n### What the census found, and what was changed\n"
        cells = [(f"`{a['clause']}`", a["runs"], a["cause"], a["cure"]) for a in alarms]
        yield from table(("clause", "alarms", "cause", "cure"), cells)


def _sensitivity(root: Path) -> Iterator[str]:
    content = evidence.read(root, "sensitivity")
    yield "## Sensitivity\n"
    yield from _provenance(content, evidence.COMMANDS["sensitivity"])
    yield "The smallest seeded deviation that fails; each contract has them beside its tolerances, with the"
    yield "meaning of each name. Those of the training lane stand in the derivations of `training.toml`.\n"
    rows = []
    for name, one in content.get("tolerances", {}).items():
        allowed = ", ".join(f"{key} {value:.3g}" for key, value in one["figures"].items())
        caught = ", ".join(f"{key} {value:g}" for key, value in one["caught"].items())
        rows.append((f"`{name}`", allowed or "exact", caught))
    yield from table(("contract and table", "allowed", "caught from"), rows)


def _provenance(content: Mapping, command: str) -> Iterator[str]:
    """Where the figures of a section come from."""
    if not content:
        yield f"Not measured yet: `{command}`.\n"
        return
    facts = {k: v for k, v in content.get("provenance", {}).items() if k != "command"}
    said = "; ".join(f"{name} {_listed(value)}" for name, value in facts.items())
    yield f"`{content['provenance'].get('command', command)}`: {said}.\n"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def main(words: Sequence[str]) -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in words:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text)
    write_atomically(PAGE, text.encode("utf-8"))
    print(f"written: {PAGE.relative_to(HOUSE)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
