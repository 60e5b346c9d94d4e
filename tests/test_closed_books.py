"""Closed books: what had to run is known beforehand, and whatever is less than that is not green."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plugins import books, contracts
from plugins.contracts import FOLDER
from plugins.failure import ContractError

pytest_plugins = ["pytester", "tests.lab"]

CPU = '@pytest.mark.clause("outputs.dtype")\ndef test_cpu(): pass\n'
DEVICE = """
@pytest.mark.npu
@pytest.mark.clause("outputs.range")
@pytest.mark.parametrize("case", ["bus", "dog"])
def test_device(case): pass
"""
FIGURE = '@pytest.mark.clause("accuracy.map")\ndef test_map(figure): BODY\n'
FIXTURE = """
import pytest
@pytest.fixture
def figure(record_property):
    return lambda name, value: record_property("figure", {"name": name, "measured": value})
"""
SECOND_TRY = """
from _pytest.runner import runtestprotocol
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=nextitem, log=False)
    item._initrequest()
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
SHAPES = FOLDER / "retinanet_shapes.toml"
HOUSE = Path(__file__).resolve().parent.parent


@pytest.fixture
def closed(lab):
    """The lab with a machine that has an NPU, and with every test entered in its list."""
    lab.tool("npu-smi", "| 0     310P3           | OK |")
    lab.write("site/torch_aie/__init__.py", "")
    lab.monkeypatch.syspath_prepend(lab.root / "site")
    lab.chapter(CPU + DEVICE)
    assert lab.run("--collect-only").ret == 0
    return lab


def judged(lab, *words):
    """The exit code of a gate on the closed books, with the reasons and the holes."""
    result = lab.run("--require", "npu", *words, closed=True)
    return int(result.ret), lab.verdict()["reasons"], lab.verdict()["holes"]


def test_what_is_in_the_list_and_held_is_conformant(closed):
    assert judged(closed) == (0, [], [])
    assert closed.verdict()["word"] == "CONFORMANT"


def test_a_test_that_vanished_turns_the_gate_red(closed):
    closed.chapter(CPU + DEVICE.replace(', "dog"', ""))
    code, reasons, holes = judged(closed)
    (sentence,) = reasons
    assert sentence.startswith("1 test (outputs.range (outputs, dog)) did not come to run, and ")
    assert (code, holes, closed.verdict()["word"]) == (1, reasons, "INCOMPLETE")


def test_without_a_gate_it_is_incomplete_and_not_red(closed):
    closed.chapter(DEVICE)
    assert closed.run(closed=True).ret == 0
    assert closed.verdict()["word"].startswith("INCOMPLETE")


def test_a_test_that_nobody_entered_turns_the_gate_red(closed):
    closed.chapter(CPU + DEVICE.replace('"dog"', '"dog", "cat"'))
    code, reasons, _ = judged(closed)
    assert code == 1
    assert reasons[0].startswith("1 test (outputs.range (outputs, cat)) ran unplanned; ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no must-run list"),
        ("# nothing\n", "is empty, and nothing would have to run"),
        ("[npu\n", "is not valid TOML"),
    ],
)
def test_a_list_that_says_nothing_turns_the_gate_red(closed, content, words):
    path = closed.root / books.FILE
    path.unlink() if content is None else path.write_text(content)
    code, reasons, holes = judged(closed)
    assert code == 1
    assert words in reasons[0]
    assert holes == reasons


@pytest.mark.parametrize(
    "words", [("--ignore=conformance/test_more.py",), ("--ignore-glob=*more*",)]
)
def test_an_ignored_file_is_missing(closed, words):
    closed.chapter(
        '@pytest.mark.npu\n@pytest.mark.clause("o.x")\ndef test_x(): pass\n', name="more"
    )
    closed.run("--collect-only")
    assert judged(closed)[0] == 0
    code, reasons, _ = judged(closed, *words)
    assert code == 1
    assert "o.x" in reasons[0]


@pytest.mark.parametrize("words", [("--deselect", "conformance/test_outputs.py"), ("-k", "bus")])
def test_a_deselected_test_turns_the_gate_red_by_name(closed, words):
    code, reasons, holes = judged(closed, *words)
    assert code
    assert "deselected" in reasons[-1]
    assert "outputs.range" in reasons[-1]
    assert holes


def test_tests_that_a_plugin_removes_without_a_word_are_missed(closed):
    closed.pytester.makeconftest("def pytest_collection_modifyitems(items): del items[1:]\n")
    code, reasons, _ = judged(closed)
    assert (code, reasons) == (1, ["2 tests not run: outputs.range"])


def test_a_part_or_a_lane_is_judged_for_itself(closed):
    closed.run("conformance/test_outputs.py::test_cpu", closed=True)
    assert closed.verdict()["reasons"] == [
        "only conformance/test_outputs.py::test_cpu was selected"
    ]
    closed.chapter(DEVICE)
    assert judged(closed, "-m", "npu") == (0, [], [])


def test_a_test_that_needed_a_second_try_has_not_passed(closed):
    closed.pytester.makeconftest(SECOND_TRY)
    code, reasons, holes = judged(closed)
    assert code == 1
    assert reasons == ["needed a second try: outputs.dtype, outputs.range"]
    assert holes == ["--require npu: not judged on it: outputs.range passed"]


def test_a_skip_for_a_capability_that_is_there_turns_the_gate_red(closed):
    late = 'case == "bus" or pytest.skip("needs weights")'
    closed.chapter(CPU + DEVICE.replace("pass", late))
    assert judged(closed)[0] == 0, "where it is absent and nobody requires it"
    assert judged(closed, f"--weights={closed.write('w.pkl', 'w')}")[0] == 1


