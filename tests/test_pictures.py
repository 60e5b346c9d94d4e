"""What a failed comparison leaves to look at must not take the failure with it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import evidence
from fixtures.cases import Case
from plugins.failure import CheckFailure


@pytest.fixture
def full_disk(monkeypatch):
    def refuse(*anything):
        raise OSError(28, "No space left on device", "evidence")

    monkeypatch.setattr(evidence, "_written", refuse)
    monkeypatch.setattr(evidence.changes, "since_golden", lambda *anything: {"changed": "nothing"})


def reported(error, **figure) -> None:
    case = Case(SimpleNamespace(id="m"), SimpleNamespace(name="bus"), None)
    found = {"case": case, "any_outputs": [], "any_oracle": {}}
    said = [("figure", figure)] if figure else []
    item = SimpleNamespace(funcargs=found, user_properties=said, config=None)
    call = SimpleNamespace(when="call", excinfo=error and SimpleNamespace(value=error))
    evidence.pytest_runtest_makereport(item, call)


def test_a_failure_that_cannot_be_drawn_is_reported_all_the_same(full_disk):
    error = CheckFailure("boxes differ", expected="0 px", actual="9 px")
    reported(error)
    assert error.see["picture"].startswith("none: ") and "No space left" in error.see["picture"]
    assert error.see["changed"] == "nothing"


def test_a_shift_that_cannot_be_drawn_stays_a_pass(full_disk):
    reported(None, name="matched", measured=99.0)
