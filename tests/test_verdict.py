"""The verdict: its word, its reasons, its exit code, and the files it leaves."""

from __future__ import annotations

import sys
import xml.etree.ElementTree

import pytest

from plugins import judgement, machine
from plugins.ledger import Entry, Ledger

pytest_plugins = ["pytester", "tests.lab"]

CPU = '@pytest.mark.clause("outputs.dtype")\ndef test_cpu(): pass\n'
DEVICE = '@pytest.mark.npu\n@pytest.mark.clause("outputs.range")\ndef test_device(): pass\n'
TRAIN = '@pytest.mark.a100\n@pytest.mark.clause("training.loss")\ndef test_train(): pass\n'
BAD = """
@pytest.mark.clause("outputs.layout")
def test_bad(): raise CheckFailure("swapped", expected="(100, 4)", actual="(4, 100)")
"""
COCO = """
@pytest.mark.npu
@pytest.mark.clause("accuracy.map")
@pytest.mark.requires("coco")
def test_coco(): pass
"""
TIMING = """
@pytest.mark.npu
@pytest.mark.clause("throughput.fps")
def test_fps(benchmark): pass
"""
FIGURES = """
@pytest.mark.clause("accuracy.map")
@pytest.mark.parametrize("case", ["a", "b"])
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
def test_map(subject, case, record_property):
    measured = {"a": 38.31, "b": 38.64}[case]
    figure = dict(name="AP", measured=measured, unit="%", expected=">= 38.0", runtime="cpu")
    record_property("figure", figure)
"""


@pytest.fixture
def npu(lab, monkeypatch):
    """A machine that looks like one with a 310P3."""
    lab.tool("npu-smi", "| 0     310P3           | OK |")
    lab.write("site/torch_aie/__init__.py", "")
    monkeypatch.syspath_prepend(lab.root / "site")
    return lab


def test_a_run_on_which_everything_held_is_conformant(lab):
    lab.chapter(CPU)
    result = lab.run()
    assert result.ret == 0
    assert lab.verdict()["word"] == "CONFORMANT"
    result.stdout.fnmatch_lines(
        ["  clause *expected*measured*", "outputs", "  outputs.dtype *passed *cpu*", "CONFORMANT"]
    )


def test_how_often_a_clause_was_wrong_stands_beside_what_it_expects(lab):
    known = '{"clauses": {"outputs.layout": {"runs": 212, "alarms": 0, "upper_95": 0.01403}}}'
    lab.write("golden/evidence/census.json", known)
    lab.chapter(CPU + BAD)
    result = lab.run()
    verdict = lab.verdict()
    assert verdict["false_alarms"] == {"outputs.layout": "0 of 212, <= 1.4 %"}
    said = {row["clause"]: row["false_alarms"] for row in verdict["rows"]}
    assert said == {"outputs.dtype": "not measured", "outputs.layout": "0 of 212, <= 1.4 %"}
    result.stdout.fnmatch_lines(["*(100, 4) *0 of 212, <= 1.4 % *(4, 100)*"])


def test_a_broken_clause_is_not_conformant(lab):
    lab.chapter(CPU + BAD + COCO)
    result = lab.run()
    assert result.ret == 1
    assert lab.verdict()["word"] == "NOT CONFORMANT", "although accuracy was not judged either"
    assert "1 test skipped (needs coco): accuracy.map" in lab.verdict()["reasons"]
    result.stdout.fnmatch_lines(
        ["  outputs.layout * (100, 4) * (4, 100) * failed *", "NOT CONFORMANT"]
    )


@pytest.mark.parametrize(
    ("body", "qualifier"), [(DEVICE, "npu lane emulated"), (TRAIN, "a100 lane on a CPU stand-in")]
)
def test_a_stand_in_never_reads_as_the_hardware(lab, body, qualifier):
    lab.chapter(CPU + body)
    result = lab.run()
    assert result.ret == 0
    assert lab.verdict()["word"] == f"CONFORMANT ({qualifier})"
    result.stdout.fnmatch_lines([f"CONFORMANT ({qualifier}; not a statement about hardware)"])


SIMULATED = TRAIN.replace("def", '@pytest.mark.deviceless("simulated device")\ndef').replace(
    "train", "sim"
)


