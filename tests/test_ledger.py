"""The books of a run: what is planned, what becomes of it, and that the graver outcome stays."""

from __future__ import annotations

import datetime
import json
import threading

import pytest

from plugins import inconclusive, ledger
from plugins.ledger import Entry, Ledger


def planned(**fields) -> Entry:
    return Entry(**{"nodeid": "test_a", "clause": "outputs.range", "subject": "model", **fields})


def books(*entries: Entry) -> Ledger:
    made = Ledger()
    for entry in entries:
        made.plan(entry)
    return made


def after(*phases: dict) -> Entry:
    """An entry of which these phases were heard."""
    made = books(planned())
    for phase in phases:
        made.record("test_a", 1.0, phase)
    return made.entries["test_a"]


def outcome(name: str, reason: str = "", **more) -> dict:
    return {"outcome": name, "reason": reason, **more}


def test_what_is_planned_has_not_run():
    entry = planned()
    assert (entry.outcome, entry.runtime, entry.seconds, entry.attempts) == ("not run", "cpu", 0, 0)
    assert (entry.measures, entry.waiver, entry.chapter) == (False, "", "outputs")
    assert (Ledger().self_tests, Ledger().interrupted) == (0, False)
    assert list(books(entry)) == [entry]


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "outputs.range: model"),
        ({"backend": "aie"}, "outputs.range: model on aie"),
        ({"case": "cat"}, "outputs.range: model, case cat"),
        ({"backend": "aie", "case": "cat"}, "outputs.range: model on aie, case cat"),
    ],
)
def test_a_title_has_the_parts_that_apply(fields, title):
    assert planned(**fields).title() == title


@pytest.mark.parametrize(
    ("fields", "belongs"),
    [({}, False), ({"lanes": ["npu"]}, True), ({"requires": ["npu"]}, True), ({"lanes": ["a100"]}, False)],
)  # fmt: skip
def test_a_test_belongs_to_its_lanes_and_to_what_it_requires(fields, belongs):
    assert planned(**fields).belongs_to("npu") is belongs


ORDER = ("failed", "stale", "error", "inconclusive", "skipped", "waived", "passed")


@pytest.mark.parametrize("first", ORDER)
@pytest.mark.parametrize("second", ORDER)
def test_of_two_phases_the_graver_outcome_stays(first, second):
    graver = min(first, second, key=ORDER.index)
    assert after(outcome(first), outcome(second)).outcome == graver


def test_the_order_of_gravity_is_this_one():
    assert ledger.SEVERITY == (
        *("failed", "stale", "error", "inconclusive", "not run", "deselected"),
        *("skipped", "waived", "passed"),
    )
    assert set(ledger.JUDGED) == {"passed", "waived", "failed", "stale"}
    assert ledger.DEVICELESS == ("simulated device", "no device") and ledger.LANES == (
        "npu",
        "a100",
    )


def test_what_went_wrong_first_is_the_reason():
    entry = after(outcome("failed", "one", details=["a"]), outcome("failed", "two", details=["b"]))
    assert (entry.reason, entry.details) == ("one", ["a"])
    entry = after(outcome("failed"), outcome("failed", "two", details=["b"]))
    assert (entry.reason, entry.details) == ("two", ["b"])
    assert after(outcome("error", "one"), outcome("failed", "two")).reason == "two"
    assert after(outcome("failed", "one"), outcome("error", "two")).reason == "one"


def test_all_phases_take_time_and_the_most_attempts_count():
    entry = after({"outcome": "passed", "attempts": 1}, {"attempts": 3}, {"attempts": 2}, {})
    assert (entry.seconds, entry.attempts, entry.outcome) == (4.0, 3, "passed")
    assert after(outcome("passed")).attempts == 0


def test_what_a_milder_phase_found_is_not_taken_over():
    entry = after(outcome("failed", "one"), outcome("passed", "", figures=[{"name": "x"}]))
    assert (entry.outcome, entry.reason, entry.figures) == ("failed", "one", [])
    entry = after(outcome("passed"), {"figures": [{"name": "x"}]})
    assert entry.figures == [{"name": "x"}]


def test_a_deselected_test_says_why_and_an_unplanned_one_is_none():
    made = books(planned())
    made.deselect("test_a", "by -k")
    made.deselect("test_b", "by -k")
    assert [(e.outcome, e.reason) for e in made] == [("deselected", "by -k")]


def test_what_is_heard_before_the_plan_is_added_to_it():
    made = Ledger()
    made.record("test_a", 2.0, outcome("failed", "one"))
    made.record("test_a", 1.0, {})
    made.record("test_b", 1.0, {})
    assert list(made.early) == ["test_a"]
    made.plan(planned())
    entry = made.entries["test_a"]
    assert (entry.outcome, entry.reason, entry.seconds) == ("failed", "one", 2.0)
    assert not made.early


