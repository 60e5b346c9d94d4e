"""Throughput checks: rates by hand, floors of one machine class, clocks that do not tick."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks.throughput import Timing, check_complete, check_rate, floor_text
from plugins.contracts import Throughput
from plugins.failure import CheckFailure, Inconclusive

HOUSE = Path(__file__).resolve().parent.parent
FLOORS = [Throughput("Ascend310P3", 20.0, 0.05, "chosen here")]
CARD = "Ascend310P3 (torch_aie 6.3.rc2)"
STEPS = Timing(np.array([[0.01, 0.04, 0.0], [0.02, 0.06, 0.01], [0.01, 0.05, 0.0]]), 3)


def test_a_rate_is_steps_over_seconds_with_or_without_the_copies():
    assert STEPS.rate(copies=False) == pytest.approx(3 / 0.15)
    assert STEPS.rate(copies=True) == pytest.approx(3 / 0.20)


@pytest.mark.parametrize("rate", [19.0, 19.9, 200.0])
def test_a_rate_down_to_the_floor_less_its_drop_holds(rate):
    check_rate(rate, FLOORS, CARD)


@pytest.mark.parametrize("rate", [18.9, 0.0, float("nan")])
def test_a_rate_below_that_fails(rate):
    with pytest.raises(CheckFailure) as failure:
        check_rate(rate, FLOORS, CARD)
    assert failure.value.what == "throughput is below its floor"
    assert failure.value.expected == ">= 19 img/s on Ascend310P3 (20 less 5 %)"
    assert failure.value.actual == f"{rate:.4g} img/s on {CARD}"


def test_what_would_have_passed_is_said():
    with pytest.raises(CheckFailure) as failure:
        check_rate(15.0, FLOORS, CARD)
    assert failure.value.needed == "allowed drop 25 %"


def test_a_floor_of_one_machine_says_nothing_of_another():
    check_rate(0.1, FLOORS, "emulated 310P3 (torch_aie emulator)")
    check_rate(0.1, [], CARD)
    assert floor_text(FLOORS, "emulated 310P3 (torch_aie emulator)") is None
    assert floor_text(FLOORS, CARD) == ">= 19 img/s"


def test_a_real_card_without_a_floor_of_its_own_is_inconclusive():
    cure = "add a [[throughput]] row for it to the contract, with its source"
    for card in ("Ascend310P (torch_aie 6.3.rc2)", "Ascend310P1 (torch_aie 6.3.rc2)"):
        with pytest.raises(Inconclusive) as told:
            check_rate(200.0, FLOORS, card, required=True)
        assert str(told.value) == f"200 img/s has no floor on {card}; {cure}"
        check_rate(0.1, FLOORS, card)
    check_rate(19.0, FLOORS, CARD, required=True)


def test_a_contract_that_promises_no_rate_has_none_to_miss():
    check_rate(0.1, [], CARD, required=True)


def test_the_chapter_asks_a_floor_of_real_cards_alone():
    chapter = runpy.run_path(str(HOUSE / "conformance" / "test_throughput.py"))
    judge = chapter["test_compute_alone_holds_its_floor_and_is_no_slower_than_before"]
    contract, ignore = SimpleNamespace(throughput=FLOORS), lambda *_, **__: None
    judge(lambda copies: STEPS, None, contract, "emulated 310P3", False, ignore)
    with pytest.raises(Inconclusive):
        judge(lambda copies: STEPS, None, contract, "Ascend310P1", True, ignore)


def test_complete_timing_is_accepted():
    check_complete(STEPS)


@pytest.mark.parametrize(
    ("seconds", "actual"),
    [
        (np.ones((2, 3)), "2 steps, 0 of them without duration"),
        (np.array([[1.0, 1, 1], [1, 0, 1], [1, 0, 1]]), "3 steps, 2 of them without duration"),
        (np.array([[1.0, 1, 1], [1, -1, 1], [1, 1, 1]]), "3 steps, 1 of them without duration"),
        (np.array([[1.0, 1, 1], [1, np.inf, 1], [1, 1, 1]]), "3 steps, 0 of them without duration"),
        (np.array([[1.0, 1, 1], [1, 1, 1], [1, np.nan, 1]]), "3 steps, 1 of them without duration"),
        (np.zeros((0, 3)), "0 steps, 0 of them without duration"),
    ],
)
def test_missing_steps_and_steps_without_duration_fail(seconds, actual):
    with pytest.raises(CheckFailure, match="the timing is not complete") as failure:
        check_complete(Timing(seconds, 3))
    assert failure.value.actual == actual


@pytest.mark.parametrize("steps", [0, 3])
def test_a_clock_that_stands_still_gives_no_rate_and_no_crash(steps):
    assert np.isnan(Timing(np.zeros((steps, 3)), 3).rate(copies=False))
