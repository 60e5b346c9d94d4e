"""Judges one clean training after another by the training lane: python -m tests.census.training JOB.json.

As in tests/training_gate.py each session and each rank is a fork. Every second run has the contract's
seed, the others one of their own; each is judged by the clauses that its seed says something about,
until a clause was judged in ENOUGH runs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path

from tests import training_gate
from tests.bite import sessions
from tests.census import pages
from tests.census.noise import descendants, disturbed
from tests.faulty_training import GOOD, PLACES, Place

ENOUGH = 200  # runs in which no clause of the lane may alarm
RECORDED = {"first_steps", "batches"}  # they compare with a record of the contract's seed
# With that seed always the same bits; and growth, which takes the long run that they take.
DECIDED = {"band", "closeness", "overfit", "overfit_map", "map", "growth"}
NAMES = (
    *("first", "short", "schedule", "sharded", "shared", "again", "resumed", "amp", "fp16"),
    *("poisoned", "looked_at", "timed", "simulated", "memorised", "held_out", "growing"),
)


def seed_of(number: int) -> int:
    """The contract's in every second run, else one of its own."""
    return number if number % 2 else 0


def places_of(number: int, found: list[dict]) -> list[Place]:
    """What a run is judged on, after the rows of other runs; nothing where all has been seen enough."""
    counts = pages.by_clause(found)
    unfit = RECORDED if seed_of(number) else DECIDED

    def wanted(clause: str) -> bool:
        rare = counts.get(f"training.{clause}", {"runs": 0})["runs"] < ENOUGH
        return rare and clause not in unfit

    left = ((PLACES[name], tuple(filter(wanted, PLACES[name].clauses))) for name in NAMES)
    return [dataclasses.replace(place, clauses=clauses) for place, clauses in left if clauses]


class Session(training_gate.Session):
    """A session of the suite whose runs have another seed than the contract's."""

    def __init__(self, seed: int, places: list[Place], twin: Path) -> None:
        super().__init__(GOOD, places, twin)
        self.seed = seed

    def launch(self, plan: dict, **where):
        """The driver's, with the seed."""
        return super().launch({**plan, "seed": self.seed or plan["seed"]}, **where)


def judge(job: dict, number: int, places: list[Place]) -> dict:
    """One session of the suite in a fork; its verdict.json."""
    folder = Path(job["folder"])
    twin = folder / "twin"
    shutil.rmtree(twin, ignore_errors=True)
    twin.mkdir(parents=True)
    session = Session(seed_of(number), places, twin)

    def prepare() -> None:
        training_gate.agents.start = training_gate.Agent
        training_gate.lane.launch = session.launch

    words = [*training_gate.CHAPTERS, "--benchmark"]
    words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # we hold the lane already
    artifacts, log = folder / "artifacts", folder / "session.log"
    with disturbed(job["disturbance"], lambda: descendants(os.getpid()), number):
        verdict = sessions.verdict(words, artifacts, log, [session], prepare)
    if not pages.alarming(verdict):
        shutil.rmtree(verdict["artifacts"]["folder"])
    return verdict


def main(job: dict) -> None:
    """Judge the runs `numbers` and append a row for each to `rows`."""
    rows = Path(job["rows"])
    limit = time.monotonic() + job["minutes"] * 60
    for number in job["numbers"]:
        if time.monotonic() > limit:
            break
        places = places_of(number, pages.rows(rows))
        if not places:
            continue
        began, spent = time.monotonic(), os.times()
        verdict = judge(job, number, places)
        about = {
            "condition": job["condition"],
            "number": number,
            "model": f"seed {seed_of(number)}",
        }
        about["load"] = os.getloadavg()[0]
        about["seconds"] = round(time.monotonic() - began, 2)
        about["cpu_s"] = round(sum(os.times()[2:4]) - sum(spent[2:4]), 2)
        about["torch"] = training_gate.train.torch.__version__
        pages.append(rows, pages.row_of(verdict, **about))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
