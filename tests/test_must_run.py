"""The must-run list: what is planned, how a run may differ from it, and how it is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import books
from plugins.clauses import LEDGER
from plugins.ledger import Entry
from plugins.store import read_toml

HOUSE = Path(__file__).resolve().parent.parent

CURE = "review what changed, then run: make books"
FILE = "conformance/must_run.toml"


def entry(clause: str = "outputs.range", subject: str = "model", **fields) -> Entry:
    return Entry(**{"nodeid": "test_a", "clause": clause, "subject": subject, **fields})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "must_run.toml"


def differences(path, planned: list[Entry], found: list[Entry], lane: str = "") -> list[str]:
    """The faults of a run where others were planned; each planned list is read as it is written."""
    written = books.text(planned)
    path.write_text(written, encoding="utf-8")
    return books.faults(path, found, lane)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, ("cpu", "outputs.range", "model", "-")),
        ({"backend": "aie"}, ("cpu", "outputs.range", "model on aie", "-")),
        ({"case": "cat", "lanes": ["npu"]}, ("npu", "outputs.range", "model", "cat")),
        ({"lanes": ["npu", "a100"]}, ("npu+a100", "outputs.range", "model", "-")),
    ],
)
def test_a_test_is_known_by_lane_clause_actors_and_case(fields, key):
    assert books.key(entry(**fields)) == key


def test_the_list_is_where_people_look_for_it():
    assert books.FILE.as_posix() == FILE


def test_a_run_of_what_is_planned_has_no_faults(path):
    some = [entry(case="cat"), entry(case="cat"), entry(lanes=["npu"]), entry("a.b", backend="x")]
    assert differences(path, some, some) == []
    assert differences(path, some, some[::-1]) == []
    assert len(books.faults(path, some[1:])) == 1


def test_without_a_list_or_with_an_empty_one_nothing_would_have_to_run(path):
    assert books.faults(path, [entry()]) == [f"{FILE}: there is no must-run list; {CURE}"]
    path.write_text("")
    assert books.faults(path, [entry()]) == [
        f"{FILE}: is empty, and nothing would have to run; {CURE}"
    ]
    path.write_text("[npu\n")
    (fault,) = books.faults(path, [])
    assert fault.startswith(f"{path}: is not valid TOML: ")


def test_what_is_missing_and_what_is_new_is_counted_and_named(path):
    lost = f"did not come to run, and {FILE} plans it; restore it, or {CURE}"
    assert differences(path, [entry(case="cat"), entry()], [entry()]) == [
        f"1 test (outputs.range (model, cat)) {lost}"
    ]
    assert differences(path, [entry()], [entry(), entry(subject="b"), entry("a.b")]) == [
        f"2 tests (a.b (model, -); outputs.range (b, -)) ran unplanned; {CURE}"
    ]
    both = differences(path, [entry("a.b")], [entry("a.c")])
    assert [text.split(" ran ")[0].split(" did ")[0] for text in both] == [
        "1 test (a.b (model, -))",
        "1 test (a.c (model, -))",
    ]


def test_the_same_test_twice_is_two(path):
    assert differences(path, [entry(), entry()], [entry()])[0].startswith("1 test (")
    assert differences(path, [entry()], [entry()] * 3)[0].startswith("2 tests (outputs.range ")


@pytest.mark.parametrize(("count", "more"), [(5, ""), (6, ", 1 more"), (8, ", 3 more")])
def test_five_names_are_shown(path, count, more):
    (text,) = differences(path, [entry("z.z")], [entry("z.z"), *map(entry, "abcdefgh"[:count])])
    names = "; ".join(f"{name} (model, -)" for name in "abcde")
    assert text == f"{count} tests ({names}{more}) ran unplanned; {CURE}"


def test_a_lane_is_compared_by_its_own_tests(path):
    npu, a100, both = entry(lanes=["npu"]), entry(lanes=["a100"]), entry(lanes=["npu", "a100"])
    planned = [npu, a100, both, entry()]
    assert differences(path, planned, [npu, both], "npu") == []
    others = [entry("a.b"), entry("a.c", lanes=["a100"])]
    assert differences(path, planned, [npu, both, *others], "npu") == []
    assert differences(path, planned, [npu], "npu")[0].startswith("1 test (outputs.range ")
    assert differences(path, [npu], [npu, entry("a.b", lanes=["npu"])], "npu") == [
        f"1 test (a.b (model, -)) ran unplanned; {CURE}"
    ]


def test_a_clause_that_stops_recording_figures_is_named(path):
    loud = [entry(measures=True), entry("a.b", measures=True), entry("a.c")]
    said = f"records no figures any more, and {FILE} plans them; {CURE}"
    assert differences(path, loud, loud) == []
    assert differences(path, loud, [entry(), entry("a.b"), entry("a.c")]) == [
        f"a.b {said}",
        f"outputs.range {said}",
    ]
    assert differences(path, loud, [entry(measures=True), entry("a.b"), entry("a.c")]) == [
        f"a.b {said}"
    ]
    assert differences(path, [entry()], [entry(measures=True)]) == []


def test_clauses_without_figures_are_named_in_order(path):
    loud = [entry(name, measures=True) for name in "fbdace"]
    found = differences(path, loud, [entry(name) for name in "fbdace"])
    assert [text[0] for text in found] == list("abcdef")


def test_of_another_lane_no_figures_are_asked_for(path):
    loud = entry(lanes=["npu", "a100"], measures=True)
    mute = entry(lanes=["npu", "a100"])
    found = differences(path, [loud, entry(lanes=["npu"])], [mute, entry(lanes=["npu"])], "npu")
    assert [text.split(",")[0] for text in found] == ["outputs.range records no figures any more"]
    assert differences(path, [loud, entry("a.b")], [mute, entry("a.b")], "a100") == found


def test_a_clause_is_deviceless_only_if_all_its_tests_are(path):
    nowhere, there = ({"lanes": ["npu"], "runtime": one} for one in ("no device", "310P3"))
    some = [entry(**nowhere), entry("a.b", **nowhere), entry("a.b", **there), entry("a.c")]
    path.write_text(books.text(some), encoding="utf-8")
    assert books.deviceless(path) == {("npu", "outputs.range")}
    assert books.faults(path, some) == []
    path.write_text(books.text(some).replace("deviceless = true", "deviceless = false"))
    assert books.deviceless(path) == set()


def test_the_npu_lane_asks_what_the_file_holds_and_where_it_comes_from():
    """A gate of `-m npu` alone would ship a model whose class head is scrambled."""
    plan = read_toml(HOUSE / books.FILE)
    asked = {"loads", "recipe", "constants", "device", "weights", "origin", "size"}
    assert {f"export.{name}" for name in asked} <= set(plan["npu"])
    assert {("npu", f"export.{name}") for name in asked} <= books.deviceless(HOUSE / books.FILE)
    assert {name for name in plan["cpu"] if name.startswith("export.")} == {
        *("export.detectron2", "export.repeatable"),  # of our own exporter
    }


def test_a_clause_records_figures_only_if_all_its_tests_do(path):
    some = [entry(case="a", measures=True), entry(case="b")]
    assert "figures = " not in books.text(some)
    assert differences(path, some, [entry(case="a"), entry(case="b")]) == []


def test_the_list_is_written_in_order_with_quotes_where_toml_needs_them():
    some = [
        entry(case="b", lanes=["npu"]),
        entry(case="a", lanes=["npu"]),
        entry(subject="gr\u00fcn", backend='the "one"'),
        entry("a.b", measures=True),
    ]
    head, *blocks = books.text(some).split("\n[")
    assert head == books.HEAD.rstrip("\n") + "\n"
    assert blocks == [
        'cpu."a.b"]\nfigures = true\n"model" = ["-"]\n',
        'cpu."outputs.range"]\n"gr\u00fcn on the \\"one\\"" = ["-"]\n',
        'npu."outputs.range"]\n"model" = ["a", "b"]\n',
    ]


def test_actors_of_a_clause_are_in_order():
    text = books.text([entry(subject="b"), entry(subject="a")])
    assert text.index('"a" = ') < text.index('"b" = ')


@pytest.mark.parametrize(("size", "lines"), [(100, 1), (101, 3)])
def test_a_line_is_a_hundred_characters_at_most(size, lines):
    case = "x" * (size - len('"model" = [""]'))
    written = books.text([entry(case=case)]).splitlines()[-lines:]
    whole = f'"model" = ["{case}"]'
    assert written == ([whole] if lines == 1 else ['"model" = [', f'    "{case}",', "]"])


def test_with_the_plugin_the_list_is_written_from_what_was_collected(tmp_path):
    (tmp_path / "conformance").mkdir()
    config = SimpleNamespace(rootpath=tmp_path, stash={LEDGER: [entry(subject="gr\u00fcn")]})
    books.pytest_collection_finish(SimpleNamespace(config=config))
    written = (tmp_path / FILE).read_text(encoding="utf-8")
    assert written == books.text([entry(subject="gr\u00fcn")])


# --- make books ---


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """`make books` in a folder, where pytest is a function; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "conformance").mkdir()
    list_of = tmp_path / FILE

    def make(before: str | None, after: str, code: int = 0) -> tuple[int, str]:
        list_of.unlink(missing_ok=True)
        if before is not None:
            list_of.write_text(before, encoding="utf-8")

        def run(words, **given):
            assert words[1:] == "-m pytest conformance --collect-only -q -p plugins.books".split()
            assert given == {"capture_output": True, "text": True}
            list_of.write_text(after, encoding="utf-8")
            return SimpleNamespace(returncode=code, stdout="o" * 3000 + "OUT\n", stderr="ERR\n")

        monkeypatch.setattr(books.subprocess, "run", run)
        return books.main(), capsys.readouterr().out

    return make


def test_an_unchanged_list_is_said_to_be_so(made):
    assert made("a\n", "a\n") == (0, f"{FILE}: unchanged\n")


def test_a_changed_list_is_shown_and_has_to_be_reviewed(made):
    code, text = made("a\nb\nc\nd\n", "a\nb\nc\ne\n")
    assert code == 1
    assert text.splitlines() == [
        *("--- ", "+++ ", "@@ -3,2 +3,2 @@", " c", "-d", "+e"),
        f"{FILE}: review this and commit it",
    ]
    assert made(None, "a\n")[0] == 1


def test_a_house_that_cannot_be_collected_says_why(made):
    code, text = made("a\n", "a\n", code=2)
    assert code == 2
    assert text.startswith("conformance/ cannot be collected:\nooo")
    assert text.endswith("oOUT\nERR\n\n")
    assert len(text) < 2100


def test_the_list_is_not_written_where_nobody_reviews_it(made, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert made("a\n", "b\n") == (
        2,
        f"{FILE}: is not written while CI is set; run it where a person reviews the result\n",
    )
