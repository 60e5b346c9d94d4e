"""When the state of an NPU is read around timed steps, and what of it is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import timing
from plugins.contracts import load_all
from plugins.drivers import npus
from plugins.failure import Inconclusive

CONTRACT = load_all()["retinanet_shapes"]
ROUNDS, WARMUP = CONTRACT.timing.emulated_rounds, CONTRACT.timing.emulated_warmup


class Benchmark:
    """Runs the rounds as pytest-benchmark does, and keeps nothing."""

    def __init__(self) -> None:
        self.extra_info = {}

    def pedantic(self, step, *, rounds, iterations) -> None:
        [step() for _ in range(rounds)]


@pytest.fixture
def events(monkeypatch) -> list:
    """What is asked of a card, in order; its clock is the number of steps that it has made."""
    told = []

    def state(npu, chip) -> dict:
        told.append("state")
        return {"clock": told.count("step")}

    monkeypatch.setattr(npus, "_places", lambda: told.append("places") or {})
    monkeypatch.setattr(npus, "state", state)
    return told


@pytest.fixture
def timed(events, pytestconfig):
    """As `timed_steps`, of a subject whose steps are told, with what a benchmark records of them."""
    known, benchmark = {}, Benchmark()

    def step(backend, turn) -> dict:
        events.append("step")
        return {"seconds": [0.1] * 3, "image": 0, "detections": 1, "passed": 0.3}

    quiet = dict.fromkeys(("open", "hold"), lambda *given: None)
    subject = SimpleNamespace(
        id="toy",
        contract=CONTRACT,
        lab=SimpleNamespace(npu=0),
        runs=SimpleNamespace(timed=step, **quiet),
        once=lambda key, make: known.setdefault(key, make()),
    )
    return timing.measuring(subject, False, benchmark, pytestconfig), benchmark.extra_info


def test_the_state_is_read_right_after_the_last_step_and_every_reading_is_kept(timed, events):
    measure, record = timed
    measure(copies=False)
    warm, steps = ["step"] * WARMUP, ["step"] * ROUNDS
    assert events == ["places", "state", *warm, "state", *steps, "state"]
    clocks = [one["clock"] for one in record["card"]]
    assert clocks == [0, WARMUP, WARMUP + ROUNDS]
    measure(copies=True)
    assert events.count("state") == 3, "a second look at the same steps asks nothing"


def test_a_clock_that_falls_while_steps_are_timed_makes_the_timing_invalid(timed, monkeypatch):
    falls = iter([{}, {"clock": 1080}, {"clock": 960}])
    monkeypatch.setattr(npus, "state", lambda npu, chip: next(falls))
    with pytest.raises(
        Inconclusive, match="^INVALID timing: the card's clock fell from 1080 to 960"
    ):
        timed[0](copies=False)
