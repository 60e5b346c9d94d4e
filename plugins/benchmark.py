"""pytest-benchmark as our instrument: its timer is the device's clock, and it never goes quiet.

A round is one step in a worker. The fixture that runs the step adds the device seconds that the
worker reports to the clock of the run; pytest-benchmark reads that clock before and after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from plugins import capability, machine, options
from plugins.clauses import is_conformance, leave_out
from plugins.failure import LabError
from plugins.judgement import NO_BENCHMARK

FILE = "file://"
STOCK_STORAGE = f"{FILE}./.benchmarks"
SILENCERS = {"benchmark_disable": "--benchmark-disable", "benchmark_skip": "--benchmark-skip"}


class DeviceClock:
    """Seconds that the device has worked for, as its worker measured and synchronised them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Add one step; a LabError when no time can have passed."""
        if not seconds > 0:
            raise LabError(f"a step of {seconds!r} s was reported; look at the clock of the worker")
        self.seconds += seconds


CLOCK = pytest.StashKey[DeviceClock]()


def device_timer(clock: DeviceClock) -> Callable[[], float]:
    """A timer for pytest-benchmark that reads the device's clock, in seconds."""

    def device_seconds() -> float:
        return clock.seconds

    return device_seconds


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CLOCK] = DeviceClock()
    artifacts = options.get(config, "artifacts")
    if config.option.benchmark_storage == STOCK_STORAGE:
        config.option.benchmark_storage = f"{FILE}{_storage(config, artifacts / 'benchmarks')}"
    if config.option.benchmark_compare:
        _refuse_nothing_to_compare_with(config, storage(config))
    if options.get(config, "against") and not options.get(config, "benchmark"):
        raise pytest.UsageError("--against: compares times; add --benchmark")
    if options.get(config, "benchmark"):
        _refuse_silence(config)
        config.option.benchmark_save_data = True
        if not config.option.benchmark_save:
            config.option.benchmark_autosave = config.stash[options.RUN_DIR].name


def storage(config: pytest.Config) -> Path:
    """Where pytest-benchmark stores; --benchmark-storage takes a path as well as file://."""
    return Path(str(config.option.benchmark_storage).split("://", 1)[-1])


def _refuse_nothing_to_compare_with(config: pytest.Config, folder: Path) -> None:
    """A comparison with nothing would be a warning of pytest-benchmark's, and green."""
    if config.option.benchmark_compare is True and not any(folder.rglob("*.json")):
        raise pytest.UsageError(
            f"--benchmark-compare: {folder} holds no run of {machine_class(config)}; run once"
            " without it to store one"
        )


def machine_class(config: pytest.Config) -> str:
    """What the times of a run belong to: its lanes' devices, and its processor, as stand-ins do."""
    known = capability.of(config)
    return f"{known.runtime()}; {known.training_runtime()}; {machine.processors()}"


def _storage(config: pytest.Config, folder: Path) -> Path:
    """A folder for each machine class: the last run there is always one to compare with."""
    if not (options.get(config, "benchmark") or config.option.benchmark_compare):
        return folder
    return folder / re.sub(r"\W+", "-", machine_class(config)).strip("-")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Add the machine class; take out what differs from one minute to the next."""
    machine_info["machine_class"] = machine_class(config)
    for name in [name for name in machine_info.get("cpu", {}) if name.startswith("hz_actual")]:
        del machine_info["cpu"][name]


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict, compared_benchmark: dict
) -> None:
    """Refuse to compare times of two machine classes, wherever the file came from."""
    ours = machine_info["machine_class"]
    stored = compared_benchmark["machine_info"].get("machine_class", "an unknown machine")
    if stored != ours:
        options.refuse(
            config,
            f"--benchmark-compare: the stored run is of {stored}, this one of {ours}; compare runs"
            " of one machine class",
        )


def _refuse_silence(config: pytest.Config) -> None:
    parallel = getattr(config.option, "dist", "no") != "no" or not options.is_controller(config)
    if parallel:
        raise pytest.UsageError(
            "--benchmark: refused under xdist, where tests disturb each other's times; add -n 0"
        )
    for name, flag in SILENCERS.items():
        if getattr(config.option, name):
            raise pytest.UsageError(f"--benchmark: contradicts {flag}; give one of them")


def is_timing(item: pytest.Item) -> bool:
    """Whether a test of conformance/ measures time."""
    measures = "benchmark" in getattr(item, "fixturenames", ())
    return measures and is_conformance(item.config, item.path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    timing = [item for item in items if is_timing(item)]
    if options.get(config, "benchmark"):
        for item in timing:
            _put_on_the_clock(item)
    else:
        leave_out(items, timing, NO_BENCHMARK)


def _put_on_the_clock(item: pytest.Item) -> None:
    """Give the test's benchmark marker our timer; it comes first, so it is the closest."""
    given = item.get_closest_marker("benchmark")
    kwargs = {**(given.kwargs if given else {}), "timer": device_timer(item.config.stash[CLOCK])}
    item.add_marker(pytest.mark.benchmark(**kwargs), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    if is_timing(item):
        _check_measured(item.funcargs["benchmark"])
    return result


def _check_measured(fixture: Any) -> None:
    """A LabError unless steps were timed one by one: a throughput of nothing is no throughput."""
    if not fixture.stats or not fixture.stats.stats.data:
        raise LabError("the test timed nothing; call benchmark.pedantic(step, rounds=...)")
    if fixture.stats.iterations != 1:
        raise LabError("a round must be one step; call benchmark.pedantic with iterations=1")
    if min(fixture.stats.stats.data) <= 0:
        raise LabError("a round took no device time; its step must advance the device's clock")
