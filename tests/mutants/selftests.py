"""The self-tests: which pass on the clean code, which lines of ours each executes, how long it takes.

What a test finds in a cache that another test filled, it does not execute: it is not asked about that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants import forks
from tests.mutants.imports import Imports

# tests/conftest.py is in force and the house's own is not: it loads every plugin, for all tests.
WORDS = ["-q", "--tb=no", "--confcutdir=tests", "-p", "no:cacheprovider"]
SPARED = ("hypothesispytest", "unraisableexception", "threadexception", "benchmark", "xdist")
WORDS += [word for name in SPARED for word in ("-p", f"no:{name}")]
WORDS += ["-o", "required_plugins="]  # pytest-benchmark is one
SLOWEST = 6.0  # CPU seconds, traced: a slower test is not asked
# Files that are not asked, and why: none is about the code of the judge.
NOT_ASKED = {
    "start programs or frameworks": (
        *(
            "aie_adapter",
            "architecture",
            "backbone",
            "bite_runner",
            "bite_sources",
            "bites",
            "cache",
            "charts",
            "ci_pages",
            "device_nms_placement",
        ),
        *("docs", "emulator", "gpu_state", "mutant_sources", "mutants", "ops", "ops_library"),
        *("ops_neighbours", "ops_roi", "oracle", "photographs", "process", "programs", "protocol"),
        *("report", "report_browser", "requirements", "shapes_set", "shards"),
        *("training_data", "training_driver", "training_lane", "training_samples"),
        *("training_sampling", "training_set", "training_torchrun", "weights"),
    ),
}


@dataclass(frozen=True)
class SelfTest:
    """One test of a file: seconds of CPU time (traced), and the lines of ours that it executes."""

    name: str
    seconds: float
    lines: dict[str, frozenset[int]]

    @property
    def file(self) -> str:
        return self.name.split("::")[0]


def asked(root: Path) -> list[str]:
    """The test files that may kill a mutant."""
    spared = {name for names in NOT_ASKED.values() for name in names}
    found = sorted((root / "tests").glob("test_*.py"))
    return [f"tests/{path.name}" for path in found if path.stem[len("test_") :] not in spared]


def digest(path: Path) -> str:
    """Of a file's bytes, or of nothing where it is gone."""
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()[:16]


class SelfTests:
    """The clean twin's record, by test file, kept in a folder as long as nothing that it ran changes."""

    def __init__(self, root: Path, folder: Path, words: Sequence[str] = ()) -> None:
        """`words`: ask only the test files of which the name contains one; empty for all."""
        self.root, self.folder, self.words = root, folder, words
        self.tests: dict[str, list[SelfTest]] = {}
        self.loaded: dict[str, dict[str, str]] = {}  # test file -> file of ours -> digest
        self.early: dict[
            str, dict[str, frozenset[int]]
        ] = {}  # test file -> what it ran before tests

    def read(self, modules: list[str], jobs: int) -> Iterator[tuple[str, int]]:
        """(test file, tests that pass) as they become known; of those that can load a module."""
        new, known = [], Imports(self.root)
        for file in asked(self.root):
            if self.words and not any(word in file for word in self.words):
                continue
            if not known.reached(file) & set(modules):
                continue
            if self._kept(file):
                yield file, len(self.tests[file])
            else:
                new.append(file)
        for file, found in forks.fork_each(new, self._trace, jobs):
            if isinstance(found, str):
                raise SystemExit(f"{file}: the clean run {found}")
            self._store(file, found)
            yield file, len(self.tests[file])

    def of_module(self, path: str) -> list[SelfTest]:
        """The tests of all files that load the module."""
        files = [file for file, loaded in self.loaded.items() if path in loaded]
        return [test for file in files for test in self.tests[file]]

    def importers(self, path: str) -> set[str]:
        """The test files that import the module themselves."""
        known = Imports(self.root)
        return {file for file in self.loaded if path in known.named(file)}

    def stale(self, path: str) -> bool:
        """Whether the module is another than the one that was executed."""
        now = digest(self.root / path)
        return any(loaded.get(path, now) != now for loaded in self.loaded.values())

    def state(self, path: str) -> dict[str, str]:
        """Digests of each test file of a module, and of all that its tests consist of under ""."""
        found = {file: d for file, d in self.loaded.items() if path in d}
        text = json.dumps(found, sort_keys=True).encode()
        each = {file: d.get(file, "") for file, d in found.items()}
        return {**each, "": hashlib.sha256(text).hexdigest()[:16]}

    def _place(self, file: str) -> Path:
        return self.folder / "clean" / f"{Path(file).stem}.json"

    def _kept(self, file: str) -> bool:
        place = self._place(file)
        if not place.exists():
            return False
        found = json.loads(place.read_text(encoding="utf-8"))
        self._take(file, found)
        return all(digest(self.root / path) == known for path, known in found["loaded"].items())

    def _store(self, file: str, found: dict) -> None:
        place = self._place(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(found), encoding="utf-8")
        self._take(file, found)

    def _take(self, file: str, found: dict) -> None:
        self.loaded[file] = found["loaded"]
        self.early[file] = {path: frozenset(lines) for path, lines in found["early"].items()}
        self.tests[file] = [
            SelfTest(name, seconds, {path: frozenset(lines[path]) for path in lines})
            for name, seconds, lines in found["tests"]
        ]

    def _trace(self, file: str) -> dict:
        """In a fork: run a test file on the clean code."""
        forks.limit(120)
        silence()
        tracer = Tracer(self.root)
        with tracer.watching(tracer.early):
            pytest.main([file, *WORDS, f"--rootdir={self.root}"], plugins=[tracer])
        mine = {file, *(path for path in map(self._ours, list(sys.modules.values())) if path)}
        loaded = {path: digest(self.root / path) for path in sorted(mine | tracer.seen())}
        early = {path[len(tracer.root) :]: sorted(lines) for path, lines in tracer.early.items()}
        return {"loaded": loaded, "early": early, "tests": tracer.passed()}

    def _ours(self, module: object) -> str:
        path = getattr(module, "__file__", None) or ""
        inside = path.startswith(f"{self.root}{os.sep}") and path.endswith(".py")
        mine = inside and "site-packages" not in path and "/tests/mutants/" not in path
        return os.path.relpath(path, self.root) if mine else ""


