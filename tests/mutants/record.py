"""What became of each mutant: kept while neither the module nor the tests that decided change."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.mutants import operators
from tests.mutants import source as source_module
from tests.mutants.source import Mutant, Source

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.9 and 3.10
    import tomli as tomllib


def _digest(*texts: str) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


# Other operators make other mutants, of which nothing is known.
OPERATORS = _digest(*(inspect.getsource(module) for module in (operators, source_module)))
KEYS = {"file", "line", "operator", "before", "after", "turns", "reason"}


@dataclass(frozen=True)
class Fate:
    """What became of a mutant.

    Args:
        how: "killed", "hung" or "crashed" (both count as killed), or "survived".
        by: the test that failed, if one did.
        asked: the number of tests that reach it; 0 where none does.
        basis: a digest of what decided: the test's file, or of a survivor all that could have.
    """

    how: str
    by: str
    asked: int
    basis: str


class Record:
    """The fates of the mutants of one module, in a file of lines that is added to."""

    def __init__(
        self, root: Path, folder: Path, source: Source, state: Optional[dict[str, str]]
    ) -> None:
        """`state`: digests of each test file, and of all under ""; None to take what is there."""
        self.state = state
        self.path = folder / f"{source.path.relative_to(root).as_posix().replace('/', '.')}.jsonl"
        self.head = {"source": _digest(source.text), "operators": OPERATORS}
        self.fates: dict[str, Fate] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._read()

    def _read(self) -> None:
        rows = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        found = [json.loads(row) for row in rows if row.endswith("}")]
        if not found or found[0] != self.head:
            return
        for row in found[1:]:
            key, fate = row["key"], Fate(**row["fate"])
            if self.state is None or fate.basis == self._basis(fate):
                self.fates[key] = fate

    def add(self, mutant: Mutant, how: str, by: str, asked: int) -> None:
        fate = Fate(how, by, asked, "")
        fate = Fate(how, by, asked, self._basis(fate))
        row = json.dumps({"key": mutant.key, "fate": fate.__dict__}) + "\n"
        if not self.fates:
            self.path.write_text(json.dumps(self.head) + "\n", encoding="utf-8")
        self.fates[mutant.key] = fate
        with self.path.open("a", encoding="utf-8") as file:
            file.write(row)

    def _basis(self, fate: Fate) -> str:
        file = fate.by.split("::")[0]
        return self.state.get(file, "gone") if file.startswith("tests/") else self.state[""]

    def count(self) -> Counter:
        return Counter(fate.how for fate in self.fates.values())


@dataclass(frozen=True)
class Equivalent:
    """A change that no test can notice, and why.

    line: the source line, stripped. before, after: empty for any. turns: which of several alike on
    the line, from 0; empty for all.
    """

    file: str
    line: str
    operator: str
    reason: str
    before: str = ""
    after: str = ""
    turns: tuple[int, ...] = ()

    def fits(self, file: str, mutant: Mutant) -> bool:
        return (
            (self.file, self.line, self.operator) == (file, mutant.text, mutant.operator)
            and self.before in ("", mutant.before)
            and self.after in ("", mutant.after)
            and (not self.turns or mutant.turn in self.turns)
        )


def read_equivalents(path: Path) -> list[Equivalent]:
    """The entries of equivalent.toml; one sentence ends the run where they are not well-formed."""
    if not path.exists():
        return []
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    for number, row in enumerate(rows, 1):
        strange = set(row) - KEYS or {"file", "line", "operator", "reason"} - set(row)
        if strange or not row["reason"].strip():
            raise SystemExit(f"{path}: entry {number}: look at {', '.join(strange) or 'reason'}")
    return [Equivalent(**row) for row in rows]


def check_equivalents(known: list[Equivalent], sources: dict[str, Source], records: dict) -> None:
    """Each entry matches a mutant, and every mutant that it matches survived."""
    for one in (one for one in known if one.file in sources):
        matched = [m for m in sources[one.file].mutants if one.fits(one.file, m)]
        if not matched:
            raise SystemExit(
                f"equivalent.toml: {one.file}: no mutant is {one.operator}: {one.line}"
            )
        for mutant in matched:
            fate = records[one.file].fates.get(mutant.key)
            if fate and fate.how != "survived":
                raise SystemExit(
                    f"equivalent.toml: {one.file}: {mutant.before} -> {mutant.after} in"
                    f" '{one.line}' is no equivalent: it is {fate.how} by {fate.by or 'itself'}"
                )
