"""An inconclusive outcome ages: tolerated for as long as waivers.toml says, then red."""

from __future__ import annotations

import datetime
import json

import pytest

from plugins import inconclusive

pytest_plugins = ["pytester", "tests.lab"]

OPEN = '@pytest.mark.clause("accuracy.map")\ndef test_map(): raise Inconclusive("too few images")\n'
HELD = '@pytest.mark.clause("accuracy.map")\ndef test_map(): pass\n'
NODE = "conformance/test_outputs.py::test_map"


@pytest.fixture
def aged(lab, today):
    """A function that runs the lab with an inconclusive test that is so many days old."""
    lab.write("conformance/waivers.toml", "max = 0\ninconclusive_days = 3\n")
    lab.chapter(OPEN)
    record = lab.root / ".artifacts" / inconclusive.NAME

    def run(days, *words, node=NODE):
        since = today - datetime.timedelta(days=days)
        lab.write(f".artifacts/{inconclusive.NAME}", json.dumps({node: since.isoformat()}))
        return lab.run(*words), lab.verdict()["holes"], json.loads(record.read_text())

    return run


def test_an_inconclusive_test_is_tolerated_for_as_many_days_as_are_allowed(aged):
    result, holes, _ = aged(3)
    assert (result.ret, holes) == (0, [])


def test_one_day_later_it_is_red_and_says_how_old_it_is(aged):
    result, holes, _ = aged(4)
    assert result.ret == 1
    assert holes[0].startswith("accuracy.map: accuracy: inconclusive for 4 days, and 3 are allowed")
    result.stdout.fnmatch_lines(["  red: accuracy.map: accuracy: inconclusive for 4 days*"])


def test_an_answer_ends_it(aged, lab):
    lab.chapter(HELD)
    result, holes, record = aged(40)
    assert (result.ret, holes, record) == (0, [], {})


def test_a_test_that_did_not_run_gets_no_younger(aged, lab, today):
    lab.chapter(OPEN + '@pytest.mark.clause("o.x")\ndef test_x(): pass\n')
    _, _, record = aged(40, "-k", "test_x")
    assert record[NODE] == (today - datetime.timedelta(days=40)).isoformat()


def test_a_new_one_is_dated_today(aged, today):
    _, holes, record = aged(40, node="another")
    assert (holes, record[NODE]) == ([], today.isoformat())


def test_without_the_file_there_is_no_patience(aged):
    assert aged(1, "--no-waivers")[0].ret == 1


def test_a_clock_that_was_ahead_does_not_make_it_younger(aged):
    result, holes, _ = aged(-365)
    assert result.ret == 1
    assert holes[0].endswith("lies in the future, so the clock was wrong; delete it")


@pytest.mark.parametrize("content", ["[]", "{", '{"a": "soon"}'])
def test_a_record_that_cannot_be_read_is_red(aged, lab, content):
    lab.write(f".artifacts/{inconclusive.NAME}", content)
    assert lab.run().ret == 1
    assert lab.verdict()["holes"][0].endswith("is no record of days; delete it")
