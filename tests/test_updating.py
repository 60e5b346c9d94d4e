"""--update-golden: five steps from a missing file to a run that passes, and no other way in."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester", "tests.lab"]

SUITE = """
from plugins import updating
from plugins.store import Producer

VALUE = 1.0

@pytest.fixture
def golden(request): return request.config.stash[updating.KEY]

@pytest.mark.clause("numerics.value")
def test_value(golden):
    if golden.updating:
        producer = Producer("recipe-float64", "cpu", "x86_64")
        golden.accept("shapes/value.toml", {"value": VALUE}, producer=producer)
    elif golden.table("shapes/value.toml")["value"] != VALUE:
        raise CheckFailure("moved", expected="1", actual="2")
"""


def test_golden_data_is_accepted_in_five_steps(lab):
    lab.chapter(SUITE)
    assert lab.run().ret == 1
    assert "there is no such golden file" in str(lab.verdict()["reasons"])

    result = lab.run("--update-golden", "first record")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "golden: will be rewritten (first record); this run fails",
            "INCOMPLETE",
            "  golden rewritten: shapes/value.toml; review it and run again",
            "  1 test inconclusive (golden rewritten: shapes/value.toml (first record)): numerics.value",
        ]
    )
    assert "contradiction" not in result.stdout.str()
    assert lab.run().ret == 0

    lab.chapter(SUITE.replace("VALUE = 1.0", "VALUE = 2.0"))
    assert lab.run().ret == 1
    assert lab.verdict()["word"] == "NOT CONFORMANT"

    assert lab.run("--update-golden", "the value moved").ret == 1
    assert "the value moved" in (lab.root / "golden/manifest.toml").read_text()
    assert lab.run().ret == 0


def test_an_updating_run_fails_even_when_nothing_differs(lab):
    lab.chapter(SUITE)
    lab.run("--update-golden", "first")
    result = lab.run("--update-golden", "second")
    assert result.ret == 1
    assert lab.verdict()["word"] == "INCOMPLETE"
    assert "nothing, because nothing differed" in str(lab.verdict()["reasons"])
    assert "second" not in (lab.root / "golden/manifest.toml").read_text()


def test_a_clause_that_breaks_while_it_is_rewritten_stays_broken(lab):
    lab.chapter(
        SUITE.replace(
            "    elif", '        raise CheckFailure("p", expected="a", actual="b")\n    elif'
        )
    )
    assert lab.run("--update-golden", "first record").ret == 1
    assert lab.verdict()["word"] == "NOT CONFORMANT"
    assert lab.verdict()["reasons"][0] == "failed: numerics.value: numerics: p"


def test_an_empty_reason_is_refused(lab):
    result = lab.run("--update-golden", " ")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --update-golden: give a reason*"])
    assert lab.run("--update-golden", "").ret == pytest.ExitCode.USAGE_ERROR


def test_ci_is_refused(lab, monkeypatch):
    lab.chapter(SUITE)
    monkeypatch.setenv("CI", "true")
    result = lab.run("--update-golden", "why not")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --update-golden: refused, because CI is set*"])
    assert not (lab.root / "golden").exists()


def test_xdist_is_refused(lab):
    pytest.importorskip("xdist")
    result = lab.run("--update-golden", "fast", "-n", "2", child=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --update-golden: refused under xdist*"])
