"""Does a self-test notice a mutant? Each is tried in a fork, where the tests that reach it run.

The quick way: the tests are collected once on the clean code; in a fork the mutated functions get
their new code in place, and the tests run at once. A mutant that has its effect earlier, on import or
while tests are collected, is tried in a fork of a process that has imported nothing of ours.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.mutants import forks
from tests.mutants.selftests import WORDS, SelfTest, leave_alone, silence
from tests.mutants.source import Mutant, Source


@dataclass(frozen=True)
class Trial:
    """A mutant and the tests that may notice it, in the order in which they are asked."""

    mutant: Optional[Mutant]  # None: the clean twin
    tests: tuple[SelfTest, ...]


# The answer of a trial is [what, {test: CPU seconds}]; what is "survived", "cannot", or the name of the
# test that failed; of the clean twin, the names of all that failed. Or it is one word or two of what went
# wrong: "hung", "crashed", and of the clean twin alone that it did not run all.
Told = Callable[[Trial, Any], None]


class Judge:
    """A pytest plugin that runs the tests of a trial in their order until one fails."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.seconds = {test.name: test.seconds for test in trial.tests}
        self.failed: list[str] = []
        self.took: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[test.name] for test in self.trial.tests if test.name in found]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        leave_alone()  # of what the tests imported, too: some run a pytest of their own
        self.run(session.items)
        return True

    def run(self, items: list) -> None:
        for item, following in zip(items, [*items[1:], None]):
            forks.limit(self.seconds[item.nodeid])
            began = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.took[item.nodeid] = round(time.process_time() - began, 4)
            if self.failed and self.trial.mutant:
                return

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def answer(self) -> Any:
        complete = len(self.took) == len(self.trial.tests)
        if not self.trial.mutant:
            return [self.failed, self.took] if complete else "did not run all its tests"
        what = self.failed[0] if self.failed else "survived" if complete else "cannot"
        return [what, self.took]


class Fresh:
    """The slow way: a fork imports the mutated module and all that asks it."""

    def __init__(self, source: Source, root: Path) -> None:
        self.source, self.root = source, root
        name = ".".join(source.path.relative_to(root).with_suffix("").parts)
        self.name = name.removesuffix(".__init__")

    def run(self, trials: Iterable[Trial], jobs: int, told: Told) -> None:
        for trial, answer in forks.fork_each(trials, self._try, jobs):
            told(trial, answer)

    def _try(self, trial: Trial) -> Any:
        silence()
        forks.limit(20)
        sys.meta_path.insert(0, Finder(self.name, self.source, trial.mutant))
        try:
            importlib.import_module(self.name)
        except BaseException as error:  # a module that cannot be imported is noticed
            return [f"import: {type(error).__name__}", {}]
        leave_alone()
        files = sorted({test.file for test in trial.tests})
        judge = Judge(trial)
        pytest.main([*files, *WORDS, f"--rootdir={self.root}"], plugins=[judge])
        return judge.answer()


class Quick(Fresh):
    """The quick way: a pytest plugin that tries all mutants where its tests would have run."""

    def run(self, clean: Trial, trials: Iterable[Trial], jobs: int, told: Told, files: list[str]):
        """In a fork: collect the tests of some files, run the clean twin, then try each mutant."""
        importlib.import_module(self.name)
        leave_alone()
        self.clean_twin, self.trials, self.jobs, self.told = clean, trials, jobs, told
        pytest.main([*files, *WORDS, f"--rootdir={self.root}"], plugins=[self])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        leave_alone()
        self.session, self.clean = session, self.source.code()
        self.items = {item.nodeid: item for item in session.items}
        self.functions = functions_of(self.clean)
        gc.collect()
        gc.freeze()
        for trials, jobs in (([self.clean_twin], 1), (self.trials, self.jobs)):
            for trial, answer in forks.fork_each(trials, self._swapped, jobs):
                self.told(trial, answer)
        return True

    def _swapped(self, trial: Trial) -> Any:
        gc.disable()
        if trial.mutant:
            mutated = self.source.code(trial.mutant)
            if not swap(self.functions, self.clean, mutated):
                return ["cannot", {}]
        judge = Judge(trial)
        self.session.config.pluginmanager.register(judge)
        judge.run([self.items[test.name] for test in trial.tests if test.name in self.items])
        return judge.answer()


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, mutated."""

    def __init__(self, name: str, source: Source, mutant: Optional[Mutant]) -> None:
        self.name, self.source, self.mutant = name, source, mutant

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name != self.name:
            return None
        path = self.source.path
        inside = [str(path.parent)] if path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, path, loader=self, submodule_search_locations=inside
        )

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.source.code(self.mutant), module.__dict__)


def functions_of(code: types.CodeType) -> dict[types.CodeType, list]:
    """The living functions of a module, by their code."""
    wanted: dict = {one: [] for one, _ in pairs(code, code)}
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__code__.co_filename == code.co_filename:
            if one.__code__ in wanted:
                wanted[one.__code__].append(one)
    return wanted


def swap(functions: dict, clean: types.CodeType, mutated: types.CodeType) -> bool:
    """Give the functions their mutated code; whether one has got another."""
    swapped = False
    for old, new in pairs(clean, mutated):
        if old != new:
            for function in functions.get(old, ()):
                try:
                    function.__code__ = new
                except ValueError:  # it closes over something else
                    return False
                swapped = True
    return swapped


def pairs(old: types.CodeType, new: types.CodeType) -> Iterator[tuple]:
    """The code of two versions of a module, function by function."""
    yield old, new
    inner = [[c for c in code.co_consts if isinstance(c, types.CodeType)] for code in (old, new)]
    if len(inner[0]) == len(inner[1]):
        for one, other in zip(*inner):
            yield from pairs(one, other)
