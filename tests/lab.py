"""`lab`: a small project with our pytest.ini and our plugins, for self-tests to run and break."""

from __future__ import annotations

import sys

import numpy  # noqa: F401  (cannot be imported twice in a process, and pytester forgets imports)
import pytest

from tests.bite.project import FOREIGN, HOUSE, Project, words


class Lab(Project):
    """A project that pytester made; `run` runs pytest in this process, or in a child.

    What is collected is entered in the must-run list, unless `closed`.
    """

    house = HOUSE

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(pytester.path)
        self.pytester, self.monkeypatch = pytester, monkeypatch
        monkeypatch.setenv("PATH", self.path)
        for name in FOREIGN:
            monkeypatch.delenv(name, raising=False)
        # what is compiled goes by size and whole seconds: a chapter that is edited at once would be kept
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(
        self, *arguments: object, child: bool = False, closed: bool = False
    ) -> pytest.RunResult:
        given = words(*arguments, closed=closed)
        if child:
            self.monkeypatch.setenv("PYTHONPATH", str(HOUSE))
            return self.pytester.runpytest_subprocess(*given)
        return self.pytester.runpytest_inprocess(*given, no_reraise_ctrlc=True)


@pytest.fixture
def lab(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project to run our plugins on, without GPU or NPU tools."""
    return Lab(pytester, monkeypatch)
