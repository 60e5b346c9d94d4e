"""Capabilities: probed as they are, never assumed, and an absent required one ends the run."""

from __future__ import annotations

import sys

import pytest

pytest_plugins = ["pytester", "tests.lab"]

NPU_SMI = "| 0     310P3           | OK              | 12.8         47                |"
SUITE = """
@pytest.mark.npu
@pytest.mark.clause("outputs.dtype")
def test_device(request): pass

@pytest.mark.clause("accuracy.coco")
@pytest.mark.requires("coco")
def test_coco(): raise RuntimeError("ran")
"""


@pytest.fixture
def real_npu(lab, monkeypatch):
    """A machine that looks like one with a 310P3: npu-smi on PATH, torch_aie to be found."""
    lab.tool("npu-smi", NPU_SMI)
    lab.write("site/torch_aie/__init__.py", "raise SystemExit('imported')")
    lab.write("site/torch_aie-6.3.rc2.dist-info/METADATA", "Name: torch_aie\nVersion: 6.3.rc2\n")
    monkeypatch.syspath_prepend(lab.root / "site")
    return lab


def test_a_machine_without_an_npu_says_that_it_emulates(lab):
    lab.chapter(SUITE)
    result = lab.run("-m", "npu")
    result.stdout.fnmatch_lines(
        [
            "lanes: npu runs on emulated 310P3 (torch_aie emulator); a100 runs on cpu (stand-in): * x *, * GiB"
        ]
    )
    assert result.ret == 0


def test_a_required_but_absent_npu_fails_at_once_and_leaves_a_verdict(lab):
    lab.chapter(SUITE.replace("pass", "raise SystemExit('the subject ran')"))
    result = lab.run("-m", "npu", "--require", "npu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --require npu: 'npu-smi info' does not list an*310P; *"])
    assert lab.verdict()["word"] == "INCOMPLETE"
    assert lab.verdict()["reasons"][0].startswith("--require npu: 'npu-smi info' does not list")
    assert lab.verdict()["exit_code"] == 4


def test_a_missing_tool_is_told_from_a_silent_one(lab):
    (lab.root / "bin/npu-smi").unlink()
    result = lab.run("--require", "npu")
    result.stderr.fnmatch_lines(["ERROR: --require npu: npu-smi is not on PATH; it needs *"])


def test_a_real_npu_is_found_without_importing_its_module(real_npu):
    real_npu.chapter(SUITE)
    result = real_npu.run("-m", "npu", "--require", "npu")
    result.stdout.fnmatch_lines(["lanes: npu runs on Ascend310P3 (torch_aie 6.3.rc2); *"])
    assert result.ret == 0
    assert real_npu.verdict()["word"] == "CONFORMANT"


def test_the_emulator_never_counts_as_an_npu(real_npu):
    real_npu.write("site/torch_aie/__init__.py", "EMULATED = True\n")
    result = real_npu.run("--require", "npu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*has no mindietorch or torch_aie (interpreter_infer)*"])


def test_our_own_emulator_never_counts_wherever_it_is_found(lab, monkeypatch):
    lab.tool("npu-smi", NPU_SMI)
    emulator = lab.house / "plugins/workers/emulator"
    assert (emulator / "torch_aie").is_dir()
    monkeypatch.syspath_prepend(emulator)
    assert lab.run("--require", "npu").ret == pytest.ExitCode.USAGE_ERROR


def test_another_ascend_chip_is_no_310p(real_npu):
    real_npu.tool("npu-smi", NPU_SMI.replace("310P3", "910B3"))
    assert real_npu.run("--require", "npu").ret == pytest.ExitCode.USAGE_ERROR


def test_another_interpreter_is_asked_in_a_child(lab):
    lab.chapter(SUITE)
    child = lab.write(
        "python", f'#!/bin/sh\necho x >> {lab.root}/asked\nexec {sys.executable} "$@"\n'
    )
    child.chmod(0o755)
    lab.tool("npu-smi", NPU_SMI)
    result = lab.run("-o", f"interpreter_infer={child}", "-m", "npu")
    assert result.ret == 0
    assert (lab.root / "asked").read_text() == "x\n", "once, although header and verdict both ask"


@pytest.mark.parametrize("role", ["export", "infer", "train"])
def test_what_is_no_interpreter_ends_the_run_at_once_and_leaves_a_verdict(lab, role):
    lab.chapter(SUITE.replace("pass", "raise SystemExit('the subject ran')"))
    result = lab.run("-o", f"interpreter_{role}=/bin/false")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    sentence = (
        f"interpreter_{role}: /bin/false does not run as Python (exit code 1); give the path of a"
        " Python interpreter, or leave it empty"
    )
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert (lab.verdict()["word"], lab.verdict()["exit_code"]) == ("INCOMPLETE", 4)
    assert lab.verdict()["reasons"][0] == sentence