class Tracer:
    """A pytest plugin: the lines of `root` that each test executes, from its setup to its end.

    early: those of functions that are executed when no test runs: while tests are collected.
    """

    def __init__(self, root: Path) -> None:
        self.root = f"{root}{os.sep}"
        self.skipped = tuple(f"{self.root}{name}" for name in ("tests", ".venv", "conftest"))
        self.early: dict[str, set[int]] = {}
        self.lines = self.early
        self.found: list = []
        self.bad: set[str] = set()

    @contextlib.contextmanager
    def watching(self, lines: dict[str, set[int]]) -> Iterator[None]:
        """Note in `lines` what is executed inside."""
        before, self.lines = self.lines, lines
        threading.settrace(self._call)
        sys.settrace(self._call)
        try:
            yield
        finally:
            self.lines = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        lines: dict[str, set[int]] = {}
        began = time.process_time()
        with self.watching(lines):
            result = yield
        told = {path[len(self.root) :]: sorted(n) for path, n in lines.items()}
        self.found.append((item.nodeid, round(time.process_time() - began, 4), told))
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.bad.add(report.nodeid)

    def passed(self) -> list:
        return [
            (name, seconds, lines)
            for name, seconds, lines in self.found
            if name not in self.bad and seconds <= SLOWEST
        ]

    def seen(self) -> set[str]:
        return {path for _, _, lines in self.found for path in lines}

    def _call(self, frame, event, argument):
        path = frame.f_code.co_filename
        if not path.startswith(self.root) or path.startswith(self.skipped):
            return None
        if frame.f_code.co_name == "<module>":
            return None  # its import; Mutant.loading knows
        lines = self.lines.setdefault(path, set())
        lines.add(frame.f_lineno)

        def local(frame, event, argument):
            lines.add(frame.f_lineno)
            return local

        return local


def silence(*files: int) -> None:
    """In a fork: what it prints goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in files or (0, 1, 2):
        os.dup2(nowhere, number)


def leave_alone() -> None:
    """pytest would warn that it cannot rewrite the assertions of what was imported before it."""
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):  # a class of typing warns when it is asked
            continue
        if "PYTEST_DONT_REWRITE" not in (module.__doc__ or ""):
            module.__doc__ = f"{module.__doc__ or ''} PYTEST_DONT_REWRITE"
