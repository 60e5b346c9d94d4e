"""What is read from the signs of life of ranks: who hangs where, and how long silence may last."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from plugins.drivers import training_watch
from plugins.drivers.training_events import Progress
from plugins.drivers.training_watch import overdue, watch


@pytest.fixture
def told(tmp_path):
    """The progress of ranks 0, 1, ... of a world that told these (event, iteration)."""

    def make(*ranks, world=None) -> Progress:
        for rank, events in enumerate(ranks):
            lines = [json.dumps({"event": e, "rank": rank, "iteration": i}) for e, i in events]
            (tmp_path / f"rank{rank}.events").write_text("".join(f"{x}\n" for x in lines))
        return Progress(tmp_path, range(len(ranks)), world or len(ranks), len(ranks))

    return make


def looked(batches: int) -> list[tuple]:
    return [("DATA", 4), ("CORE", 4), *[("EVALUATE", 5)] * (1 + batches)]


@pytest.mark.parametrize(
    ("batches", "who"), [((3, 1), "rank 1 of 2"), ((1, 2), "rank 0 of 2"), ((2, 2), "ranks 0, 1")]
)
def test_who_hangs_in_an_evaluation_is_told_from_who_waits_for_it(told, batches, who):
    """Both have done as much where rank 0 hangs in its last batch, of which it may have one more."""
    ending = overdue("hung", told(*map(looked, batches)), limit_s=60, stall_s=9)
    assert ending.sentence.startswith(who)
    assert "made no progress for 9 s at iteration 5 (evaluating)" in ending.sentence


NOTHING, BEGUN = (), (("START", 0),)
AGENT = SimpleNamespace(poll=lambda: None)  # one that never ends


@pytest.mark.parametrize(
    ("events", "world", "why"),
    [
        (NOTHING, 2, "late"),  # it still waits for the other machine
        (BEGUN, 2, "hung"),
        (NOTHING, 1, "hung"),  # there is none to wait for
    ],
)
def test_what_is_waited_for_another_machine_is_no_stall(told, events, world, why):
    assert watch([AGENT], told(events, world=world), limit_s=0.5, stall_s=0.1) == why


def test_a_machine_that_does_not_come_is_named(told, monkeypatch):
    monkeypatch.setattr(training_watch, "MEET_S", 0.2)
    alone = told(NOTHING, world=2)
    assert watch([AGENT], alone, limit_s=5, stall_s=0.1) == "hung"
    ending = overdue("hung", alone, limit_s=5, stall_s=0.1)
    assert ending.sentence.startswith("the other machine did not come within 0.2 s, or cannot be")
