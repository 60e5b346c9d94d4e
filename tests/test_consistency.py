"""Whether a certificate's parts agree, on a small one that is made here and changed part by part."""

from __future__ import annotations

import pytest

from plugins import books, consistency, ledger
from plugins.judgement import Scope
from tests.certificates import FIGURE, HOME, LANES, Certificate, entry


@pytest.fixture
def whole(tmp_path):
    return Certificate(tmp_path)


def test_a_whole_certificate_agrees_with_itself(whole):
    assert whole.faults() == []


def test_what_cannot_be_read_again_is_said(whole):
    whole.change = {"scope": {}}
    assert whole.faults() == ["verdict.json: cannot be judged again: KeyError 'required'"]


@pytest.mark.parametrize(
    ("name", "said", "how"),
    [
        ("word", "CONFORMANT", "it is 'CONFORMANT', and 'INCOMPLETE' follows"),
        ("reasons", [], "0 are there, 1 follow"),
        ("reasons", ["a"], "it is 'a', and '1 test skipped (needs weights): outputs.weights' follows"),
        ("reasons", "a", "it is 'a', and ['1 test skipped (needs weights): outputs.weights'] follows"),
        ("counts", {"passed": 5, "skipped": 2}, "skipped is 2, and 1 follows"),
        ("counts", {"passed": 5}, "skipped is None, and 1 follows"),
        ("counts", [], "it is [], and {'passed': 5, 'skipped': 1} follows"),
        ("holes", ["a hole"], "1 are there, 0 follow"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_said_with_what_does(whole, name, said, how):
    whole.change = {name: said}
    assert whole.faults() == [f"verdict.json: {name} does not follow from its tests: {how}"]


def test_of_rows_the_first_that_differs_is_named(whole):
    rows = whole.verdict()["rows"]
    rows[2] = {**rows[2], "tests": 7}
    whole.change = {"rows": rows}
    (fault,) = whole.faults()
    assert fault.endswith("tests: tests of outputs.clock is 7, and 1 follows")


@pytest.mark.parametrize("outcome", ["failed", "stale", "error"])
def test_a_red_run_does_not_end_with_nought(tmp_path, outcome):
    made = Certificate(tmp_path, entry("range", outcome, reason="r"), entry("dtype"))
    made.shown[f"{HOME}test_range"] = "<failure/>"
    assert made.faults() == ["verdict.json: exit_code is 0, and the run was red"]
    made.exit_code = 1
    assert made.faults() == []


def test_a_run_with_a_hole_is_red(tmp_path):
    made = Certificate(tmp_path, entry("range"), overdue=["too old"])
    assert made.faults() == ["verdict.json: exit_code is 0, and the run was red"]


@pytest.mark.parametrize(
    ("scope", "lacks"),
    [
        (Scope(), True), (Scope(partial="only -k x was selected"), False),
        (Scope(refused="no such file"), False), (Scope(lane="npu"), False),
    ],
)  # fmt: skip
def test_a_whole_run_says_what_its_list_misses(tmp_path, scope, lacks):
    made = Certificate(tmp_path, scope=scope)
    made.planned.append(entry("more"))
    gap = "1 test (outputs.more (model, -)) did not come to run, and conformance/must_run.toml"
    found = [fault.startswith(f"verdict.json: does not say that {gap}") for fault in made.faults()]
    assert found == [True] * lacks


def test_a_gap_that_is_said_is_no_contradiction(whole):
    whole.planned.append(entry("more"))
    whole.faults()
    whole.run.gaps = books.faults(whole.folder / "must_run.toml", whole.run)
    assert len(whole.run.gaps) == 1
    assert whole.faults() == []


def test_one_run_is_on_one_device(whole):
    whole.run.entries[f"{HOME}test_dtype"].runtime = "emulated 310P3"
    assert whole.faults() == [
        "outputs.dtype: model: ran on emulated 310P3, and the lane is on 310P3"
    ]


def test_what_was_not_judged_ran_nowhere(tmp_path):
    elsewhere = {"lanes": ["npu"], "runtime": "emulated"}
    made = Certificate(tmp_path, entry("range"), entry("dtype", "skipped", **elsewhere))
    made.shown[f"{HOME}test_dtype"] = "<skipped/>"
    assert made.faults() == []


@pytest.mark.parametrize("runtime", ["no device", "simulated device"])
def test_what_runs_on_no_device_of_its_lane_is_planned_so(tmp_path, runtime):
    made = Certificate(tmp_path, entry("clock", lanes=["npu"], runtime=runtime))
    assert made.faults() == []
    made.planned = [entry("clock", lanes=["npu"], runtime="310P3")]
    assert made.faults() == [f"outputs.clock: model: ran on {runtime}, and the lane is on 310P3"]


def test_without_a_list_that_can_be_read_nothing_is_planned_to_run_on_no_device(tmp_path):
    assert books.deviceless(tmp_path / "must_run.toml") == set()
    (tmp_path / "must_run.toml").write_text("[npu")
    assert books.deviceless(tmp_path / "must_run.toml") == set()


def test_a_test_of_two_lanes_ran_on_the_first(whole):
    whole.run.entries[f"{HOME}test_both"].runtime = "NVIDIA A100"
    assert whole.faults() == ["outputs.both: model: ran on NVIDIA A100, and the lane is on 310P3"]


def test_an_edited_environment_has_another_fingerprint(whole):
    environment = whole.verdict()["environment"]
    whole.change = {"environment": {**environment, "python": "3.12"}}
    edited = ["verdict.json: the environment was edited; its fingerprint is another one"]
    assert whole.faults() == edited
    whole.change = {"environment": {**environment, "capabilities": {}}}
    assert whole.faults() == []


@pytest.mark.parametrize("where", ["A100; A100; 2 x x86", "310P3; A100; 2 x x86", "310P3"])
def test_samples_are_of_the_same_machine(whole, where):
    whole.samples["machine_info"]["machine_class"] = where
    assert whole.faults() == [f"samples.json: was measured on {where}, and verdict.json on {LANES}"]


def test_samples_that_name_no_machine_are_taken(whole):
    whole.samples["machine_info"] = {}
    assert whole.faults() == []
    del whole.samples["machine_info"]
    assert whole.faults() == []


def test_samples_are_of_tests_of_the_run(whole):
    whole.samples["benchmarks"] += [{"fullname": name} for name in "fbdace"]
    assert whole.faults() == [
        f"samples.json: {name} is no test of verdict.json" for name in "abcdef"
    ]


@pytest.mark.parametrize(
    ("data", "images", "measured"),
    [
        ([0.05], 1, 20.0), ([0.04, 0.06], 1, 20.0), ([0.05], 2, 40.0), ([0.1, 0.1], 2, 20.0),
        ([0.05], 1, 20.0 * (1 + 0.9e-6)), ([0.05], 1, 20.0 * (1 - 0.9e-6)),
    ],
)  # fmt: skip
def test_a_figure_follows_from_its_samples(whole, data, images, measured):
    whole.samples["benchmarks"][0]["stats"]["data"] = data
    figure = {**FIGURE, "images": images, "measured": measured}
    whole.run.entries[f"{HOME}test_fps"].figures = [figure]
    assert whole.faults() == []


@pytest.mark.parametrize(
    ("measured", "said"), [(21.0, "21"), (19.0, "19"), (20.00003, "20"), (19.99997, "20")]
)
def test_a_figure_that_does_not_is_said_with_the_one_that_does(whole, measured, said):
    whole.run.entries[f"{HOME}test_fps"].figures = [{**FIGURE, "measured": measured}]
    assert whole.faults() == [
        f"outputs.fps: model: compute is {said}, and its 4 raw samples give 20"
    ]


@pytest.mark.parametrize(
    "benchmarks", [[], [{"fullname": f"{HOME}test_fps", "stats": {"data": []}}]]
)
def test_a_figure_has_samples(whole, benchmarks):
    whole.samples["benchmarks"] = benchmarks
    assert whole.faults() == ["outputs.fps: model: compute has no raw samples in samples.json"]


def test_a_figure_that_is_no_number_is_said_to_be_none(whole):
    whole.run.entries[f"{HOME}test_fps"].figures = [{**FIGURE, "measured": "nan"}]
    (fault,) = whole.faults()
    assert fault.endswith("compute is nan, and its 4 raw samples give 20")


def test_a_name_stands_for_one_content(whole):
    whole.run.entries[f"{HOME}test_dtype"].hashes["model"] = "33" * 32
    assert whole.faults() == [f"model: changed during the run: sha256 {'11' * 6}, then {'33' * 6}"]


OUTCOMES = [
    *(("failed", "<failure/>"), ("stale", "<failure/>"), ("error", "<error/>")),
    *(("skipped", "<skipped/>"), ("waived", "<skipped/>"), ("inconclusive", "<skipped/>")),
    ("passed", "<properties/>"),
]
WORDS = {"<failure/>": "failed", "<error/>": "failed", "<skipped/>": "skipped", "": "passed"}


@pytest.mark.parametrize(("outcome", "right"), OUTCOMES)
def test_junit_shows_the_same(tmp_path, outcome, right):
    made = Certificate(tmp_path, entry("range", outcome), entry("dtype"))
    made.exit_code, name = 1, f"{HOME}test_range"
    made.shown[name] = right
    assert made.faults() == []
    made.shown[name] = wrong = "<skipped/>" if right != "<skipped/>" else "<failure/>"
    assert made.faults() == [f"junit.xml: {name} is {WORDS[wrong]}, in verdict.json {outcome}"]
    del made.shown[name]
    assert made.faults() == [f"junit.xml: {name} is missing, in verdict.json {outcome}"]


@pytest.mark.parametrize("outcome", ["not run", "deselected"])
def test_of_what_did_not_run_junit_need_not_know(tmp_path, outcome):
    made = Certificate(tmp_path, entry("range", outcome), entry("dtype"))
    del made.shown[f"{HOME}test_range"]
    assert made.faults() == []


@pytest.mark.parametrize("prefix", ["lane", "a.b", "conformance.x"])
def test_a_prefix_of_names_in_junit_is_no_part_of_them(tmp_path, prefix):
    made = Certificate(tmp_path, entry("range"), entry("dtype"))
    made.shown = {}
    made.junit = "".join(
        f'<testcase classname="{prefix}.conformance.test_a" name="test_{name}"/>'
        for name in ("range", "dtype")
    )
    made.junit = f"<suites>{made.junit}</suites>"
    assert made.faults() == []
    made.junit = made.junit.replace(".conformance.test_a", "conformance.test_a")
    assert len(made.faults()) == 2


def test_what_is_left_out_for_a_file_needs_a_file_and_did_not_run(tmp_path):
    aside = entry("range", "deselected", reason=ledger.NOT_ABOUT)
    made = Certificate(tmp_path, aside, entry("dtype"))
    name = f"{HOME}test_range"
    made.change = {"options": {"model_ts": {"value": "model.ts"}}}
    assert made.faults() == [f"junit.xml: {name} is passed, in verdict.json deselected"]
    del made.shown[name]
    assert made.faults() == []
    made.change = {"options": {"model_ts": {"value": None}}}
    told = "has tests not about the given file, and no file was given"
    assert made.faults() == [f"verdict.json: {told}"]


def test_a_junit_that_is_cut_short_is_said_and_one_that_is_missing_is_not(whole):
    whole.junit = "<suites><testcase"
    assert whole.faults() == ["junit.xml: is cut short or no XML"]
    whole.junit = None
    (whole.folder / "junit.xml").unlink()
    assert list(consistency._junit(whole.folder / "junit.xml", whole.run)) == []


@pytest.mark.parametrize(
    ("nodeid", "address"),
    [
        ("a/b/test_c.py::test_d", ("a.b.test_c", "test_d")),
        ("test_c.py::E::F::test_d", ("test_c.E.F", "test_d")),
        ("test_c.py::test_d[x::y[z]]", ("test_c", "test_d[x::y[z]]")),
    ],
)
def test_a_node_id_is_written_as_junit_does(nodeid, address):
    assert consistency._address(nodeid) == address
