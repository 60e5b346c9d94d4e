"""Faults of timing in a gate: switched off, left out, on a clock that is none, against another machine."""

from __future__ import annotations

import tests.test_benchmark_plugin as timing
from tests.bite.gate_books import GATE, closed
from tests.bite.gate_rules import Seeds, alarms
from tests.bite.gate_sessions import child
from tests.bite.project import Project, run
from tests.test_closed_books import DEVICE

SEEDS = Seeds()


@SEEDS.fault(
    "parallel_timing",
    "tests run in parallel, which switches the timing off",
    "gate.usage",
    "refused under xdist",
    "CI10",
    "MS9",
)
def parallel_timing(project):
    closed(project, timing.SUITE)
    return alarms(child(project, "--benchmark", "-n", "2"))


def timed(project: Project, *arguments: str, body: str = timing.SUITE):
    return alarms(run(closed(project, "import pytest\n" + body), *arguments))


@SEEDS.twin("timing", "a timing test on the device's clock")
def good_timing(project):
    return timed(project, "--benchmark")


@SEEDS.fault(
    "timing_disabled",
    "timing is asked for and switched off",
    "gate.usage",
    "contradicts --benchmark-disable",
    "CI10",
)
def timing_disabled(project):
    return timed(project, "--benchmark", "--benchmark-disable")


@SEEDS.fault(
    "timing_left_out",
    "the gate runs without timing",
    "gate.require",
    "throughput.images_per_second deselected",
    "CI10",
    "CI2",
)
def timing_left_out(project):
    body = timing.SUITE.replace("@pytest.mark.clause", "@pytest.mark.npu\n@pytest.mark.clause")
    return timed(project, *GATE, body=DEVICE + body)


@SEEDS.fault(
    "clock_stands_still",
    "the device's clock does not move",
    "throughput.images_per_second",
    "a step of 0.0 s was reported",
    "MS7",
)
def clock_stands_still(project):
    return timed(project, "--benchmark", body=timing.SUITE.replace("advance(0.5)", "advance(0.0)"))


@SEEDS.fault(
    "clock_goes_back",
    "the clock was set back in the middle of a step",
    "throughput.images_per_second",
    "a step of -1.0 s was reported",
    "MS7",
)
def clock_goes_back(project):
    return timed(project, "--benchmark", body=timing.SUITE.replace("advance(0.5)", "advance(-1.0)"))


@SEEDS.fault(
    "timed_nothing",
    "what is timed does no work on the device",
    "throughput.images_per_second",
    "a round took no device time",
    "MS2",
    "MS1",
)
def timed_nothing(project):
    body = timing.SUITE.replace("pedantic(step", "pedantic(lambda: None")
    return timed(project, "--benchmark", body=body)


@SEEDS.fault(
    "baseline_of_another_machine",
    "times of another machine class are compared with",
    "gate.usage",
    "the stored run is of",
    "MS14",
    "EV11",
)
def baseline_of_another_machine(project):
    timed(project, "--benchmark")
    (stored,) = (project.root / ".artifacts/benchmarks").rglob("*.json")
    text = stored.read_text(encoding="utf-8").replace("cpu (stand-in)", "another card")
    other = project.write("other.json", text)
    return alarms(run(project, "--benchmark", f"--benchmark-compare={other}"))
