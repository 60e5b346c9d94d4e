"""Clauses: each test names one, and each outcome is called by its right name."""

from __future__ import annotations

import sys

import pytest

pytest_plugins = ["pytester", "tests.lab"]

FAILING = """
def check(value):
    raise CheckFailure(
        "boxes are laid out coordinate-first",
        expected="shape (100, 4)",
        actual="shape (4, 100)",
        worst=[f"row {i}" for i in range(7)],
        needed="a transposed contract",
        see={"obtained": "boxes.npz"},
    )

@pytest.mark.npu
@pytest.mark.clause("outputs.layout")
@pytest.mark.parametrize("case", ["bus"])
@pytest.mark.parametrize("backend", ["aie"])
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
def test_layout(subject, backend, case):
    check(case)
"""
OUTCOMES = """
@pytest.fixture
def broken(): raise LabError("the export crashed; read its log")

@pytest.fixture
def early(): raise CheckFailure("no artifact", expected="a", actual="b")

@pytest.fixture
def late():
    yield
    raise LabError("the worker hung; raise its time limit")

@pytest.mark.clause("o.passed")
def test_passed(): pass
@pytest.mark.clause("o.failed")
def test_failed(): raise CheckFailure("p", expected="a", actual="b")
@pytest.mark.clause("o.lab")
def test_lab(): raise LabError("the worker crashed; read its log")
@pytest.mark.clause("o.any")
def test_any(): 1 / 0
@pytest.mark.clause("o.setup")
def test_setup(broken): pass
@pytest.mark.clause("o.early")
def test_early(early): pass
@pytest.mark.clause("o.late")
def test_late(late): pass
@pytest.mark.clause("o.thin")
def test_thin(): raise Inconclusive("3 samples of 30")
@pytest.mark.clause("o.hidden")
def test_hidden(): pytest.xfail("let us not look")
@pytest.mark.clause("o.slow")
@pytest.mark.slow
def test_slow(): 1 / 0
"""


def outcomes(lab):
    return {test["clause"]: test["outcome"] for test in lab.verdict()["tests"]}


def test_a_failure_reads_from_its_first_line_and_shows_no_internals(lab):
    lab.chapter(FAILING)
    model = lab.write("a model.ts", "")
    result = lab.run("--model-ts", model)
    result.stdout.fnmatch_lines(
        [
            "conformance/test_outputs.py:*: in test_layout",
            "    check(case)",
            "E   outputs.layout: retinanet_shapes on aie, case bus: boxes are laid out coordinate*",
            "E     expected  shape (100, 4)",
            "E     actual    shape (4, 100)",
            "E     worst     row 0",
            "E               and 2 more",
            "E     needed    a transposed contract",
            "E     see       obtained: boxes.npz",
            "*- reproduce -*",
            f"{sys.executable} -m pytest 'conformance/*retinanet_shapes-aie-bus*' '--model-ts={model}'",
        ]
    )
    assert "raise CheckFailure" not in result.stdout.str()
    assert "FAILED conformance/test_outputs.py::test_layout" in result.stdout.str()


@pytest.mark.parametrize("style", ["long", "native", "line", "no"])
def test_every_traceback_style_keeps_the_first_line(lab, style):
    lab.chapter(FAILING)
    result = lab.run(f"--tb={style}")
    result.stdout.fnmatch_lines(["*failed: outputs.layout: retinanet_shapes on aie, case bus: *"])
    assert result.ret == 1


def test_each_outcome_of_the_house_is_told_from_the_others(lab):
    lab.chapter(OUTCOMES)
    result = lab.run()
    assert outcomes(lab) == {
        "o.passed": "passed",
        "o.failed": "failed",
        "o.lab": "error",
        "o.any": "error",
        "o.setup": "error",
        "o.early": "error",
        "o.late": "error",
        "o.thin": "inconclusive",
        "o.hidden": "error",
        "o.slow": "skipped",
    }
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E   o.lab: o: the worker crashed; read its log"])
    result.stdout.fnmatch_lines(["E   o.setup: o: the export crashed; read its log"])
    assert "raise LabError" in result.stdout.str(), "the test's own line is shown"


def test_a_body_that_calls_itself_a_known_failure_is_an_error_and_red(lab):
    lab.chapter('@pytest.mark.clause("o.x")\ndef test_x(): pytest.xfail("later")\n')
    assert lab.run().ret == 1
    assert outcomes(lab) == {"o.x": "error"}
    assert lab.verdict()["exit_code"] == 1


def test_a_slow_test_runs_when_asked_for(lab):
    lab.chapter(OUTCOMES)
    lab.run("--run-slow", "-k", "slow")
    assert outcomes(lab)["o.slow"] == "error"


def test_an_inconclusive_run_is_neither_red_nor_conformant(lab):
    lab.chapter(OUTCOMES)
    result = lab.run("-k", "thin or passed")
    assert result.ret == 0
    assert lab.verdict()["word"] == "INCOMPLETE"
    assert "1 test inconclusive (3 samples of 30): o.thin" in lab.verdict()["reasons"]


@pytest.mark.parametrize(
    ("markers", "sentence"),
    [
        ("", "*::test_it: has 0 clause markers, and every test*has exactly one; add *"),
        ('clause("a.b") clause("a.c")', "*::test_it: has 2 clause markers*"),
        ("clause()", "*::test_it: clause() should name one clause*"),
        ("clause(3)", "*::test_it: clause(3) should name one clause*"),
        ('clause("a", "b")', "*::test_it: clause('a', 'b') should name one clause*"),
        ('clause(id="a.b")', "*::test_it: clause(id) should name one clause*"),
        ('clause("A b")', "*::test_it: clause('A b') should name one clause*"),
        ('clause("a.b") xfail(reason="r")', "*::test_it: carries the marker xfail; use *"),
        ('clause("a.b") skip(reason="r")', "*::test_it: carries the marker skip; use *"),
    ],
)
def test_wrong_use_of_a_marker_is_refused_by_name(lab, markers, sentence):
    lines = markers.replace(") ", ")\n@pytest.mark.")
    lab.chapter(f"{'@pytest.mark.' if markers else ''}{lines}\ndef test_it(): pass\n")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: conformance/test_outputs.py{sentence}"])


def test_a_self_test_needs_no_clause_and_enters_no_table(lab):
    lab.write("tests/test_x.py", "def test_x(): pass\n")
    result = lab.run()
    assert result.ret == 0
    assert "verdict" not in result.stdout.str()
    assert not (lab.root / ".artifacts/runs/latest/verdict.json").exists()


def test_actors_come_from_the_parameters_and_can_be_corrected_by_a_fixture(lab):
    lab.chapter("""
class Named:
    name = "eager"

@pytest.mark.clause("ops.dtype")
@pytest.mark.parametrize("dtype", ["float16"])
@pytest.mark.parametrize("backend", [Named()])
def test_ops(backend, dtype, record_property):
    record_property("runtime", "cpu, 2 threads")
""")
    lab.run()
    (test,) = lab.verdict()["tests"]
    assert (test["subject"], test["backend"], test["case"]) == ("ops", "eager", "dtype=float16")
    assert test["runtime"] == "cpu, 2 threads"


def test_a_failure_names_the_subject_that_a_fixture_recorded(lab):
    body = """
@pytest.mark.clause("export.loads")
def test_loads(record_property):
    record_property("subject", "given.ts")
    raise CheckFailure("does not load", expected="a", actual="b")
"""
    lab.chapter(body)
    lab.run().stdout.fnmatch_lines(["E   export.loads: given.ts: does not load"])
