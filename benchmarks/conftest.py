"""`rival` and `measured`: ours and its peers, one row each; at the end one table, with the goals.

A goal is looked at, never enforced: speed is compared here, correctness in tests/.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import table
from plugins import machine
from plugins.contracts.tables import tomllib

FIGURES = pytest.StashKey[dict]()
LOAD = pytest.StashKey[float]()
PACKAGES = ("torch", "torchvision", "numpy", "pycocotools", "opencv-python-headless")


def pytest_addoption(parser):
    parser.addoption(
        "--record",
        action="store_true",
        help="write golden/evidence/benchmarks.json and the table of docs/performance.md",
    )


def pytest_configure(config):
    config.stash[FIGURES] = {}
    config.stash[LOAD] = os.getloadavg()[0]


@pytest.fixture
def measured(request):
    """Enter a figure: measured(what, who, value), in the unit of the row in goals.toml."""

    def enter(what, who, value):
        request.config.stash[FIGURES].setdefault(what, {})[who] = value

    return enter


@pytest.fixture
def rival(benchmark, measured):
    """Time one contestant in ms, for `each` piece: rival(what, who, work, rounds); its last result."""

    def run(what, who, work, rounds=15, each=1):
        result = benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
        measured(what, who, 1e3 * benchmark.stats.stats.median / each)
        return result

    return run


def pytest_terminal_summary(terminalreporter, config, exitstatus):
    goals = tomllib.loads(Path(__file__).with_name("goals.toml").read_text())["row"]
    rows = table.rows(config.stash[FIGURES], goals)
    if not rows:
        return
    terminalreporter.section("ours beside its peers: CPU time (median), % busy, peak memory")
    for line in table.text(rows):
        terminalreporter.write_line(line)
    if config.option.record and not exitstatus and len(rows) == len(goals):
        table.record({"provenance": _provenance(config), "rows": rows})
        terminalreporter.write_line(f"written: {table.EVIDENCE.name}, {table.PAGE.name}")
    elif config.option.record:
        terminalreporter.write_line("nothing is written: only a whole run is evidence")


def _provenance(config) -> dict:
    origin = machine.measured('make bench ARGS="--record"', *PACKAGES)
    versions = {"Python": origin.pop("python"), **{name: origin.pop(name) for name in PACKAGES}}
    return {
        **origin,
        "cores": os.cpu_count(),
        "load": round(config.stash[LOAD], 1),
        "priority": -os.nice(0),
        "versions": versions,
    }
