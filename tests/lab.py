"""`lab`: a small project with our pytest.ini and our plugins, for self-tests to run and break."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy  # noqa: F401  (cannot be imported twice in a process, and pytester forgets imports)
import pytest

HOUSE = Path(__file__).resolve().parent.parent
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
CHAPTER = """
import pytest
from plugins.failure import CheckFailure, Inconclusive, LabError
"""


class Lab:
    """A pytester project (`root`) whose tests are judged by the plugins of our `house`.

    `chapter` writes conformance/test_<name>.py, `run` runs pytest in this process, `tool` puts a
    program on PATH that prints a text, `verdict` reads the last verdict.json. What is collected is
    entered in the must-run list, unless `closed`.
    """

    house = HOUSE

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester, self.monkeypatch, self.root = pytester, monkeypatch, pytester.path
        ini = (HOUSE / "pytest.ini").read_text(encoding="utf-8")
        pytester.makefile(".ini", pytest=ini)
        for folder in ("bin", "conformance", "tests"):
            (self.root / folder).mkdir()
        monkeypatch.setenv("PATH", f"{self.root / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
        for name in ("CI", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS"):
            monkeypatch.delenv(name, raising=False)
        self.tool("nvidia-smi", "")
        self.tool("npu-smi", "")

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

    def run(
        self, *arguments: object, child: bool = False, closed: bool = False
    ) -> pytest.RunResult:
        loaded = [word for name in PLUGINS for word in ("-p", f"plugins.{name}")]
        loaded += [] if closed else ["-p", "tests.open_books"]
        words = [*loaded, *SPARED, *map(str, arguments)]
        if child:
            self.monkeypatch.setenv("PYTHONPATH", str(HOUSE))
            return self.pytester.runpytest_subprocess(*words)
        return self.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)

    def verdict(self) -> dict:
        text = (self.root / ".artifacts/runs/latest/verdict.json").read_text(encoding="utf-8")
        return json.loads(text)


@pytest.fixture
def lab(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project to run our plugins on, without GPU or NPU tools."""
    return Lab(pytester, monkeypatch)
