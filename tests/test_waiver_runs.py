"""What a run does with its waivers: which it has, what they match, and what they forgive."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import ledger, options, waivers
from plugins.clauses import ENTRY
from plugins.ledger import Entry
from plugins.waivers import MINE, PATIENCE, WAIVERS
from tests.test_waiver_rules import NODE, RIGHT, TODAY, entry, waiver, written


class Stashed(SimpleNamespace):
    """What has a stash and whatever else a test gives it."""

    def __init__(self, **fields):
        super().__init__(stash=pytest.Stash(), **fields)


def configured(root: Path, *args: str, known: tuple = (), given=None, none=False):
    plugins = SimpleNamespace(list_name_plugin=list)
    config = Stashed(rootpath=root, args=list(args), pluginmanager=plugins)
    values = {"waivers": given, "no_waivers": none}
    config.stash[options.KEY] = {k: options.Value(v, options.DEFAULT) for k, v in values.items()}
    config.stash[WAIVERS] = list(known)
    return config


@pytest.fixture
def house(tmp_path):
    (tmp_path / "conformance").mkdir()
    return tmp_path


def test_the_file_is_the_given_one_or_the_house_s_or_none(house):
    assert waivers.file(configured(house)) is None
    default = written(house / "conformance/waivers.toml")
    assert waivers.file(configured(house)) == default
    assert waivers.file(configured(house, given=Path("other"))) == Path("other")
    assert waivers.file(configured(house, given=Path("other"), none=True)) is None
    assert waivers.file(configured(house, none=True)) is None


def test_a_run_knows_its_waivers_and_its_patience(house, today):
    lasting = {**RIGHT, "expires": today}
    written(house / "conformance/waivers.toml", lasting)
    config = configured(house)
    waivers.pytest_configure(config)
    assert (config.stash[WAIVERS], config.stash[PATIENCE]) == ([waiver(**lasting)], 3)
    config = configured(house, none=True)
    waivers.pytest_configure(config)
    assert (config.stash[WAIVERS], config.stash[PATIENCE]) == ([], 0)


def test_a_file_that_is_wrong_ends_the_run(house):
    written(house / "conformance/waivers.toml", top="max = 0")
    with pytest.raises(pytest.UsageError, match="inconclusive_days: say for how many days"):
        waivers.pytest_configure(configured(house))


def test_a_blocked_part_of_the_gate_is_refused_here_too(house):
    config = configured(house)
    config.pluginmanager.list_name_plugin = lambda: [("plugins.verdict", None)]
    with pytest.raises(pytest.UsageError, match="is a part of the gate"):
        waivers.pytest_configure(config)


def test_the_header_names_each(house):
    lines = waivers.pytest_report_header(configured(house, known=[waiver(subject="m")]))
    assert lines == [f"waived: W-1 outputs.range of m on *, until {TODAY} (ops: it rescales)"]


def item(path: Path, one: Entry | None = None, **fields):
    made = Stashed(path=path, nodeid=one.nodeid if one else "tests/test_x.py::test_x", **fields)
    if one:
        made.stash[ENTRY] = one
    return made


def collected(config, *items):
    given = list(items)
    steps = waivers.pytest_collection_modifyitems(config, given)
    next(steps)
    given.clear()  # another plugin deselects them all
    with pytest.raises(StopIteration):
        next(steps)


def test_what_was_collected_is_matched_even_if_it_was_deselected(house):
    mine, path = waiver(), house / "conformance/test_outputs.py"
    covered, other, free = item(path, entry()), item(path, entry(backend="cpu")), item(house / "t")
    cpu = waiver(id="W-2", backend="cpu", matched=[])
    mine.backend = "aie"
    collected(configured(house, known=[mine, cpu]), covered, other, free)
    assert (mine.matched, cpu.matched) == ([NODE], [NODE])
    assert covered.stash[MINE] is mine
    assert other.stash[MINE] is cpu
    assert MINE not in free.stash


def test_of_two_waivers_of_one_test_neither_knows_whether_it_is_stale(house):
    both = [waiver(), waiver(id="W-2", backend="aie", matched=[])]
    config = configured(house, known=both)
    one = item(house / "conformance/test_outputs.py", entry())
    steps = waivers.pytest_collection_modifyitems(config, [one])
    next(steps)
    with pytest.raises(pytest.UsageError) as refused:
        next(steps)
    assert f"W-1 and W-2 match {NODE}; narrow one" in str(refused.value)


def full_run(house: Path, *args: str, seen=("a", "b")):
    (house / "test_elsewhere.py").touch()
    for name in ("a", "b"):
        (house / f"conformance/test_{name}.py").touch()
    items = [item(house / f"conformance/test_{name}.py", entry(clause="x.y")) for name in seen]
    free = item(house / "tests/test_x.py")
    config = configured(house, *args, known=[waiver()])
    try:
        collected(config, *items, free)
    except pytest.UsageError as error:
        return str(error)
    return ""


def test_in_a_full_run_a_waiver_that_matches_nothing_is_refused(house):
    written(house / "conformance/waivers.toml", RIGHT)
    sentence = full_run(house, "conformance")
    assert sentence == (
        f"{house}/conformance/waivers.toml: W-1: matches no test; correct its scope or remove it"
    )
    assert full_run(house) == sentence


def test_in_a_part_it_may_match_nothing(house):
    assert full_run(house, "conformance", "conformance/test_a.py::test_x") == ""
    assert full_run(house, seen="a") == ""
    assert full_run(house, seen="") == ""


def test_one_that_matched_is_not_refused(house):
    (house / "conformance/test_a.py").touch()
    config = configured(house, known=[waiver()])
    collected(config, item(house / "conformance/test_a.py", entry()))


# --- outcomes ---


def reported(outcome: str, when: str = "call", forgiven: bool = True):
    where = ("test_outputs.py", 3, "test_range")
    config = SimpleNamespace(rootpath=Path("/house"))
    one = item(Path("/house/test_outputs.py"), entry(), config=config, name="test_range",
               reportinfo=lambda: where)  # fmt: skip
    if forgiven:
        one.stash[MINE] = waiver()
    report = SimpleNamespace(conformance={"outcome": outcome}, outcome="as it was", longrepr=None)
    steps = waivers.pytest_runtest_makereport(one, SimpleNamespace(when=when))
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(report)
    assert end.value.value is report
    return report


def test_a_failure_is_forgiven_by_name():
    report = reported(ledger.FAILED)
    assert report.conformance == {"outcome": "waived", "waiver": "W-1"}
    assert (report.outcome, report.wasxfail) == ("skipped", "W-1: it rescales")


def test_a_pass_makes_a_waiver_stale():
    report = reported(ledger.PASSED)
    sentence = "waiver W-1 is stale: the test passes; remove the waiver"
    assert report.conformance == {"outcome": "stale", "waiver": "W-1", "reason": sentence}
    assert report.outcome == "failed"
    assert f"outputs.range: model on aie: {sentence}" in str(report.longrepr)


@pytest.mark.parametrize("outcome", ["error", "inconclusive", "skipped"])
def test_what_is_no_judgement_is_not_forgiven(outcome):
    assert vars(reported(outcome)) == {
        "conformance": {"outcome": outcome}, "outcome": "as it was", "longrepr": None,
    }  # fmt: skip


@pytest.mark.parametrize("outcome", ["failed", "passed"])
def test_only_the_call_of_a_test_that_has_a_waiver_is_forgiven(outcome):
    assert reported(outcome, "setup").conformance == {"outcome": outcome}
    assert reported(outcome, "teardown").outcome == "as it was"
    assert reported(outcome, forgiven=False).conformance == {"outcome": outcome}
