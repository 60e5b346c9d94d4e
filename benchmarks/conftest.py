"""`rival`: ours and its peers in one group; at the end one table with the ratios.

A figure is CPU time of one process, and a goal is looked at, never enforced: speed is compared here,
correctness in tests/.
"""

from __future__ import annotations

import pytest

COLUMNS = "{:<34} {:<16} {:>12} {:>9}  {}"


@pytest.fixture
def rival(benchmark):
    """Time one contestant: rival(group, who, work, rounds, goal="")."""

    def run(group, who, work, rounds=15, goal=""):
        benchmark.group = group
        benchmark.extra_info.update(who=who, goal=goal)
        return benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)

    return run


def pytest_terminal_summary(terminalreporter, config):
    groups: dict = {}
    for bench in config._benchmarksession.benchmarks:
        if bench.stats.data:
            groups.setdefault(bench.group, []).append(bench)
    if not groups:
        return
    terminalreporter.section("CPU time, ours beside its peers (median)")
    terminalreporter.write_line(COLUMNS.format("what", "who", "ms", "ratio", "goal"))
    for group, benches in groups.items():
        ours = next((b for b in benches if b.extra_info["who"] == "ours"), benches[0])
        for bench in sorted(benches, key=lambda b: b is not ours):
            ratio = bench.stats.median / ours.stats.median if bench is not ours else 1.0
            row = (group, bench.extra_info["who"], f"{1e3 * bench.stats.median:.3f}")
            terminalreporter.write_line(
                COLUMNS.format(*row, f"{ratio:.3g}x", bench.extra_info["goal"])
            )
