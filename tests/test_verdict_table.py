"""The table of a verdict: its rows, cells and lines, without a run."""

from __future__ import annotations

import pytest

from plugins import judgement
from plugins.ledger import Entry
from tests.test_judgement import entry


def row(*entries: Entry, rates: dict | None = None) -> dict:
    (found,) = judgement.rows(entries, rates or {})
    return found


def figure(measured, name: str = "AP", **more) -> dict:
    return {"name": name, "measured": measured, "unit": "%", "expected": ">= 38", **more}


def test_a_row_is_of_one_subject_clause_and_backend():
    several = [entry(), entry(subject="b"), entry(clause="outputs.dtype"), entry(backend="aie")]
    found = judgement.rows([*several, entry(seconds=2.0), entry(seconds=0.5)], {})
    assert [r["tests"] for r in found] == [3, 1, 1, 1]
    assert found[0]["seconds"] == 2.5
    assert [r["backend"] for r in found] == ["", "", "", "aie"]
    assert [r["subject"] for r in found] == ["model", "b", "model", "model"]


def test_a_row_says_how_often_its_clause_was_wrong():
    assert row(entry(), rates={"outputs.range": "0 of 9"})["false_alarms"] == "0 of 9"
    assert row(entry(), rates={"outputs.dtype": "0 of 9"})["false_alarms"] == judgement.NOT_MEASURED


def test_only_what_ran_says_on_what():
    found = row(
        entry(runtime="a"), entry(runtime="b"), entry("error", runtime="a"),
        entry("skipped", runtime="c"), entry("deselected", runtime="d"), entry("not run", runtime="e"),
    )  # fmt: skip
    assert found["runtime"] == "a + b"


@pytest.mark.parametrize(
    ("outcomes", "cell"),
    [
        (["passed"], "passed"),
        (["passed"] * 3, "passed 3"),
        (["passed", "failed"], "failed 1 of 2"),
        (["skipped"] * 2, "skipped 2"),
        (["skipped", "passed", "passed"], "passed 2, skipped 1"),
        (["skipped", "waived", "passed"], "passed 1, waived 1, skipped 1"),
        (["skipped", "failed"], "failed 1 of 2"),
        (["deselected", "passed"], "deselected 1 of 2"),
    ],
)
def test_outcomes_are_counted(outcomes, cell):
    assert row(*map(entry, outcomes))["outcome"] == cell


def test_waivers_are_named_where_they_decide():
    assert row(entry("waived", waiver="W-1"))["outcome"] == "waived W-1"
    both = [
        entry("stale", waiver="W-2"),
        entry("stale", waiver="W-1"),
        entry("stale", waiver="W-2"),
    ]
    assert row(*both)["outcome"] == "stale W-2, W-1 3"
    assert row(entry("waived", waiver="W-1"), entry("failed"))["outcome"] == "failed 1 of 2"
    assert row(entry(), entry("stale", waiver="W-1"))["outcome"] == "stale W-1 1 of 2"


def test_a_row_without_figures_says_what_its_tests_said():
    found = row(entry(), entry(expected="< 1", measured="0.5"), entry(expected="< 2"))
    assert (found["expected"], found["measured"]) == ("< 1", "0.5")
    assert row(entry(measured="0.5"))["measured"] == "0.5"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([38.5], "38.5 % AP"),
        ([38.5, 38.5], "38.5 % AP"),
        ([38.6, 38.25, 38.5], "38.25..38.6 % AP"),
        ([1, 2], "1..2 % AP"),
        ([38.5, None], "38.5 AP"),
        ([38.5, float("nan")], "38.5, nan AP"),
        (["a", "b", "a", ""], "a, b AP"),
        ([None], "AP"),
    ],
)
def test_figures_are_a_range_where_all_are_numbers(values, text):
    assert row(*(entry(figures=[figure(value)]) for value in values))["measured"] == text


