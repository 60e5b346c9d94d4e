"""What a verdict says of a run in its file and at its end."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import books, evidence, inconclusive, judgement, options, verdict
from plugins.judgement import Judgement, Scope
from plugins.ledger import Entry
from plugins.waivers import WAIVERS
from tests.test_verdict_runs import NODE, OK, RED, Run, entry, planned
from tests.test_waiver_rules import waiver


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, "conformance")


@pytest.fixture
def ended(monkeypatch):
    """A function that ends a run: the bookkeeper and the exit code."""
    monkeypatch.setattr(verdict.provenance, "environment", lambda config: {"python": "3"})
    monkeypatch.setattr(verdict.provenance, "suite_version", lambda root: f"suite of {root.name}")

    def end(config: Run, *entries: Entry, code=OK) -> tuple[verdict.Bookkeeper, int]:
        keeper = planned(config, *entries)
        session = SimpleNamespace(exitstatus=code)
        assert list(keeper.pytest_sessionfinish(session)) == [None]
        return keeper, session.exitstatus

    return end


def listed(run: Run, *entries: Entry) -> None:
    path = run.rootpath / books.FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(books.text(entries))


def document(run: Run) -> dict:
    return json.loads((run.rootpath / "runs/latest/verdict.json").read_text(encoding="utf-8"))


def test_a_verdict_says_all_of_a_run(run, ended):
    listed(run, entry())
    run.option.xmlpath = "mine.xml"
    run.stash[WAIVERS] = [waiver()]
    run.give("weights", Path("gr\u00fcn.pkl"))
    one = entry("waived", waiver="W-1", seconds=1.5)
    keeper, code = ended(run, one)
    said = document(run)
    assert (code, said["exit_code"], said["schema"]) == (OK, 0, 1)
    assert (said["word"], said["headline"]) == ("CONFORMANT", "CONFORMANT")
    assert (said["reasons"], said["holes"], said["counts"]) == ([], [], {"waived": 1})
    assert said["command"] == ["pytest", "conformance"]
    assert said["suite"] == f"suite of {run.rootpath.name}"
    assert said["environment"] == {"python": "3"}
    assert said["scope"]["absent"] == ["npu"] and said["scope"]["lane"] == ""
    assert said["options"]["weights"] == {"value": "gr\u00fcn.pkl", "source": "command line"}
    assert said["options"]["rendezvous"] == {"value": None, "source": "default"}
    assert set(said["books"]) == set(verdict.BOOKS)
    assert [test["nodeid"] for test in said["tests"]] == [NODE]
    assert [row["outcome"] for row in said["rows"]] == ["waived W-1"]
    assert said["waivers"] == [{**waiver().as_dict(), "tests": [NODE]}]
    run_folder = str(run.rootpath / "runs/one")
    assert said["artifacts"] == {"folder": run_folder, "junit": "mine.xml"}
    for name in ("started", "ended"):
        when = datetime.datetime.fromisoformat(said[name])
        assert when.utcoffset() == datetime.timedelta(0) and not when.microsecond
    text = (run.rootpath / "runs/one/verdict.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema": 1,\n') and text.endswith("}\n") and "gr\u00fcn" in text
    assert [path.name for path in (run.rootpath / "runs/one").iterdir()] == ["verdict.json"]


def test_a_waiver_names_the_tests_that_it_forgave(run):
    keeper = planned(run, entry("waived", waiver="W-1"), entry(nodeid="b"))
    assert keeper._waived(waiver())["tests"] == [NODE]


def test_latest_points_at_the_last_run(run, ended):
    (run.rootpath / "runs").mkdir()
    (run.rootpath / f"runs/latest.{os.getpid()}").symlink_to("lost")  # of a run that was killed
    ended(run, entry())
    assert (run.rootpath / "runs/latest").readlink() == Path("one")
    run.stash[options.RUN_DIR] = run.rootpath / "runs/two"
    ended(run, entry("failed"))
    assert document(run)["word"] == "NOT CONFORMANT"
    assert (run.rootpath / "runs/latest").readlink() == Path("two")


def test_a_hole_turns_a_good_end_red_and_leaves_a_bad_one(run, ended):
    listed(run, entry())
    run.give("require", ("coco",))
    keeper, code = ended(run, entry())
    assert keeper.verdict[0].holes == ["--require coco: nothing that needs it was judged"]
    assert (code, document(run)["exit_code"]) == (RED, 1)
    assert ended(run, entry(), code=pytest.ExitCode.INTERRUPTED)[1] == 2
    assert ended(run, entry(requires=["coco"]))[1] == OK


def test_one_red_test_among_good_ones_turns_a_good_end_red(run, ended):
    good, bad = entry(nodeid="test_a"), entry("stale", nodeid="test_b")
    for several in ((good, bad), (bad, good)):
        assert ended(run, *several)[1] == RED


def test_a_run_of_self_tests_writes_nothing(run, ended, tmp_path):
    run.option.collectonly = True
    keeper, _ = ended(run, entry())
    assert keeper.verdict is None and not (tmp_path / "runs").exists()


def test_the_list_is_asked_by_whole_runs_of_their_lane(tmp_path, ended):
    whole = [entry(), entry(nodeid="b", lanes=["npu"], runtime="310P3")]
    for words, chosen, refused, gaps in (
        (["conformance"], "", "", 1), (["conformance/test_a.py"], "", "", 0),
        (["conformance"], "npu", "", 0), (["conformance"], "", "no such file", 0),
    ):  # fmt: skip
        run = Run(tmp_path, *words, markexpr=chosen)
        listed(run, *whole)
        if refused:
            run.stash[options.REFUSED] = refused
        keeper, _ = ended(run, whole[1])
        assert len(keeper.books.gaps) == gaps, (words, chosen, refused)


def test_what_is_inconclusive_ages_with_what_is_judged(run, ended, tmp_path, today):
    keeper, _ = ended(run, entry("inconclusive"))
    record = tmp_path / "art" / inconclusive.NAME
    assert json.loads(record.read_text()) == {NODE: today.isoformat()}
    model = tmp_path / "model.ts"
    model.write_text("weights")
    run.give("model_ts", model)
    ended(run, entry("inconclusive"))
    digest = verdict.sha256(model)[:12]
    assert set(json.loads(record.read_text())) == {NODE, f"{NODE} of {digest}"}
    days = {
        name: (today - datetime.timedelta(days=4)).isoformat() for name in [f"{NODE} of {digest}"]
    }
    record.write_text(json.dumps(days))
    keeper, code = ended(run, entry("inconclusive"))
    assert len(keeper.books.overdue) == 1 and code == RED


@pytest.mark.parametrize(
    ("text", "lane"), [("npu", "npu"), (" a100 ", "a100"), ("not npu", ""), ("", "")]
)
def test_a_lane_is_chosen_by_its_name_alone(tmp_path, text, lane):
    run = Run(tmp_path, "conformance", markexpr=text)
    run.give("require", ("npu", "coco"))
    run.stash[options.REFUSED] = "no"
    assert verdict._scope(run) == Scope(lane, "", ("npu", "coco"), "no", ("npu",))


@pytest.mark.parametrize(
    ("words", "partial"),
    [
        (["conformance"], ""), (["."], ""), (["conformance/"], ""), (["tests/../conformance"], ""),
        (["tests", "conformance"], ""),
        (["conformance/a.py"], "only conformance/a.py was selected"),
        (["conformance/a.py", "tests"], "only conformance/a.py, tests was selected"),
        (["conformance::test_a"], "only conformance::test_a was selected"),
    ],
)  # fmt: skip
def test_a_part_is_what_does_not_name_the_whole(tmp_path, words, partial):
    assert verdict.partial_selection(Run(tmp_path, *words)) == partial


def test_a_clause_s_rate_is_said_where_it_is_known(run, monkeypatch):
    monkeypatch.setattr(evidence, "rates", lambda root: {"o.x": "0 of 9", "o.z": "1 of 2"})
    keeper = planned(run, entry(), entry(nodeid="b", clause="o.y"))
    assert keeper.rates() == {"o.x": "0 of 9"}


# --- what is shown ---


class Terminal:
    """Keeps what is written."""

    def __init__(self):
        self.lines, self.marks = [], []

    def section(self, title):
        self.lines.append(f"== {title}")

    def write_line(self, text, **marks):
        self.lines.append(text)
        self.marks.append(marks)


@pytest.mark.parametrize(("word", "good"), [("CONFORMANT", True), ("INCOMPLETE", False)])
def test_the_summary_has_table_word_reasons_and_place(run, word, good):
    keeper, shown = planned(run, entry()), Terminal()
    keeper.pytest_terminal_summary(shown)
    assert shown.lines == []
    rows = judgement.rows(keeper.books, {})
    keeper.verdict = Judgement(word, "", ["a reason"], ["a hole"]), rows
    keeper.pytest_terminal_summary(shown)
    assert shown.lines == [
        "== verdict", *judgement.table(rows), word, "  a reason", "  red: a hole",
        "written: runs/one/verdict.json",
    ]  # fmt: skip
    assert shown.marks[3] == {"bold": True, "green": good, "red": not good}


def test_what_is_no_text_is_told_without_a_place(run, ended):
    keeper, _ = ended(run, entry())
    session = SimpleNamespace(exitstatus=OK)
    with keeper.told(session):
        raise ValueError("no text")
    sentence = "the disk: no text, at the end of the run; put that in order and run again"
    assert (keeper.books.trouble, session.exitstatus) == ([sentence], RED)


def test_a_run_of_self_tests_fails_as_pytest_does(run, ended):
    run.option.collectonly = True
    keeper, _ = ended(run, entry())
    with pytest.raises(OSError), keeper.told(SimpleNamespace(exitstatus=OK)):
        raise OSError(28, "No space left on device")


def test_numbers_that_json_does_not_know_are_written_as_text(tmp_path):
    nan, infinite = float("nan"), float("inf")
    verdict._write(tmp_path, {"a": {"b": [nan, (1.5, -infinite)]}, "c": "π", "d": infinite})
    text = (tmp_path / "verdict.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": {"b": ["nan", [1.5, "-inf"]]}, "c": "π", "d": "inf"}
    assert "π" in text
