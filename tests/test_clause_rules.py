"""Each rule of clauses by itself: markers, lanes and actors of a test."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import clauses
from plugins.clauses import DESELECTION, ENTRY, LEDGER
from plugins.ledger import Ledger
from tests.standins import NODE, ROOT, Config, Item

MARK = pytest.mark
RANGE = MARK.clause("outputs.range")


def params(**values) -> SimpleNamespace:
    return SimpleNamespace(params=values)


def refusal(function, *given) -> str:
    with pytest.raises(pytest.UsageError) as error:
        function(*given)
    return str(error.value)


# --- the gate ---


@pytest.mark.parametrize("name", ["plugins.verdict", "fixtures.workers"])
def test_a_part_of_the_gate_cannot_be_left_out(name):
    config = Config()
    config.pluginmanager.list_name_plugin = lambda: [("plugins.ledger", object()), (name, None)]
    for function in (clauses.refuse_blocked, clauses.pytest_configure):
        sentence = f"-p no:{name}: is a part of the gate; leave that option out"
        assert refusal(function, config) == sentence


def test_other_plugins_may_be_left_out():
    config = Config()
    config.pluginmanager.list_name_plugin = lambda: [("cacheprovider", None), ("myplugins.x", None)]
    del config.stash[LEDGER]
    clauses.pytest_configure(config)
    assert config.stash[LEDGER] == Ledger()


@pytest.mark.parametrize(
    ("path", "belongs"),
    [("conformance/a.py", True), ("conformance/b/a.py", True), ("tests/conformance/a.py", False),
     ("conformance.py", False)],
)  # fmt: skip
def test_what_lies_in_conformance_belongs_in_the_verdict(path, belongs):
    assert clauses.is_conformance(Config(), ROOT / path) is belongs


def test_what_is_collected_is_planned_and_self_tests_are_counted():
    config = Config()
    items = [Item(RANGE, config=config), *(Item(config=config, path="tests/a.py") for _ in "ab")]
    clauses.pytest_collection_modifyitems(config, items)
    books = config.stash[LEDGER]
    assert [entry.nodeid for entry in books] == [NODE]
    assert items[0].stash[ENTRY] is books.entries[NODE]
    assert books.self_tests == 2


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({}, "deselected by the command line"),
        ({"keyword": "bus"}, "deselected by -k bus"),
        ({"keyword": "a or b", "markexpr": "npu"}, "deselected by -k 'a or b' -m npu"),
    ],
)
def test_a_deselected_test_says_by_what(chosen, why):
    config = Config(**chosen)
    item = Item(RANGE, config=config)
    clauses.pytest_collection_modifyitems(config, [item])
    clauses.pytest_deselected([item])
    entry = config.stash[LEDGER].entries[NODE]
    assert (entry.outcome, entry.reason) == ("deselected", why)
    item.stash[DESELECTION] = "by a plugin"
    clauses.pytest_deselected([item])
    assert entry.reason == "by a plugin"


# --- the entry ---


@pytest.mark.parametrize(
    ("marks", "lanes", "runtime"),
    [
        ([], [], "cpu"),
        ([MARK.npu], ["npu"], "310P3"),
        ([MARK.a100], ["a100"], "A100"),
        ([MARK.a100, MARK.npu], ["npu", "a100"], "310P3"),
        ([MARK.npu, MARK.deviceless("no device")], ["npu"], "no device"),
        ([MARK.a100, MARK.deviceless("simulated device")], ["a100"], "simulated device"),
    ],
)
def test_a_lane_says_on_what_a_test_runs(marks, lanes, runtime):
    entry = clauses._entry(Item(RANGE, *marks))
    assert (entry.lanes, entry.runtime) == (lanes, runtime)


def test_an_entry_says_its_clause_and_what_it_needs_and_measures():
    entry = clauses._entry(Item(RANGE, MARK.requires("coco", "npu"), fixturenames=["figure"]))
    assert (entry.nodeid, entry.clause, entry.subject) == (NODE, "outputs.range", "outputs")
    assert (entry.requires, entry.measures) == (["coco", "npu"], True)
    assert not clauses._entry(Item(RANGE, fixturenames=["figures"])).measures
    assert not clauses._entry(Item(RANGE)).measures


@pytest.mark.parametrize("mark", [MARK.deviceless, MARK.deviceless("cpu"),
                                  MARK.deviceless("no device", "simulated device")])  # fmt: skip
def test_deviceless_says_one_of_two_things(mark):
    assert refusal(clauses._entry, Item(RANGE, mark)) == (
        f"{NODE}: deviceless is one of simulated device, no device"
    )


@pytest.mark.parametrize(
    "text", ["a", "a.b", "a1.b_2.c", "outputs.dtype", "a.2"],
)  # fmt: skip
def test_a_clause_is_a_dotted_name(text):
    assert clauses._clause(Item(MARK.clause(text))) == text


@pytest.mark.parametrize(
    ("mark", "shown"),
    [
        *((MARK.clause(text), repr(text)) for text in ("A.b", "a b", "a.", ".a", "1.a", "", "a..b")),
        *((MARK.clause(3), "3"), (MARK.clause("a", "b"), "'a', 'b'"), (MARK.clause, "")),
        *((MARK.clause("a", id="b"), "'a', id"), (MARK.clause(id="b"), "id")),
    ],
)  # fmt: skip
def test_another_clause_is_refused(mark, shown):
    assert refusal(clauses._clause, Item(mark)) == (
        f'{NODE}: clause({shown}) should name one clause, such as clause("outputs.dtype")'
    )


@pytest.mark.parametrize("marks", [[], [RANGE, RANGE]])
def test_a_test_judges_one_clause(marks):
    assert refusal(clauses._clause, Item(*marks)).startswith(
        f"{NODE}: has {len(marks)} clause markers, and every test in conformance/ has exactly one"
    )


@pytest.mark.parametrize("name", ["xfail", "skip", "skipif"])
def test_a_test_is_not_excused_by_a_marker(name):
    assert refusal(clauses._clause, Item(RANGE, getattr(MARK, name))).startswith(
        f"{NODE}: carries the marker {name}; use requires(...) for what is absent"
    )


NAMED = SimpleNamespace(name="eager", subject=SimpleNamespace(id="model"))
ACTORS = [
    ({}, {}),
    ({"subject": "m", "backend": "aie", "case": "bus"},
     {"subject": "m", "backend": "aie", "case": "bus"}),
    *(({name: "x"}, {"subject": "x"})
      for name in ("subject", "contract", "shapes", "shipped", "trained", "exercised")),
    *(({name: "x"}, {"backend": "x"})
      for name in ("backend", "target", "timed_run", "precision", "shared_run", "rate_trace")),
    *(({name: "x"}, {"case": "x"})
      for name in ("case", "lively_case", "nms_case", "device_nms_case", "roi_case", "bad_call")),
    ({"case": "bus", "dtype": "f2", "size": 3}, {"case": "bus, dtype=f2, size=3"}),
    ({"dtype": "f2"}, {"case": "dtype=f2"}),
    ({"target": NAMED}, {"backend": "eager", "subject": "model"}),
    ({"case": Path("a/bus.jpg")}, {"case": "bus"}),
    ({"case": SimpleNamespace(id="i", name="n")}, {"case": "i"}),
    ({"case": SimpleNamespace(id=3, name="n")}, {"case": "n"}),
    ({"case": len}, {"case": "len"}),
    ({"case": 3}, {"case": "3"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "actors"), ACTORS)
def test_actors_come_from_the_parameters(given, actors):
    assert clauses._actors(Item(callspec=params(**given))) == actors
    assert given == dict(params(**given).params), "the test keeps its parameters"


def test_a_test_without_parameters_has_no_actors():
    assert clauses._actors(Item()) == {}


def test_actors_enter_the_entry():
    entry = clauses._entry(Item(RANGE, callspec=params(subject="m", case="bus")))
    assert (entry.subject, entry.backend, entry.case) == ("m", "", "bus")


def skipped(item) -> str:
    """Why a test is skipped before it begins."""
    try:
        clauses.pytest_runtest_setup(item)
    except pytest.skip.Exception as why:  # else this test would be skipped too
        return f"{why}, {why._use_item_location}"
    return ""


def test_a_slow_test_runs_when_asked_for():
    assert skipped(Item(RANGE)) == ""
    slow = Item(RANGE, MARK.slow)
    assert skipped(slow) == "slow (add --run-slow), True"
    slow.config.give("run_slow", True)
    assert skipped(slow) == ""
