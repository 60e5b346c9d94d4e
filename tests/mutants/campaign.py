"""All mutants of one module against all tests that reach them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mutants.record import Record
from tests.mutants.selftests import SelfTest, SelfTests, silence
from tests.mutants.source import Mutant, Source
from tests.mutants.trial import Fresh, Quick, Trial

BUDGET = 60.0  # CPU seconds, traced, of the tests that one mutant is shown at most
ENDS = ("survived", "hung", "crashed")


class Campaign:
    """The trials of one module: first the quick ones, then what they left open."""

    def __init__(self, source: Source, root: Path, selftests: SelfTests, record: Record) -> None:
        self.source, self.root, self.record = source, root, record
        self.path = source.path.relative_to(root).as_posix()
        self.loaders = selftests.of_module(self.path)
        early = selftests.early.items()
        self.before = {file: lines.get(self.path, frozenset()) for file, lines in early}
        self.importers = {test.file for test in self.loaders} & selftests.importers(self.path)
        self.kills: Counter = Counter()
        self.seconds = {test.name: test.seconds for test in self.loaders}
        self.unfit: set[str] = set()

    def run(self, jobs: int) -> None:
        """Try whatever has no fate yet."""
        for mutant in [m for m in self._open() if not self.tests(m)]:
            self.record.add(mutant, "survived", "", 0)
        quick = [m for m in self._open() if not self.early(m)]
        if quick:
            self._say()
            in_fork(lambda: self._quick(quick, jobs))
            self.record._read()
        rest = self._open()
        if rest:
            fresh = Fresh(self.source, self.root)
            fresh.run([self._clean(rest)], 1, self._note)
            fresh.run(self._trials(rest), jobs, self._told)
        self._say("\n")

    def early(self, mutant: Mutant) -> set[str]:
        """The test files for which it has its effect before a test runs: on import, or collected."""
        files = {test.file for test in self.loaders}
        if mutant.loading:
            return files
        return {file for file in files if self._lines(mutant) & self.before.get(file, frozenset())}

    def tests(self, mutant: Mutant) -> tuple[SelfTest, ...]:
        """Those that reach it, the likeliest and quickest first.

        What has its effect on import is reached by all that execute anything of the module and by
        all tests of a file that imports it; what has it while tests are collected, by that file's.
        """
        able, early = [], self.early(mutant)
        for test in self.loaders:
            executed = test.lines.get(self.path, frozenset())
            reached = executed if mutant.loading else self._lines(mutant) & executed
            if reached or test.file in (self.importers if mutant.loading else early):
                able.append(test)
        able = [test for test in able if test.name not in self.unfit]
        able.sort(key=self._cost)
        spent, kept = 0.0, []
        for test in able:
            spent += self.seconds[test.name]
            if spent > BUDGET:
                break
            kept.append(test)
        return tuple(kept)

    def _cost(self, test: SelfTest) -> float:
        """CPU seconds for each mutant that it may kill."""
        return (self.seconds[test.name] + 0.002) / (self.kills[test.name] + 0.5)

    @staticmethod
    def _lines(mutant: Mutant) -> frozenset[int]:
        return frozenset(range(mutant.lines[0], mutant.lines[1] + 1))

    def _open(self) -> list[Mutant]:
        return [m for m in self.source.mutants if m.key not in self.record.fates]

    def _quick(self, mutants: list[Mutant], jobs: int) -> None:
        """In a fork. What cannot be tried so stays open."""
        silence(0, 1)
        files = sorted({test.file for test in self.loaders})

        def told(trial: Trial, answer: Any) -> None:
            if not trial.mutant:
                self._note(trial, answer)
            elif answer in ENDS or answer[0] != "cannot":
                self._told(trial, answer)

        clean, trials = self._clean(mutants), self._trials(mutants)
        Quick(self.source, self.root).run(clean, trials, jobs, told, files)

    def _clean(self, mutants: list[Mutant]) -> Trial:
        tests = {test.name: test for mutant in mutants for test in self.tests(mutant)}
        return Trial(None, tuple(tests.values()))

    def _trials(self, mutants: list[Mutant]) -> Iterator[Trial]:
        for mutant in mutants:
            yield Trial(mutant, self.tests(mutant))

    def _note(self, trial: Trial, failed: Any) -> None:
        """What the clean twin fails cannot kill a mutant."""
        if isinstance(failed, str):
            raise SystemExit(f"{self.path}: the clean twin: {failed}")
        self.seconds.update(failed[1])
        self.unfit |= set(failed[0])
        for name in failed[0]:
            print(f"\n{name}: fails on the clean code; it is not asked", file=sys.stderr)

    def _told(self, trial: Trial, answer: Any) -> None:
        what, took = (answer, {}) if isinstance(answer, str) else answer
        self.seconds.update(took)
        self.kills[what] += 1
        how, by = (what, "") if what in ENDS else ("killed", what)
        if what == "cannot":
            how, by = "survived", ""
        self.record.add(trial.mutant, how, by, len(trial.tests))
        self._say()

    def _say(self, end: str = "\r") -> None:
        if end == "\r" and not sys.stderr.isatty():
            return
        told = self.record.count()
        text = ", ".join(f"{told[how]} {how}" for how in ("killed", "hung", "crashed", "survived"))
        done = f"{len(self.record.fates)} of {len(self.source.mutants)} mutants"
        print(
            f"{self.path}: {done}: {text}; {now():.0f} CPU s ", end=end, file=sys.stderr, flush=True
        )


def in_fork(body) -> None:
    """Run it in a fork, which is interrupted together with this process."""
    pid = os.fork()
    if not pid:
        try:
            body()
        except KeyboardInterrupt:
            pass
        finally:
            sys.stderr.flush()
            os._exit(0)
    try:
        os.waitpid(pid, 0)
    except KeyboardInterrupt:
        os.waitpid(pid, 0)
        raise


def now() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