A100, H200 = "NVIDIA A100-SXM4-40GB", "NVIDIA H200"
FAKE_TORCH = """
import warnings
__version__ = "{torch}"
class version: cuda = {cuda!r}
class cuda:
    class properties: name, total_memory, major, minor = {name!r}, {memory}, {major}, 0
    def is_available():
        if not {count}: warnings.warn("The driver is too old (found version 11040). Update it")
        return {count} > 0
    def device_count(): return {count}
    def get_device_properties(number): return cuda.properties
"""


@pytest.fixture
def cards(lab, monkeypatch):
    """Gives the machine one card, by nvidia-smi, and what torch sees of it: cards(name, ...)."""

    def give(name, *, memory=42_298_834_944, major=8, count=1, torch="2.11.0+cu130", cuda="13.0"):
        lab.tool("nvidia-smi", f"GPU 0: {name.partition(' MIG ')[0]} (UUID: GPU-1)")
        facts = {"memory": memory, "major": major, "count": count, "torch": torch, "cuda": cuda}
        lab.write("site/torch.py", FAKE_TORCH.format(name=name, **facts))
        monkeypatch.syspath_prepend(lab.root / "site")
        monkeypatch.setenv("PYTHONPATH", str(lab.root / "site"))

    return give


@pytest.mark.parametrize(
    ("card", "lane"),
    [
        ({"name": A100}, f"{A100} (40 GiB, sm_80)"),
        ({"name": "A100-SXM4-40GB"}, f"{A100} (40 GiB, sm_80)"),
        (
            {"name": H200, "memory": 150_110_011_392, "major": 9, "count": 8},
            f"{H200} (140 GiB, sm_90, not an A100)",
        ),
        (
            {"name": f"{A100} MIG 1g.5gb", "memory": 5_100_273_664},
            f"{A100} MIG 1g.5gb (5 GiB, sm_80, a MIG slice, not an A100)",
        ),
        ({"name": A100, "cuda": None, "count": 0, "torch": "2.11.0+cpu"}, "cpu (stand-in)"),
        ({"name": A100, "count": 0}, "cpu (stand-in)"),
    ],
)
def test_the_training_lane_says_which_card_it_has(lab, cards, card, lane):
    cards(**card)
    stdout = lab.run("--collect-only").stdout
    end = ": " if lane.startswith("cpu") else "\n"  # a processor's name follows
    assert stdout.str().count(f"; a100 runs on {lane}{end}") == 1


def test_a_whole_a100_that_torch_can_use_satisfies_a_gate(lab, cards):
    lab.chapter(SUITE.replace("npu", "a100"))
    cards(A100)
    result = lab.run("-m", "a100", "--require", "a100")
    assert result.ret == 0
    assert lab.verdict()["word"] == "CONFORMANT"


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"name": H200, "major": 9}, "--require a100: the GPU is NVIDIA H200; it needs * A100"),
        (
            {"name": f"{A100} MIG 1g.5gb"},
            "--require a100: the GPU is * MIG 1g.5gb, a MIG slice and no whole card; it needs *",
        ),
        (
            {"name": A100, "cuda": None, "count": 0, "torch": "2.11.0+cpu"},
            "--require a100: torch 2.11.0+cpu of *python* is built without CUDA, although there is"
            f" {A100}; install a CUDA build of it, or name another Python by interpreter_train; *",
        ),
        (
            {"name": A100, "count": 0},
            "--require a100: torch * (CUDA 13.0) can use no GPU: The driver is too old *",
        ),
    ],
)
def test_a_gate_says_why_a_card_is_not_the_one(lab, cards, card, sentence):
    cards(**card)
    result = lab.run("--require", "a100")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])


def test_a_torch_that_breaks_is_told_from_one_that_sees_nothing(lab, cards):
    cards(A100)
    lab.write("site/torch.py", "raise OSError('libcudart.so.13: cannot open')")
    result = lab.run("--require", "cuda")
    result.stderr.fnmatch_lines(
        ["ERROR: --require cuda: torch of * does not load; run: *cards.py*"]
    )


def test_torch_is_not_asked_where_there_is_no_card(lab, cards):
    cards(A100)
    lab.tool("nvidia-smi", "")
    lab.write("site/torch.py", f"open({str(lab.root / 'asked')!r}, 'w')")
    assert lab.run("--collect-only").ret in (0, 5)
    assert not (lab.root / "asked").exists()


def test_a_test_that_needs_what_is_absent_is_skipped_before_it_runs(lab):
    lab.chapter(SUITE)
    result = lab.run()
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["INCOMPLETE*", "  1 test skipped (needs coco): accuracy.coco"])


@pytest.mark.parametrize(
    ("arguments", "marker", "sentence"),
    [
        (["--require", "gpu"], 'requires("coco")', "--require: 'gpu' is no capability; choose *"),
        ([], 'requires("gpu")', "*test_coco: requires: 'gpu' is no capability; choose from npu, *"),
        ([], "requires()", '*test_coco: write requires("npu", ...), names only'),
    ],
)
def test_a_capability_outside_the_vocabulary_is_refused(lab, arguments, marker, sentence):
    lab.chapter(SUITE.replace('requires("coco")', marker))
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
