"""What is read from the signs of life of ranks: who hangs where, and how long silence may last."""

from __future__ import annotations

import json

import pytest

from plugins.drivers.training_events import Progress
from plugins.drivers.training_watch import overdue


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