@pytest.mark.parametrize("lanes", [SIMULATED, TRAIN + SIMULATED.replace("loss", "timer")])
def test_what_is_simulated_never_carries_the_name_of_a_device(lab, lanes):
    lab.chapter(lanes)
    lab.run()
    runtimes = {test["clause"]: test["runtime"] for test in lab.verdict()["tests"]}
    assert runtimes.popitem() == (lab.verdict()["tests"][-1]["clause"], "simulated device")
    assert set(runtimes.values()) <= {"cpu (stand-in)"}


def test_an_unknown_place_to_run_is_refused(lab):
    lab.chapter(SIMULATED.replace("simulated device", "NVIDIA A100"))
    result = lab.run()
    assert result.ret == 4
    assert "deviceless is one of simulated device, no device" in result.stderr.str()


@pytest.mark.parametrize(
    ("runtimes", "headline", "holes"),
    [
        (["NVIDIA A100 (40 GiB, sm_80)"], "CONFORMANT", 0),
        (["NVIDIA A100 (40 GiB, sm_80)", "simulated device"], "CONFORMANT", 0),
        (["simulated device"], "CONFORMANT", 1),
        (
            ["NVIDIA H200 (140 GiB, sm_90, not an A100)"],
            "CONFORMANT (a100 lane on another card; not a statement about an A100)",
            0,
        ),
    ],
)
def test_only_an_a100_speaks_for_an_a100(runtimes, headline, holes):
    plan = {f"t{i}": Entry(f"t{i}", "o.x", "o", lanes=["a100"], runtime=r, outcome="passed")
            for i, r in enumerate(runtimes)}  # fmt: skip
    found = judgement.judge(Ledger(plan), judgement.Scope(lane="a100", required=("a100",)))
    assert found.headline() == headline
    assert len(found.holes) == holes


def test_a_waived_test_among_skipped_ones_is_not_said_to_have_passed():
    outcomes = ["passed", "waived", "skipped", "skipped"]
    plan = [Entry(f"t{i}", "o.x", "o", outcome=one) for i, one in enumerate(outcomes)]
    (row,) = judgement.rows(Ledger({entry.nodeid: entry for entry in plan}), {})
    assert row["outcome"] == "passed 1, waived 1, skipped 2"


def test_a_device_without_a_stand_in_is_named_and_not_qualified(npu):
    npu.chapter(CPU + DEVICE)
    result = npu.run("--require", "npu")
    assert result.ret == 0
    assert npu.verdict()["word"] == "CONFORMANT"
    result.stdout.fnmatch_lines(["  outputs.range * passed * Ascend310P3 *"])


def test_a_device_test_that_fell_back_to_the_emulator_turns_a_gate_red(npu):
    body = DEVICE.replace("(): pass", "(record_property): record_property('runtime', 'emulated')")
    npu.chapter(body)
    result = npu.run("--require", "npu")
    assert result.ret == 1
    assert npu.verdict()["word"] == "CONFORMANT (npu lane emulated)"
    assert npu.verdict()["holes"] == ["--require npu: not judged on it: outputs.range passed"]


def test_timing_left_out_is_said_and_turns_only_a_gate_red(npu):
    npu.chapter(DEVICE + TIMING)
    assert npu.run("-m", "npu").ret == 0
    assert npu.verdict()["word"] == "INCOMPLETE"
    assert npu.verdict()["reasons"] == ["throughput not run (add --benchmark)"]
    result = npu.run("-m", "npu", "--require", "npu")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["  red: --require npu: not judged on it: throughput.fps deselected"]
    )


def test_a_skip_turns_a_gate_red_only_when_its_capability_is_required(npu):
    npu.chapter(DEVICE + COCO)
    assert npu.run("--require", "npu").ret == 0
    assert npu.verdict()["word"] == "INCOMPLETE"
    assert npu.verdict()["reasons"] == ["1 test skipped (needs coco): accuracy.map"]
    assert npu.run("--require", "coco").ret == pytest.ExitCode.USAGE_ERROR


def test_a_gate_whose_lane_is_empty_is_red(npu):
    npu.chapter(CPU)
    assert npu.run("--require", "npu").ret == 1
    assert npu.verdict()["holes"] == ["--require npu: nothing that needs it was judged"]


def test_the_lane_is_a_scope_but_any_other_selection_is_a_hole(lab):
    lab.chapter(CPU + DEVICE)
    lab.run("-m", "npu")
    assert lab.verdict()["reasons"] == []
    lab.run("-k", "cpu")
    assert lab.verdict()["reasons"] == ["1 test deselected (deselected by -k cpu): outputs.range"]
    lab.run("conformance/test_outputs.py")
    assert lab.verdict()["reasons"] == ["only conformance/test_outputs.py was selected"]
    lab.run("conformance")
    assert lab.verdict()["reasons"] == []