def test_each_figure_has_a_row_and_its_own_runtime():
    one = entry(figures=[figure(1.0), figure(2.0, "AR", unit=None, runtime="x")], runtime="y")
    ap, ar = judgement.rows([one], {})
    assert (ap["measured"], ap["runtime"], ap["expected"]) == ("1 % AP", "y", ">= 38")
    assert (ar["measured"], ar["runtime"]) == ("2 AR", "x")
    other = entry(figures=[figure(2.0, runtime="x"), figure(3.0, runtime="z")])
    assert row(other)["runtime"] == "x + z"


def test_a_figure_without_a_name_or_a_unit_is_its_number():
    assert row(entry(figures=[{"measured": 1.0}]))["measured"] == "1"


def lines(*entries: Entry) -> list[str]:
    return judgement.table(judgement.rows(entries, {}))


def test_the_table_is_grouped_by_subject_and_aligned():
    found = lines(
        entry(seconds=1.25),
        entry(subject="b", clause="outputs.dtype"),
        entry(clause="export.loads"),
    )
    starts = [found[0].index(heading) for heading in judgement.HEADINGS]
    assert starts == [2, 17, 26, 36, 50, 60, 69, 78]
    assert [line.split()[0] for line in found] == [
        "clause", "model", "outputs.range", "export.loads", "b", "outputs.dtype",
    ]  # fmt: skip
    assert (
        found[2]
        == f"  outputs.range  -        -         {judgement.NOT_MEASURED:<12}  -         passed   cpu      1.2"
    )  # noqa: E501
    assert found[0] == found[0].rstrip()


def test_what_was_not_selected_is_one_line():
    left = "  2 rows that were not selected are in verdict.json"
    out = [
        entry("deselected"),
        entry("deselected", clause="a.b"),
        entry("deselected", clause="a.b"),
    ]
    assert lines(*out) == [left]
    assert lines(entry("passed", clause="c.d"), *out)[-1] == left
    assert lines(entry("deselected"), entry()) != [left]
    assert len(lines(entry())) == 3
    assert lines() == []


def test_a_long_cell_is_cut_and_a_toolkit_s_version_left_out():
    cut, whole = " " + "x" * 31 + "... ", "x" * 34
    assert cut in lines(entry(expected=whole + "x"))[2]
    assert whole in lines(entry(expected=whole))[2]
    assert " 310P3  " in lines(entry(runtime="310P3 (torch_aie 6.3.rc2)"))[2]
    assert "(torch_aie 6.3.rc2)" in lines(entry(expected="310P3 (torch_aie 6.3.rc2)"))[2]


@pytest.mark.parametrize(
    ("lanes", "runtime", "outcome", "told"),
    [
        (["npu"], "310P3 (6.3)", "passed", True),
        (["a100"], "NVIDIA A100", "failed", True),
        (["npu"], "emulated 310P3", "passed", False),
        (["a100"], "cpu (stand-in)", "passed", False),
        (["a100"], "no device", "passed", False),
        (["npu"], "310P3 (6.3)", "skipped", False),
        (["npu"], "", "passed", False),
        ([], "cpu", "passed", False),
    ],
)
def test_a_rate_beside_hardware_says_that_it_is_of_stand_ins(lanes, runtime, outcome, told):
    found = row(
        entry(lanes=lanes, runtime=runtime, outcome=outcome), rates={"outputs.range": "0 of 9"}
    )
    assert found["false_alarms"] == "0 of 9" + " on stand-ins" * told
    absent = entry(lanes=["npu"], runtime="", outcome="skipped")
    group = [absent, entry(lanes=lanes, runtime=runtime, outcome=outcome), absent]
    (found,) = judgement.rows(group, {"outputs.range": "0 of 9"})
    assert found["false_alarms"] == "0 of 9" + " on stand-ins" * told
    silent = row(entry(lanes=lanes, runtime=runtime, outcome=outcome))
    assert silent["false_alarms"] == judgement.NOT_MEASURED
