"""What is published about the suite itself: written by machines, complete, and said in each verdict."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from plugins import evidence
from tests import evidence as pages

HOUSE = Path(__file__).resolve().parents[1]
FAULT = {
    **{"id": "clock/late", "breaks": "the timer | does <not> wait", "kin": ["P1"]},
    **{"clause": "throughput.compute", "caught": True, "by": "throughput.compute"},
    **{"line": "the timing is not complete", "names_cause": True, "seconds": 1.25, "missed": ""},
}
MISSED = {
    **{**FAULT, "id": "clock/early", "breaks": "a clock runs early", "caught": False, "by": ""},
    **{"line": "", "names_cause": False, "missed": "no one looks"},
}
FAULTS = {
    "provenance": {"command": "make bite", "date": "2026-01-02"},
    "faults": [FAULT, MISSED],
    "twins": [{"layer": "clock", "name": "clean", "alarms": []}],
    "inexpressible": [{"kind": "P9", "fault": "a card throttles", "reason": "needs a card"}],
}
SURVIVOR = {"line": 7, "operator": "compare", "before": "a < b", "after": "a <= b"}
MUTANTS = {
    "provenance": {"command": "make mutants"},
    "files": {
        "plugins/checks/a.py": {
            **{"mutants": 10, "killed": 7, "hung": 1, "crashed": 0},
            **{"equivalent": [{**SURVIVOR, "reason": "nothing is equal"}], "survived": [SURVIVOR]},
        }
    },
}


@pytest.fixture
def root(tmp_path):
    """A house in which all four were measured."""
    folder = tmp_path / evidence.FOLDER
    shutil.copytree(HOUSE / evidence.FOLDER, folder)
    for name, content in (("faults", FAULTS), ("mutants", MUTANTS)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "tests" / "census").mkdir(parents=True)
    shutil.copy(HOUSE / "tests/census/found.toml", tmp_path / "tests/census")
    return tmp_path


def test_the_page_is_what_is_written_from_the_measurements():
    assert pages.main(["--check"]) == 0, "run: make evidence"


def test_each_measurement_says_how_when_and_on_what_and_names_no_machine():
    names = [*evidence.COMMANDS, "comparison_aa"]
    paths = [HOUSE / evidence.FOLDER / f"{name}.json" for name in names]
    for path in [path for path in paths if path.is_file()]:
        said = json.loads(path.read_text(encoding="utf-8"))["provenance"]
        assert said.get("command") and re.fullmatch(r"\d{4}-\d\d-\d\d", said["date"]), path.name
        assert not re.search(r"/(home|root|tmp|work)/", path.read_text(encoding="utf-8")), path.name


def test_the_page_has_what_was_caught_what_was_missed_and_what_cannot_be_seeded(root):
    text = pages.page(root)
    assert "| seeded faults | 1 of 2 caught; the first line names the cause of 1 |" in text
    assert (
        "| mutants of the judge | 8 of 9 killed (88.9 %); 1 more that no test here can notice |"
        in text
    )
    assert "| clock/early | a clock runs early | no one looks |" in text
    assert text.index("clock/early") < text.index("the timing is not complete")
    assert "| P9 | a card throttles | needs a card |" in text
    assert "compare: a &lt; b -> a &lt;= b | open |" in text


def test_nothing_in_a_measurement_can_break_a_table(root):
    assert "the timer \\| does &lt;not> wait" in pages.page(root)


def test_what_was_not_measured_is_said_and_stops_nothing(tmp_path):
    (tmp_path / "tests" / "census").mkdir(parents=True)
    shutil.copy(HOUSE / "tests/census/found.toml", tmp_path / "tests/census")
    assert pages.page(tmp_path).count("Not measured yet: `") == 4
    assert {figure for _, figure, _ in evidence.summary(tmp_path)} == {"not measured"}
    assert evidence.rates(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_measurement_that_cannot_be_read_counts_as_none(tmp_path, text):
    folder = tmp_path / evidence.FOLDER
    folder.mkdir(parents=True)
    (folder / "census.json").write_bytes(text.encode("latin-1"))
    assert evidence.rates(tmp_path) == {}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ({"runs": 212, "alarms": 0, "upper_95": 0.01403}, "0 of 212, <= 1.4 %"),
        ({"runs": 0, "alarms": 0, "upper_95": 1.0}, "not measured"),
        ({"runs": 0, "alarms": 0, "upper_95": 1.0, "nominal": 9.2e-5}, "nominal 0.0092 %"),
        (
            {"runs": 3, "alarms": 0, "upper_95": 0.6,
             "simulated": {"runs": 3000, "alarms": 1, "upper_95": 0.00158}},
            "1 of 3000 simulated, <= 0.16 %",
        ),
    ],
)  # fmt: skip
def test_a_rate_is_said_with_its_bound(one, said):
    assert evidence.rate(one) == said


def test_every_clause_of_the_census_is_one_of_the_must_run_list():
    listed = (HOUSE / "conformance" / "must_run.toml").read_text(encoding="utf-8")
    for clause in evidence.read(HOUSE, "census")["clauses"]:
        assert f'."{clause}"]' in listed, clause