def test_a_run_that_judged_nothing_says_so(lab):
    lab.chapter(CPU)
    assert lab.run("-k", "nothing_like_it").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert lab.verdict()["word"] == "INCOMPLETE"
    assert "nothing was judged" in lab.verdict()["reasons"]


def test_an_empty_house_is_incomplete_and_red(lab):
    assert lab.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert lab.verdict()["reasons"][0] == "nothing was judged"


def test_an_interrupted_run_still_shows_what_ran(lab):
    lab.chapter(
        CPU + '@pytest.mark.clause("o.b")\ndef test_c(): raise KeyboardInterrupt\n' + DEVICE
    )
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert lab.verdict()["reasons"] == ["interrupted", "2 tests not run: o.b, outputs.range"]
    result.stdout.fnmatch_lines(["  outputs.dtype * passed *", "INCOMPLETE*", "  interrupted"])


def test_a_file_that_does_not_import_is_missing_from_the_verdict_by_name(lab):
    lab.chapter(CPU)
    lab.chapter("import nowhere\n", name="broken")
    assert lab.run().ret == pytest.ExitCode.INTERRUPTED
    assert lab.verdict()["reasons"][0] == "could not be collected: conformance/test_broken.py"


def test_stopping_at_the_first_failure_leaves_the_rest_open(lab):
    lab.chapter(BAD + DEVICE)
    assert lab.run("-x").ret == 1
    assert "1 test not run: outputs.range" in lab.verdict()["reasons"]


def test_figures_are_shown_as_a_range_with_their_unit(lab):
    lab.chapter(FIGURES)
    lab.run().stdout.fnmatch_lines(
        ["retinanet_shapes", "  accuracy.map * >= 38.0 * 38.31..38.64 % AP * passed 2 * cpu *"]
    )
    assert lab.verdict()["tests"][0]["figures"][0]["measured"] == 38.31


def test_the_verdict_file_says_what_ran_on_what(lab):
    lab.chapter(CPU)
    lab.run("-k", "cpu", "--no-waivers")
    document = lab.verdict()
    assert document["schema"] == 1
    assert document["command"][-3:] == ["-k", "cpu", "--no-waivers"]
    assert document["counts"] == {"passed": 1}
    assert document["environment"]["capabilities"]["npu"]["present"] is False
    assert document["environment"]["workers"]["infer"]["python"] == sys.version.split()[0]
    assert document["options"]["no_waivers"] == {"value": "True", "source": "command line"}
    assert document["started"] <= document["ended"]


def test_another_driver_is_another_fingerprint(lab):
    lab.chapter(CPU)
    fingerprints = []
    for version in ("23.0.rc1", "24.1.rc1", "23.0.rc1"):
        lab.tool("npu-smi", f"| npu-smi    Version: {version} |")
        machine._output.cache_clear()
        lab.run("-k", "cpu", "--no-waivers")
        environment = lab.verdict()["environment"]
        assert environment["system"]["driver"] == version
        fingerprints.append(environment["fingerprint"])
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_junit_lies_beside_the_verdict_unless_the_user_places_it(lab):
    lab.chapter(FIGURES)
    lab.run()
    found = xml.etree.ElementTree.parse(lab.root / ".artifacts/runs/latest/junit.xml")
    assert len(found.findall(".//testcase")) == 2
    lab.run("--junitxml", "mine.xml")
    assert (lab.root / "mine.xml").is_file()


def test_xdist_workers_report_to_one_verdict(lab):
    pytest.importorskip("xdist")
    lab.chapter(CPU + BAD + TIMING)
    result = lab.run("-n", "2", child=True)
    assert result.ret == 1
    assert lab.verdict()["counts"] == {"passed": 1, "failed": 1, "deselected": 1}
    assert "throughput not run (add --benchmark)" in lab.verdict()["reasons"]


def test_a_test_lost_with_its_xdist_worker_is_an_error(lab):
    pytest.importorskip("xdist")
    lab.chapter(CPU + '@pytest.mark.clause("o.b")\ndef test_c():\n    import os; os._exit(1)\n')
    assert lab.run("-n", "1", child=True).ret == 1
    assert lab.verdict()["counts"] == {"passed": 1, "error": 1}
