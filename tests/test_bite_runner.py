"""The runner of the fault matrix: what it calls caught, what turns it red, and how it goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bite import __main__ as runner
from tests.bite import benches, catalogue
from tests.bite.benches import Place

HOUSE = Path(__file__).resolve().parent.parent
TOY = Place("tests.toy_bench", ("toy",), ("tests/toy_bench.py",))
ALONE = """
import sys
from tests.bite import __main__ as runner, benches
from tests.test_bite_runner import TOY
benches.PLACES = (TOY,)
sys.exit(runner.main(sys.argv[1:]))
"""


@pytest.fixture
def bite(monkeypatch, tmp_path, capsys):
    """Runs the runner on the toy: its exit code, what it printed, and what was judged by name."""
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    monkeypatch.setattr(benches, "PLACES", (TOY,))
    monkeypatch.setattr(catalogue, "faults", lambda rows: [])
    monkeypatch.setattr(signal, "signal", lambda number, action: None)

    def run(expression, *words):
        log.write_text("")
        given = ["--artifacts", str(tmp_path / "bite"), *words]
        code = runner.main(["-k", expression, *given] if expression else given)
        return code, capsys.readouterr().out, log.read_text().split()

    return run


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("caught", 0, "toy/caught: caught toy.clause"),
        ("known", 0, "missed, as declared: toy/known: nobody looks there"),
        ("other", 0, "toy/other: clean"),
        ("open", 0, "toy/open: clean"),
        ("unseen", 1, "MISSED: toy/unseen"),
        ("undecided", 1, "MISSED: toy/undecided"),
        ("elsewhere", 1, "CAUGHT ELSEWHERE: toy/elsewhere: toy.first: something"),
        ("unnamed", 1, "CAUSE NOT NAMED: toy/unnamed: toy.clause: something"),
        ("found_after_all", 1, "CAUGHT, DECLARED MISSED: toy/found_after_all"),
        ("blamed", 1, "FALSE ALARM: toy/blamed: toy.first: something"),
        ("breaks", 2, "the bench broke: RuntimeError: the bench is broken"),
        ("dies", 2, "its process ended with exit code 3"),
        ("nothing_like_it", 4, "nothing is called"),
        ("toy and", 4, "-k: "),
    ],
)
def test_each_end_of_a_row_has_its_word_and_its_exit_code(bite, name, code, words):
    found, said, _ = bite(name)
    assert (found, words in said) == (code, True), said


def test_k_selects_and_brings_the_clean_twin(bite):
    assert bite("caught or Known")[2] == ["clean", "caught", "known"]


def test_what_is_known_is_not_asked_again(bite):
    bite("caught")
    code, said, judged = bite("caught or known")
    assert (code, judged) == (0, ["clean", "known"])
    assert "2 of 3 rows are known from before" in said
    assert bite("caught or known", "--fresh")[2] == ["clean", "caught", "known"]


def test_a_bench_that_broke_is_asked_again(bite):
    bite("breaks")
    assert bite("breaks")[2] == ["clean", "breaks"]


def test_another_suite_is_judged_anew(bite, monkeypatch):
    bite("caught")
    monkeypatch.setattr(benches, "PLACES", (Place("tests.toy_bench", ("toy",), ("README.md",)),))
    assert bite("caught")[2] == ["clean", "caught"]


def test_a_line_that_an_interruption_cut_short_is_none(bite, tmp_path):
    bite("caught")
    path = tmp_path / "bite" / "rows.jsonl"
    path.write_text(path.read_text()[:-20])
    assert bite("caught")[2] == ["clean", "caught"]


def test_progress_counts_the_rows_and_the_time_that_is_left(bite):
    said = bite("caught or known")[1].splitlines()
    assert said[0].startswith("[  1 of 3] toy/clean: clean (0.0 s; ")
    assert said[2].endswith("; 0 s left)")


@pytest.mark.parametrize(
    ("expression", "rows"), [("not sleeps and not dies and not breaks", 11), ("caught", 1)]
)
def test_the_evidence_of_a_part_is_written_where_one_asks_for_it(bite, tmp_path, expression, rows):
    out = tmp_path / "faults.json"
    bite(expression, "--out", str(out))
    written = json.loads(out.read_text())
    faults = {one["id"]: one for one in written["faults"]}
    assert list(faults) == sorted(faults)
    caught = faults["toy/caught"]
    assert (caught["caught"], caught["by"], caught["names_cause"]) == (True, "toy.clause", True)
    assert (caught["line"], caught["also"]) == ("see: the cause", ["toy.first"])
    assert written["counts"]["all"]["faults"] == len(faults)


def test_a_part_is_no_evidence_of_the_whole(bite, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "EVIDENCE", tmp_path / "faults.json")
    bite("caught")
    assert not (tmp_path / "faults.json").exists()


def lives(process):
    """Whether a process goes on; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_leaves_no_process_and_loses_nothing(bite, tmp_path):
    words = ["-k", "caught or sleeps", "--artifacts", str(tmp_path / "bite")]
    run = subprocess.Popen(
        [sys.executable, "-c", ALONE, *words], cwd=HOUSE, stdout=subprocess.PIPE, text=True
    )
    child, limit = tmp_path / "child", time.monotonic() + 30
    while not (child.exists() and child.read_text()) and time.monotonic() < limit:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    assert "the same command goes on from here" in run.communicate(timeout=20)[0]
    assert run.returncode == runner.INTERRUPTED
    assert not lives(int(child.read_text()))
    assert bite("caught")[2] == []


def rows():
    return [row for place in benches.PLACES for row in benches.rows(place)]


def test_the_catalogue_and_the_rows_fit():
    assert catalogue.faults(rows()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: catalogue.KINDS.pop("NM2"), "there is no kind NM2"),
        (lambda: catalogue.KINDS.update(ZZ9="new"), "ZZ9 (new): no row seeds it"),
        (lambda: catalogue.INEXPRESSIBLE.update(NM2="no"), "NM2: INEXPRESSIBLE, and "),
    ],
)
def test_what_does_not_fit_would_be_found(monkeypatch, change, words):
    monkeypatch.setattr(catalogue, "KINDS", dict(catalogue.KINDS))
    monkeypatch.setattr(catalogue, "INEXPRESSIBLE", dict(catalogue.INEXPRESSIBLE))
    change()
    assert words in " ".join(catalogue.faults(rows()))


def test_names_of_rows_are_one_of_a_kind():
    for place in benches.PLACES:
        names = [row.fault.name for row in benches.rows(place)]
        assert len(names) == len(set(names))


def test_a_fault_says_what_is_broken_and_who_is_there_for_it():
    for row in rows():
        one = row.fault
        assert one.breaks and (row.twin or one.missed or one.clause), row.id
