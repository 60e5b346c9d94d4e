"""Where a session's time goes: pytest tests -p benchmarks.minutes --minutes="make test"

CPU seconds of pytest and of all that it started, by chapter and by shared fixture: what another program
takes from the machine does not count. Written to golden/evidence/minutes.json under that name, and
from there to docs/performance.md.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from benchmarks import table
from plugins import machine

EVIDENCE = table.HOUSE / "golden/evidence/minutes.json"
PROC, TICK = Path("/proc"), os.sysconf("SC_CLK_TCK")
SHARED = ("session", "package", "module")
DEAREST, DETAIL = 12, 3.0  # fixtures that are listed; CPU seconds under which a row is no news


def spent(pid: int | str = "self") -> float:
    """CPU seconds of a process and of all that it started, of those that ended too."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(") ", 1)[1].split()
        threads = (PROC / str(pid) / "task").glob("*/children")
        children = [child for path in threads for child in path.read_text().split()]
    except OSError:  # it has ended meanwhile
        return 0.0
    return sum(map(int, fields[11:15])) / TICK + sum(map(spent, children))


class Minutes:
    """A pytest plugin that measures each test and each setting-up of a shared fixture."""

    def __init__(self, name: str) -> None:
        self.name, self.chapters, self.fixtures = name, Counter(), Counter()
        self.tests, self.nested = Counter(), [0.0]
        self.began, self.load = time.monotonic(), os.getloadavg()[0]
        self.before_tests = 0.0

    def pytest_collection_finish(self) -> None:
        self.before_tests = spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator:
        start = spent()
        done = yield
        chapter = item.path.relative_to(table.HOUSE).as_posix()
        self.chapters[chapter] += spent() - start
        self.tests[chapter] += 1
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request) -> Generator:
        if fixturedef.scope not in SHARED:
            return (yield)
        start = spent()
        self.nested.append(0.0)
        try:
            return (yield)
        finally:
            whole = spent() - start
            own = whole - self.nested.pop()
            self.nested[-1] += whole
            self.fixtures[self._name(fixturedef, request)] += own

    def _name(self, fixturedef, request) -> str:
        param = getattr(request, "param", None)
        which = getattr(param, "name", param if isinstance(param, str) else None)
        return f"{fixturedef.argname}, {which}" if which else fixturedef.argname

    def pytest_sessionfinish(self, session) -> None:
        evidence = json.loads(EVIDENCE.read_text()) if EVIDENCE.is_file() else {}
        evidence[self.name] = self._found(session)
        EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
        EVIDENCE.write_text(json.dumps(evidence, indent=1, sort_keys=True) + "\n")
        table.fill(EVIDENCE.name, section(evidence))

    def _found(self, session) -> dict:
        rest = Counter({k: v for k, v in self.fixtures.items() if v >= DETAIL})
        return {
            "provenance": {
                **machine.measured(f"pytest {' '.join(session.config.args)}"),
                "load": round(self.load, 1),
            },
            "cpu_s": round(spent(), 1),
            "wall_s": round(time.monotonic() - self.began, 1),
            "before_tests_s": round(self.before_tests, 1),
            "chapters": {k: [self.tests[k], round(v, 1)] for k, v in self.chapters.items()},
            "fixtures": {k: round(v, 1) for k, v in rest.most_common(DEAREST)},
        }


def section(evidence: dict) -> list[str]:
    """The part of the page that the evidence fills."""
    lines = []
    for name, found in sorted(evidence.items()):
        origin = found["provenance"]
        lines += [
            f"### {name}: {found['cpu_s']:.0f} CPU s",
            f"Measured on {origin['date']}: {origin['machine']}, Python {origin['python']}. It took"
            f" {found['wall_s']:.0f} s, and {origin['load']:.1f} other processes were running.",
            "",
            "| chapter | tests | CPU s |",
            "| --- | --- | --- |",
        ]
        chapters = sorted(found["chapters"].items(), key=lambda row: -row[1][1])
        dear = [row for row in chapters if row[1][1] >= DETAIL]
        lines += [f"| {path} | {tests} | {cpu:.0f} |" for path, (tests, cpu) in dear]
        others = [row for row in chapters if row[1][1] < DETAIL]
        if others:
            tests, cpu = (sum(row[1][k] for row in others) for k in (0, 1))
            lines.append(f"| {len(others)} others | {tests} | {cpu:.0f} |")
        lines += ["", "| what is made once and shared | CPU s |", "| --- | --- |"]
        lines += [
            f"| {name} | {cpu:.0f} |"
            for name, cpu in sorted(found["fixtures"].items(), key=lambda row: -row[1])
        ]
        lines.append("")
    return lines


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", metavar="NAME", help="the run's name in minutes.json")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.minutes:
        config.pluginmanager.register(Minutes(config.option.minutes), "minutes-of-a-run")
