"""A small project with our pytest.ini and our plugins, for a gate to be run on and to be broken."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy  # noqa: F401  (each session is a fork that finds it imported)
import pytest

from tests.bite import sessions

HOUSE = Path(__file__).resolve().parents[2]
PLUGINS = (
    "options",
    "capability",
    "clauses",
    "waivers",
    "updating",
    "benchmark",
    "verdict",
    "certifying",
)
# plugins that have no part in this and cost a second a run
SPARED = ("-p", "no:hypothesispytest", "-p", "no:unraisableexception", "-p", "no:cacheprovider")
HELD = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # what a fork finds imported
FOREIGN = ("CI", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS")
CHAPTER = """
import pytest
from plugins.failure import CheckFailure, Inconclusive, LabError
"""


def words(*arguments: object, closed: bool = False) -> list[str]:
    """pytest's arguments: our plugins, and what is collected is entered in the list, unless `closed`."""
    loaded = [word for name in PLUGINS for word in ("-p", f"plugins.{name}")]
    loaded += [] if closed else ["-p", "tests.open_books"]
    return [*loaded, *SPARED, *map(str, arguments)]


class Project:
    """A folder (`root`) of chapters that the plugins of our house judge.

    `chapter` writes conformance/test_<name>.py, `tool` puts a program on its PATH that prints a text.
    There is neither a GPU nor an NPU tool that lists anything.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("pytest.ini", (HOUSE / "pytest.ini").read_text(encoding="utf-8"))
        for folder in ("bin", "conformance", "tests"):
            (root / folder).mkdir()
        self.tool("nvidia-smi", "")
        self.tool("npu-smi", "")

    @property
    def path(self) -> str:
        """PATH as its programs see it."""
        return os.pathsep.join((str(self.root / "bin"), "/usr/bin", "/bin"))

    def chapter(self, body: str, name: str = "outputs") -> None:
        self.write(f"conformance/test_{name}.py", CHAPTER + body)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def tool(self, name: str, text: str) -> Path:
        path = self.write(f"bin/{name}", f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def verdict(self) -> dict:
        """verdict.json of the last run."""
        text = (self.root / ".artifacts/runs/latest/verdict.json").read_text(encoding="utf-8")
        return json.loads(text)


@dataclass(frozen=True)
class Run:
    """How a run ended: its exit code (below zero: a signal), what it printed, and its own verdict."""

    code: int
    text: str
    verdict: dict | None


class Running:
    """A session of pytest on a project, in a fork.

    Args:
        arguments: pytest's.
        closed: as of `words`.
        env: variables, beside PATH and the house on PYTHONPATH.
        prepare: called in the fork before pytest.
    """

    def __init__(
        self,
        project: Project,
        *arguments: object,
        closed: bool = True,
        env: Mapping[str, str] = {},
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self.runs = project.root / ".artifacts" / "runs"
        self.earlier = set(self.runs.glob("*-*"))
        self.log = project.root / f"session-{time.monotonic_ns()}.log"

        def session() -> int:
            os.chdir(project.root)
            kept = {name: text for name, text in os.environ.items() if name not in FOREIGN}
            os.environ.clear()
            os.environ.update({**kept, "PATH": project.path, "PYTHONPATH": str(HOUSE), **env})
            sys.path[:0] = [str(project.root / "site")]
            sys.dont_write_bytecode = True  # as in tests/lab.py
            prepare()
            return pytest.main([*words(*arguments, closed=closed), *HELD])

        self.pid = sessions.forked(session, self.log)

    def end(self, signal_number: int = 0) -> Run:
        """Wait for its end, after a signal if one is given."""
        if signal_number:
            os.kill(self.pid, signal_number)
        _, status = os.waitpid(self.pid, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return Run(code, text, self._verdict())

    def _verdict(self) -> dict | None:
        mine = [
            folder / "verdict.json"
            for folder in set(self.runs.glob("*-*")) - self.earlier
            if folder.name.endswith(f"-{self.pid}") and (folder / "verdict.json").is_file()
        ]
        return json.loads(mine[0].read_text(encoding="utf-8")) if mine else None


def run(project: Project, *arguments: object, **how: object) -> Run:
    """A whole session; arguments as those of Running."""
    return Running(project, *arguments, **how).end()
