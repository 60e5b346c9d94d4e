"""The table of the benchmarks: what is met, and that docs/performance.md says what was measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import minutes, table
from plugins.contracts.tables import tomllib

GOAL = {"what": "a", "unit": "ms", "at_most": 2, "times_better": 10, "floor": "nothing"}


@pytest.mark.parametrize(
    ("path", "section"),
    [(table.EVIDENCE, table.section), (minutes.EVIDENCE, minutes.section)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_page_says_what_was_measured(path, section):
    page = table.PAGE.read_text(encoding="utf-8")
    evidence = json.loads(path.read_text(encoding="utf-8"))
    assert table.written(page, path.name, section(evidence)) == page


def test_every_goal_was_measured_and_is_the_one_on_record():
    goals = tomllib.loads((table.HOUSE / "benchmarks/goals.toml").read_text())["row"]
    recorded = json.loads(table.EVIDENCE.read_text(encoding="utf-8"))["rows"]
    figures = {
        row["what"]: {
            table.OURS: row["ours"],
            **({row["peer"]: row["theirs"]} if row["peer"] else {}),
            **({row["floor_is"]: row["floor"]} if row["floor_is"] else {}),
        }
        for row in recorded
    }
    assert table.rows(figures, goals) == recorded
    assert len(recorded) == len(goals)


@pytest.mark.parametrize(
    ("ours", "theirs", "met"), [(2, 20, True), (2.1, 30, False), (1, 9.9, False), (1, 10, True)]
)
def test_a_goal_is_met_when_all_of_it_is(ours, theirs, met):
    row = table.rows({"a": {"ours": ours, "theirs": theirs, "nothing": 0.1}}, [GOAL])[0]
    assert row["met"] is met
    assert (row["peer"], row["floor"], row["goal"]) == ("theirs", 0.1, "<= 2 ms, >= 10x better")


@pytest.mark.parametrize(("ours", "met"), [(97, True), (96.9, False)])
def test_where_more_is_better_a_goal_is_a_least(ours, met):
    goal = {"what": "a", "unit": "% busy", "at_least": 97}
    row = table.rows({"a": {"ours": ours, "theirs": 50}}, [goal])[0]
    assert row["met"] is met and row["ratio"] == ours / 50


def test_what_was_not_measured_is_not_met():
    row = table.rows({"a": {"theirs": 20}}, [GOAL])[0]
    assert row["met"] is None and table.cells(row)[-1] == "not measured"


def test_a_figure_without_a_goal_is_refused():
    with pytest.raises(KeyError, match="unknown"):
        table.rows({"unknown": {"ours": 1}}, [GOAL])


def test_a_page_that_lost_its_marks_is_refused():
    with pytest.raises(ValueError, match="has no part 'x.json'"):
        table.written("# A page\n", "x.json", ["row"])
