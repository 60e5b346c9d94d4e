"""From the books of a run to its table and its word, by the rules of docs/verdict.md."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins import ledger
from plugins.evidence import NOT_MEASURED
from plugins.ledger import Entry, Ledger

CONFORMANT, NOT_CONFORMANT, INCOMPLETE = "CONFORMANT", "NOT CONFORMANT", "INCOMPLETE"
COLUMNS = (
    *("clause", "backend", "expected", "false_alarms", "measured"),
    *("outcome", "runtime", "seconds"),
)
HEADINGS = tuple(column.replace("_", " ") for column in COLUMNS)
CELL_WIDTH = 34
NAMES_SHOWN = 4
NO_BENCHMARK = "not run (add --benchmark)"
PHRASES = {ledger.ERROR: "ended in error"}
TOOLKIT = re.compile(r" \((torch_aie|mindietorch)[^)]*\)")
STAND_INS = {
    "npu": ("emulated", "npu lane emulated"),
    "a100": ("cpu", "a100 lane on a CPU stand-in"),
}
# The training lane on a card of another kind: hardware, and no statement about an A100.
OTHER_CARD, OTHER_PHRASE = "not an A100", "a100 lane on another card"


@dataclass(frozen=True)
class Scope:
    """What a run set out to judge.

    `lane` is "npu" or "a100" when the user chose just that lane; `partial` says in words that only
    a part of conformance/ was selected; `required` are the capabilities of --require; `refused` is
    the sentence of a usage error; `absent` are the capabilities that this machine lacks.
    """

    lane: str = ""
    partial: str = ""
    required: tuple[str, ...] = ()
    refused: str = ""
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The word of a run, what qualifies it, why it is not better, and what makes a gate red."""

    word: str
    qualifier: str
    reasons: list[str]
    holes: list[str]

    def final_word(self) -> str:
        """The word as a machine reads it: only hardware's own result is a bare CONFORMANT."""
        bare = self.word != CONFORMANT or not self.qualifier
        return self.word if bare else f"{self.word} ({self.qualifier})"

    def headline(self) -> str:
        """The word as a person reads it; a stand-in's result never reads as the hardware's."""
        if not self.qualifier:
            return self.word
        about = "an A100" if self.qualifier == OTHER_PHRASE else "hardware"
        return f"{self.word} ({self.qualifier}; not a statement about {about})"


def judge(books: Ledger, scope: Scope) -> Judgement:
    """Weigh a run: anything failed or stale, else anything missing, else conformant."""
    lane = [entry for entry in books if not scope.lane or scope.lane in entry.lanes]
    entries = [entry for entry in lane if not entry.aside]
    missing = [*_circumstances(books, scope, entries), *_not_judged(entries)]
    broken = [entry for entry in entries if entry.outcome in (ledger.FAILED, ledger.STALE)]
    word = NOT_CONFORMANT if broken else INCOMPLETE if missing else CONFORMANT
    reasons = [*_broken(broken), *missing, *_aside(len(lane) - len(entries))]
    return Judgement(word, _qualifier(entries), reasons, _holes(books, entries, scope))


def _aside(count: int) -> list[str]:
    """What --model-ts leaves out is no gap in a verdict on that file, and is said all the same."""
    return [f"{_tests(count)} {ledger.NOT_ABOUT} (--model-ts)"] if count else []


def _circumstances(books: Ledger, scope: Scope, entries: list[Entry]) -> list[str]:
    reasons = [scope.refused] if scope.refused else []
    if books.interrupted:
        reasons.append("interrupted")
    if books.broken:
        reasons.append(f"could not be collected: {', '.join(books.broken)}")
    if scope.partial:
        reasons.append(scope.partial)
    if not any(entry.outcome in ledger.JUDGED for entry in entries):
        reasons.append("nothing was judged")
    retried = [entry for entry in entries if entry.attempts > 1]
    if retried:
        reasons.append(f"needed a second try: {_some(entry.clause for entry in retried)}")
    return reasons + books.gaps + books.remarks


