"""pytest-benchmark as we use it: on the device's clock, stored, and never silently off."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["pytester", "tests.lab"]

SUITE = """
import time
from plugins import benchmark as ours

@pytest.fixture
def step(request):
    clock = request.config.stash[ours.CLOCK]
    def step():
        time.sleep(0.002)
        clock.advance(0.5)
    return step

@pytest.mark.clause("throughput.images_per_second")
@pytest.mark.benchmark(group="inference")
def test_fps(step, benchmark, record_property):
    benchmark.pedantic(step, rounds=4, warmup_rounds=1, iterations=1)
    record_property("figure", dict(name="median", measured=benchmark.stats["median"], unit="s"))
"""


def timing(lab, body):
    lab.chapter(SUITE[: SUITE.index("    benchmark.pedantic")] + body)
    return lab.run("--benchmark")


def test_a_round_lasts_as_long_as_the_device_says(lab):
    lab.chapter(SUITE)
    result = lab.run("--benchmark")
    assert result.ret == 0
    assert lab.verdict()["tests"][0]["figures"][0]["measured"] == 0.5
    (stored,) = (lab.root / ".artifacts/benchmarks").rglob("*.json")
    (benchmark,) = json.loads(stored.read_text())["benchmarks"]
    assert benchmark["stats"]["data"] == [0.5] * 4
    assert benchmark["group"] == "inference"


def test_without_the_option_timing_is_left_out_and_said(lab):
    lab.chapter(SUITE)
    result = lab.run()
    result.assert_outcomes(deselected=1)
    assert "throughput not run (add --benchmark)" in lab.verdict()["reasons"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_samples_stored_in_a_place_of_the_user_s_enter_the_certificate(lab, scheme):
    lab.chapter(SUITE)
    place = f"--benchmark-storage={scheme}{lab.root}/mine"
    assert lab.run("--benchmark", place).ret == 0
    assert (lab.root / ".artifacts/runs/latest/certificate/samples.json").is_file()
    result = lab.run("--benchmark", place, "--benchmark-compare")
    result.stdout.fnmatch_lines(["test_fps (0001_*", "test_fps (NOW)*"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    benchmark.pedantic(lambda: None, rounds=2)", "a round took no device time*"),
        ("    benchmark.pedantic(step, rounds=2, iterations=3)", "a round must be one step*"),
        (
            "    import warnings\n    warnings.simplefilter('ignore')\n    step()",
            "the test timed nothing*",
        ),
    ],
)
def test_a_throughput_of_nothing_is_an_error(lab, body, sentence):
    result = timing(lab, body)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"E   throughput.images_per_second: throughput: {sentence}"])
    assert lab.verdict()["tests"][0]["outcome"] == "error"


@pytest.mark.parametrize("seconds", ["0.0", "-1.0", "float('nan')"])
def test_a_clock_cannot_stand_still(lab, seconds):
    lab.chapter(SUITE.replace("advance(0.5)", f"advance({seconds})"))
    lab.run("--benchmark").stdout.fnmatch_lines(
        ["E *a step of * s was reported; look at the clock*"]
    )


@pytest.mark.parametrize("flag", ["--benchmark-disable", "--benchmark-skip"])
def test_switching_timing_off_while_asking_for_it_is_refused(lab, flag):
    lab.chapter(SUITE)
    result = lab.run("--benchmark", flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --benchmark: contradicts {flag}; give one of them"])


def test_timing_beside_other_tests_is_refused(lab):
    pytest.importorskip("xdist")
    lab.chapter(SUITE)
    result = lab.run("--benchmark", "-n", "2", child=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark: refused under xdist*"])


def test_the_users_own_storage_is_respected(lab):
    lab.chapter(SUITE)
    lab.run("--benchmark", "--benchmark-storage", "mine", "--benchmark-save", "first")
    assert len(list((lab.root / "mine").rglob("0001_first.json"))) == 1


def stored_runs(lab):
    return sorted((lab.root / ".artifacts/benchmarks").rglob("*.json"))


def test_a_stored_run_names_its_machine_class(lab):
    lab.chapter(SUITE)
    lab.run("--benchmark")
    (stored,) = stored_runs(lab)
    name = json.loads(stored.read_text())["machine_info"]["machine_class"]
    assert name.startswith("emulated 310P3 (torch_aie emulator); cpu (stand-in); ")
    assert "cpu-stand-in" in str(stored)


def test_the_run_before_on_the_same_machine_class_is_compared_with(lab):
    lab.chapter(SUITE)
    lab.run("--benchmark")
    result = lab.run("--benchmark", "--benchmark-compare")
    assert result.ret == 0, result.stderr.str()
    result.stdout.fnmatch_lines(["test_fps (0001_*", "test_fps (NOW)*"])


def test_a_step_that_takes_longer_than_the_stored_run_allows_is_seen(lab):
    lab.chapter(SUITE)
    lab.run("--benchmark")
    lab.chapter(SUITE.replace("0.5", "0.9"))
    gate = ("--benchmark", "--benchmark-compare", "--benchmark-compare-fail=mean:20%")
    result = lab.run(*gate, child=True)
    assert result.ret != 0
    assert "Performance has regressed" in result.stderr.str()


def test_a_run_of_another_machine_class_is_never_compared_with(lab, monkeypatch):
    lab.chapter(SUITE)
    lab.run("--benchmark")
    (first,) = stored_runs(lab)
    name = "NVIDIA H200 (140 GiB, sm_90, not an A100)"
    monkeypatch.setattr("plugins.capability.Capabilities.training_runtime", lambda self: name)
    result = lab.run("--benchmark", "--benchmark-compare")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --benchmark-compare: * holds no run of *H200*; run once *"]
    )
    result = lab.run("--benchmark", f"--benchmark-compare={first}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --benchmark-compare: the stored run is of *cpu (stand-in)*"]
    )
    assert len(stored_runs(lab)) == 1


TWICE = """
@pytest.fixture
def broken():
    yield
    raise LabError("afterwards")
@pytest.mark.clause("outputs.layout")
def test_twice(broken): raise LabError("at first")
"""


def test_what_went_wrong_first_is_the_reason(lab):
    lab.chapter(TWICE)
    assert lab.run().ret == 1
    assert lab.verdict()["tests"][0]["reason"] == "at first"


def test_comparing_times_without_taking_any_is_refused(lab):
    old = lab.write("old.ts", "")
    result = lab.run(f"--against={old}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --against: compares times; add --benchmark"])


@pytest.mark.parametrize("word", ["-p no:benchmark", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"])
def test_without_the_instrument_no_run_begins(lab, monkeypatch, word):
    lab.chapter(SUITE)
    if word.startswith("-p"):
        result = lab.run(*word.split(), child=True)
    else:
        monkeypatch.setenv(word, "1")
        result = lab.run(child=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: Missing required plugins: pytest-benchmark"])