def test_a_worker_s_plan_is_taken_over_and_its_outcomes_are_not():
    right = {"backend": "aie", "case": "cat", "lanes": ["npu"], "requires": ["npu"], "runtime": "x",
             "measures": True}  # fmt: skip
    worker = books(planned(**right), planned(nodeid="test_b"), planned(nodeid="test_c"))
    worker.record("test_a", 1.0, outcome("failed", "one", attempts=1))
    worker.deselect("test_b", "by -k")
    worker.broken, worker.self_tests = ["b", "a"], 3
    mine = books(planned(nodeid="test_c", subject="mine"))
    mine.broken, mine.self_tests = ["c", "a"], 2
    mine.merge(worker.as_dict())
    assert mine.entries["test_a"] == planned(**right)
    assert (mine.entries["test_b"].outcome, mine.entries["test_b"].reason) == (
        "deselected",
        "by -k",
    )
    assert mine.entries["test_c"].subject == "mine"
    assert (mine.broken, mine.self_tests) == (["a", "b", "c"], 3)


@pytest.mark.parametrize("name", ORDER)
def test_the_worst_of_some_is_the_gravest(name):
    rest = ORDER[ORDER.index(name) :]
    assert ledger.worst(planned(outcome=one) for one in reversed(rest)) == name


# --- an inconclusive outcome ages ---

TODAY = datetime.date(2026, 3, 10)


def late(path, *entries: Entry, days: int = 3, of: str = "") -> list[str]:
    return inconclusive.overdue(path, entries, days=days, today=TODAY, of=of)


def stored(path, **since: str):
    path.write_text(json.dumps(since))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "inconclusive.json"


OPEN = planned(outcome="inconclusive", reason="too few")


@pytest.mark.parametrize(("since", "age"), [("2026-03-07", 3), ("2026-03-06", 4)])
def test_a_test_may_be_inconclusive_for_as_many_days_as_are_allowed(path, since, age):
    found = late(stored(path, test_a=since), OPEN)
    text = f"outputs.range: model: inconclusive for {age} days, and 3 are allowed"
    assert [one.startswith(text) and one.endswith(": too few") for one in found] == [True] * (
        age - 3
    )
    assert json.loads(path.read_text()) == {"test_a": since}


def test_the_first_record_makes_its_folders(tmp_path):
    assert late(tmp_path / "no" / "such" / "inconclusive.json", OPEN) == []
    assert (tmp_path / "no/such/inconclusive.json").is_file()


def test_a_new_one_is_dated_and_an_answer_ends_it(path):
    assert inconclusive.overdue(path, [OPEN], days=3, today=TODAY) == []
    assert path.read_text() == '{\n "test_a": "2026-03-10"\n}'
    for name in ("passed", "failed", "waived", "stale"):
        stored(path, test_a="2026-03-01", test_b="2026-03-02")
        assert late(path, planned(outcome=name)) == []
        assert json.loads(path.read_text()) == {"test_b": "2026-03-02"}
    assert late(stored(path), planned(outcome="passed")) == []


def test_two_runs_that_end_together_lose_nothing(path, monkeypatch):
    """The second comes while the first has read the record and not written it yet."""
    others, write = [], inconclusive.write_atomically

    def slowly(place, content):
        if not others:
            other = planned(outcome="inconclusive", nodeid="test_b")
            others.append(threading.Thread(target=late, args=(path, other)))
            others[0].start()
            others[0].join(0.3)
        write(place, content)

    monkeypatch.setattr(inconclusive, "write_atomically", slowly)
    late(path, OPEN)
    others[0].join()
    assert set(json.loads(path.read_text())) == {"test_a", "test_b"}


@pytest.mark.parametrize("name", ["not run", "error", "skipped", "deselected"])
def test_what_gave_no_answer_gets_no_younger_and_no_older(path, name):
    stored(path, test_a="2026-01-01")
    assert late(path, planned(outcome=name)) == []
    assert json.loads(path.read_text()) == {"test_a": "2026-01-01"}


def test_each_thing_that_was_judged_has_an_age_of_its_own(path):
    stored(path, test_a="2026-01-01")
    assert late(path, OPEN, of="model.ts") == []
    assert json.loads(path.read_text()) == {"test_a": "2026-01-01", "test_a model.ts": "2026-03-10"}


def test_where_nothing_changes_nothing_is_written(path):
    assert late(path) == []
    assert not path.exists()
    stored(path, b="2026-03-09", test_a="2026-03-09")
    before = path.read_bytes()
    assert late(path, OPEN) == []
    assert path.read_bytes() == before


def test_the_record_is_in_the_order_of_names(path):
    late(path, *(planned(nodeid=name, outcome="inconclusive") for name in "cab"))
    assert list(json.loads(path.read_text())) == ["a", "b", "c"]


@pytest.mark.parametrize("day", ["2026-03-10", "2026-03-11"])
def test_another_run_may_have_ended_after_midnight_while_this_one_waited(path, day):
    assert late(stored(path, test_a=day), OPEN) == []


def test_a_day_in_the_future_is_a_wrong_clock(path):
    found = late(stored(path, test_a="2026-03-12", test_b="2026-01-01"), OPEN)
    assert found == [f"{path}: a day of it lies in the future, so the clock was wrong; delete it"]


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "soon"}', '{"a": 3}'])
def test_a_record_that_cannot_be_read_is_said_to_be_none(path, text):
    path.write_text(text)
    assert late(path, OPEN) == [f"{path}: is no record of days; delete it"]