def _not_judged(entries: list[Entry]) -> list[str]:
    reasons = []
    for outcome in (ledger.ERROR, ledger.INCONCLUSIVE, ledger.NOT_RUN, ledger.DESELECTED):
        reasons += _grouped(entries, outcome)
    return reasons + _grouped(entries, ledger.SKIPPED)


def _grouped(entries: list[Entry], outcome: str) -> list[str]:
    by_reason: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.outcome == outcome:
            by_reason.setdefault(entry.reason, []).append(entry)
    return [_sentence(outcome, reason, group) for reason, group in by_reason.items()]


def _sentence(outcome: str, reason: str, group: list[Entry]) -> str:
    if reason == NO_BENCHMARK:
        return f"{_some(entry.chapter for entry in group)} {NO_BENCHMARK}"
    cause = f" ({reason})" if reason else ""
    clauses = _some(entry.clause for entry in group)
    return f"{_tests(len(group))} {PHRASES.get(outcome, outcome)}{cause}: {clauses}"


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _some(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = [f"{len(unique) - NAMES_SHOWN} more"] if len(unique) > NAMES_SHOWN else []
    return ", ".join(unique[:NAMES_SHOWN] + more)


def _broken(entries: list[Entry]) -> list[str]:
    return [f"{entry.outcome}: {entry.title()}: {entry.reason}" for entry in entries]


def _qualifier(entries: list[Entry]) -> str:
    judged = [entry for entry in entries if entry.outcome in ledger.JUDGED]
    phrases = [
        phrase
        for lane, (sign, phrase) in STAND_INS.items()
        if any(lane in entry.lanes and entry.runtime.startswith(sign) for entry in judged)
    ]
    if any(OTHER_CARD in entry.runtime for entry in judged):
        phrases.append(OTHER_PHRASE)
    return ", ".join(phrases)


def _holes(books: Ledger, entries: list[Entry], scope: Scope) -> list[str]:
    """What turns a run with --require red although nothing failed."""
    holes = [scope.partial] if scope.required and scope.partial else []
    holes += [*books.overdue, *books.trouble, *(books.gaps if scope.required else ())]
    for capability in scope.required:
        mine = [entry for entry in entries if entry.belongs_to(capability)]
        if not any(e.outcome in ledger.JUDGED and e.runtime not in ledger.DEVICELESS for e in mine):
            holes.append(f"--require {capability}: nothing that needs it was judged")
        open_ones = [entry for entry in mine if _is_hole(entry, capability, scope)]
        if open_ones:
            names = _some(f"{entry.clause} {entry.outcome}" for entry in open_ones)
            holes.append(f"--require {capability}: not judged on it: {names}")
    return holes


def _is_hole(entry: Entry, capability: str, scope: Scope) -> bool:
    if entry.attempts > 1:
        return True
    if entry.outcome in ledger.JUDGED:
        sign, _ = STAND_INS.get(capability, ("", ""))
        return bool(sign) and capability in entry.lanes and entry.runtime.startswith(sign)
    if entry.outcome == ledger.SKIPPED and entry.reason.startswith("needs "):
        missing = entry.reason[len("needs ") :]
        return missing in scope.required or missing not in scope.absent
    return True


def rows(books: Iterable[Entry], rates: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per subject, clause, backend and figure, as the table and verdict.json show them.

    rates: clause -> how often it was wrong about a clean product, in words; see plugins/evidence.py.
        They are of stand-ins, and a row of hardware says so.
    """
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in books:
        groups.setdefault((entry.subject, entry.clause, entry.backend), []).append(entry)
    return [
        {**row, "false_alarms": _rate(group, rates.get(row["clause"], NOT_MEASURED))}
        for key, group in groups.items()
        for row in _rows_of(key, group)
    ]


def _rate(group: list[Entry], rate: str) -> str:
    told = rate != NOT_MEASURED and any(map(_on_hardware, group))
    return f"{rate} on stand-ins" if told else rate


def _on_hardware(entry: Entry) -> bool:
    signs = tuple(STAND_INS[lane][0] for lane in entry.lanes)
    aside = entry.runtime in (*ledger.DEVICELESS, "") or entry.runtime.startswith(signs)
    return _ran(entry) and bool(signs) and not aside


def _ran(entry: Entry) -> bool:
    return entry.outcome not in (ledger.NOT_RUN, ledger.DESELECTED, ledger.SKIPPED)


def _rows_of(key: tuple[str, str, str], group: list[Entry]) -> list[dict[str, Any]]:
    subject, clause, backend = key
    row = {
        "subject": subject,
        "clause": clause,
        "backend": backend,
        "outcome": _outcome_cell(group),
        "runtime": " + ".join(dict.fromkeys(entry.runtime for entry in group if _ran(entry))),
        "seconds": sum(entry.seconds for entry in group),
        "tests": len(group),
    }
    figures: dict[str, list[dict[str, Any]]] = {}
    for entry in group:
        for figure in entry.figures:
            figures.setdefault(str(figure.get("name", "")), []).append(figure)
    if not figures:
        said = next((entry for entry in group if entry.expected), group[0])
        return [{**row, "expected": said.expected, "measured": said.measured}]
    return [{**row, **_figure_cells(name, some)} for name, some in figures.items()]


def _figure_cells(name: str, figures: list[dict[str, Any]]) -> dict[str, str]:
    unit = str(figures[0].get("unit") or "")
    cells = {
        column: _range([figure.get(column) for figure in figures], unit)
        for column in ("expected", "measured")
    }
    runtimes = dict.fromkeys(str(one["runtime"]) for one in figures if one.get("runtime"))
    if runtimes:
        cells["runtime"] = " + ".join(runtimes)
    return {**cells, "measured": f"{cells['measured']} {name}".strip()}


def _range(values: list[Any], unit: str) -> str:
    numbers = [one for one in values if isinstance(one, (int, float)) and math.isfinite(one)]
    if numbers and len(numbers) == len(values):
        low, high = f"{min(numbers):.4g}", f"{max(numbers):.4g}"
        return f"{low if low == high else f'{low}..{high}'} {unit}".strip()
    return ", ".join(dict.fromkeys(str(one) for one in values if one not in (None, "")))


def _outcome_cell(group: list[Entry]) -> str:
    outcome = ledger.worst(group)
    waivers = dict.fromkeys(entry.waiver for entry in group if entry.waiver)
    names = f" {', '.join(waivers)}" if waivers and outcome in (ledger.WAIVED, ledger.STALE) else ""
    count = sum(entry.outcome == outcome for entry in group)
    if len(group) == 1:
        return outcome + names
    if outcome == ledger.SKIPPED and count < len(group):  # what was judged is news too
        counts = Counter(entry.outcome for entry in group)
        kinds = [one for one in (ledger.PASSED, ledger.WAIVED, ledger.SKIPPED) if counts[one]]
        return ", ".join(f"{one} {counts[one]}" for one in kinds)
    return f"{outcome}{names} {count}" + ("" if count == len(group) else f" of {len(group)}")


def table(cells: list[dict[str, Any]]) -> list[str]:
    """The rows as aligned text, grouped by subject; what was not selected is one line."""
    every, cells = cells, [row for row in cells if not _left_out(row)]
    left = len(every) - len(cells)
    rest = [f"  {left} rows that were not selected are in verdict.json"] * bool(left)
    if not cells:
        return rest
    texts = [[_cell(row, column) for column in COLUMNS] for row in cells]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *texts)]
    lines = {row["subject"]: [row["subject"]] for row in cells}
    for row, text in zip(cells, texts):
        lines[row["subject"]].append(_line(text, widths))
    return [_line(HEADINGS, widths), *(line for some in lines.values() for line in some), *rest]


def _left_out(row: dict[str, Any]) -> bool:
    return re.fullmatch(rf"{ledger.DESELECTED}( \d+)?", row["outcome"]) is not None


def _cell(row: dict[str, Any], column: str) -> str:
    text = f"{row[column]:.1f}" if column == "seconds" else str(row[column]) or "-"
    text = TOOLKIT.sub("", text) if column == "runtime" else text
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 3] + "..."


def _line(texts: Sequence[str], widths: list[int]) -> str:
    return "  " + "  ".join(f"{text:<{width}}" for text, width in zip(texts, widths)).rstrip()
