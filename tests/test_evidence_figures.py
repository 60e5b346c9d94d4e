"""What is published about the suite itself, figure by figure."""

from __future__ import annotations

import json

import pytest

from plugins import evidence


@pytest.fixture
def known(tmp_path):
    """A function that writes measurements; the root of their house."""

    def write(**contents) -> object:
        folder = tmp_path / "golden/evidence"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


def figure(root, what: str) -> str:
    return {name: text for name, text, _ in evidence.summary(root)}[what]


def test_each_kind_says_how_to_measure_it(known):
    assert [(what, command) for what, _, command in evidence.summary(known())] == [
        ("seeded faults", "make bite"),
        ("mutants of the judge", "make mutants ARGS=--evidence"),
        ("false alarms", "make census"),
        ("sensitivities", "python -m tests.sensitivity --whole"),
    ]


def test_faults_are_counted(known):
    rows = [{"caught": caught, "names_cause": named} for caught, named in
            ((True, True), (True, False), (False, False))]  # fmt: skip
    text = "2 of 3 caught; the first line names the cause of 1"
    assert figure(known(faults={"faults": rows}), "seeded faults") == text
    nothing = "0 of 0 caught; the first line names the cause of 0"
    assert figure(known(faults={"date": 1}), "seeded faults") == nothing


def counted(mutants, killed, hung, crashed, alike) -> dict:
    return {"mutants": mutants, "killed": killed, "hung": hung, "crashed": crashed,
            "equivalent": ["x"] * alike}  # fmt: skip


def test_mutants_are_counted_without_those_that_change_nothing(known):
    files = {"a": counted(10, 4, 1, 2, 1), "b": counted(7, 6, 0, 0, 1)}
    text = "13 of 15 killed (86.7 %); 2 more that no test here can notice"
    assert figure(known(mutants={"files": files}), "mutants of the judge") == text
    alike = known(mutants={"files": {"a": counted(1, 0, 0, 0, 1)}})
    none = "0 of 0 killed (-); 1 more that no test here can notice"
    assert figure(alike, "mutants of the judge") == none


def test_alarms_of_clauses_that_were_judged_are_counted(known):
    clauses = {
        "a": {"runs": 2, "alarms": 1, "tests": 3},
        "b": {"runs": 9, "alarms": 2, "tests": 4},
        "c": {"runs": 0, "alarms": 7, "tests": 8},
    }
    text = "3 in 11 clean runs: 2 clauses, 7 tests"
    assert figure(known(census={"clauses": clauses, "runs": 11}), "false alarms") == text
    empty = "0 in 0 clean runs: 0 clauses, 0 tests"
    assert figure(known(census={"date": 1}), "false alarms") == empty


def test_the_smallest_deviations_are_counted(known):
    tables = {"a": {"caught": {"x": 1, "y": 2}}, "b": {"caught": {"z": 1}}}
    text = "3 smallest deviations of 2 tables of tolerances"
    assert figure(known(sensitivity={"tolerances": tables}), "sensitivities") == text


def test_a_list_is_no_measurement(known):
    assert evidence.read(known(census=[1]), "census") == {}
    assert evidence.read(known(census={"a": 1}), "census") == {"a": 1}


def test_rates_are_said_by_clause(known):
    one = {"runs": 212, "alarms": 0, "upper_95": 0.01403}
    assert evidence.rates(known(census={"clauses": {"a": one}})) == {"a": "0 of 212, <= 1.4 %"}


@pytest.mark.parametrize(
    ("more", "said"), [(0, "0 of 3, <= 60 %"), (1, "0 of 4 simulated, <= 1 %")]
)
def test_simulated_runs_count_where_they_are_more(more, said):
    simulated = {"runs": 3 + more, "alarms": 0, "upper_95": 0.01}
    assert evidence.rate({"runs": 3, "alarms": 0, "upper_95": 0.6, "simulated": simulated}) == said


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.01403, 2, "1.4 %"), (0.8889, 3, "88.9 %"), (1.0, 2, "100 %"), (0.000001, 2, "0.0001 %")],
)
def test_a_share_is_in_percent(share, digits, text):
    assert evidence.percent(share, digits) == text