def test_a_failure_that_passes_at_the_second_try_stays_a_failure(closed):
    closed.chapter(CPU + DEVICE.replace("pass", "TRIES.append(case); fail(len(TRIES))") + TRIES)
    closed.pytester.makeconftest(SECOND_TRY.replace("log=False", "log=True"))
    assert judged(closed)[0] == 1
    assert closed.verdict()["word"] == "NOT CONFORMANT"


def test_tests_lost_with_an_xdist_worker_turn_the_gate_red(lab):
    pytest.importorskip("xdist")
    tests = "".join(f'@pytest.mark.clause("o.t{i}")\ndef test_{i}(): DIE\n' for i in range(3))
    lab.chapter(tests.replace("DIE", "pass"))
    lab.run("--collect-only")
    lab.chapter(tests.replace("DIE", "import os; os._exit(1)"))
    words = ("-n", "1", "--max-worker-restart", "0", "--require", "weights")
    weights = lab.write("w.pkl", "w")
    assert lab.run(*words, f"--weights={weights}", child=True, closed=True).ret == 1
    assert lab.verdict()["word"] == "INCOMPLETE"
    assert "3 tests (o.t0 (o, -); o.t1 (o, -); o.t2 (o, -)) did not come to run" in (
        " ".join(lab.verdict()["holes"])
    )


TRIES = """
TRIES = []
def fail(tries):
    if tries % 2:
        raise CheckFailure("a box moved", expected="1 px", actual="3 px")
"""


@pytest.mark.parametrize("name", ["clauses", "verdict", "waivers", "benchmark"])
def test_a_part_of_the_gate_cannot_be_switched_off(closed, name):
    result = closed.run("-p", f"no:plugins.{name}", "--require", "npu", child=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*-p no:plugins.{name}: is a part of the gate; leave that *"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("pass", "passed without a figure, which it is there to record; call figure(name, value)"),
        ('figure("mAP", float("nan"))', "passed with mAP nan, which is no measurement"),
        ('figure("mAP", float("inf"))', "passed with mAP inf, which is no measurement"),
        ('figure("mAP", None)', "passed with mAP None, which is no measurement"),
    ],
)
def test_a_figure_that_is_missing_or_no_number_is_an_error(closed, body, sentence):
    closed.pytester.makeconftest(FIXTURE)
    closed.chapter(FIGURE.replace("BODY", body), name="accuracy")
    assert closed.run().ret == 1
    (test,) = (t for t in closed.verdict()["tests"] if t["clause"] == "accuracy.map")
    assert (test["outcome"], test["reason"]) == ("error", sentence)


def test_a_clause_that_stops_recording_figures_is_noticed(closed):
    closed.pytester.makeconftest(FIXTURE)
    closed.chapter(FIGURE.replace("BODY", 'figure("mAP", 38.0)'), name="accuracy")
    assert closed.run().ret == 0
    closed.chapter(FIGURE.replace("BODY", "pass").replace("figure", ""), name="accuracy")
    code, reasons, _ = judged(closed)
    assert code == 1
    assert reasons[0].startswith("accuracy.map records no figures any more")


def test_an_empty_golden_folder_is_an_error_and_no_pass(closed):
    body = '@pytest.mark.clause("numerics.x")\ndef test_x(request):\n    from plugins import updating\n'
    body += "    request.config.stash[updating.KEY].arrays('retinanet_shapes/bus/oracle.npz')\n"
    closed.chapter(body, name="numerics")
    assert closed.run().ret == 1
    assert closed.verdict()["counts"]["error"] == 1


@pytest.mark.parametrize(
    ("pattern", "replacement", "key"),
    [
        ("^box_px = .*$", "box_px = 256.0", "tolerance.reference.box_px"),
        ("^box_relative = .*$", "box_relative = 1.0", "tolerance.reference.box_relative"),
        ("^score_logit = .*$", "score_logit = 30.0", "tolerance.reference.score_logit"),
        ("^box_px = .*$", "box_px = nan", "tolerance.reference.box_px"),
        ("^floor = .*$", "floor = 0.0", "accuracy[0].floor"),
        ("^floor = .*$", "floor = -1.0", "accuracy[0].floor"),
        ("^floor = .*$", "floor = 640.0", "accuracy[0].floor"),
        ("^allowed_drop = .*$", "allowed_drop = 100.0", "accuracy[0].allowed_drop"),
    ],
)
def test_a_threshold_that_allows_everything_is_refused(tmp_path, pattern, replacement, key):
    text, found = re.subn(pattern, replacement, SHAPES.read_text("utf-8"), count=1, flags=re.M)
    assert found == 1
    path = tmp_path / "changed.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=re.escape(f"{path}: {key}: must be")):
        contracts.load(path)


def test_an_empty_result_set_has_no_map():
    from plugins.checks import accuracy
    from plugins.failure import CheckFailure

    images = accuracy.ImageSet(HOUSE / "none.json", {1: HOUSE / "a.jpg"})
    nothing = {
        k: np.zeros((0, 0, *s)) for k, s in zip(("boxes", "labels", "scores"), ((4,), (), ()))
    }
    with pytest.raises(CheckFailure, match="images are missing from the results"):
        accuracy.evaluate(images, nothing, [1])


def test_as_many_tests_are_collected_in_the_house_as_its_list_plans(tmp_path):
    planned, _ = books._planned(HOUSE / books.FILE)
    words = ["conformance", "--collect-only", "-q", "--benchmark", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--artifacts", str(tmp_path)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^(\d+) tests collected", done.stdout, re.MULTILINE)
    assert int(found.group(1)) == sum(planned.values()), "if that is meant, run: make books"
