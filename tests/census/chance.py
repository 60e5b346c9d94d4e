"""The clauses that luck has a part in: how often their own arithmetic lets them be wrong, and a simulation.

A real A/A run of these costs minutes, so recorded ones are drawn from: golden/evidence/comparison_aa.json
holds the block times of A/A processes, and golden data the losses of sixty seeds.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np

from plugins import contracts
from plugins.checks.comparison import INCONCLUSIVE, REGRESSED, compare
from plugins.checks.throughput import tail
from plugins.checks.training_learning import smoothed
from plugins.contracts import training
from plugins.store import Store
from tests.census import pages

HOUSE = Path(__file__).resolve().parents[2]
RECORDED = HOUSE / "golden" / "evidence" / "comparison_aa.json"
MEASURED = HOUSE / "golden" / "evidence" / "accuracy_looks.json"
SUBJECT, EMULATED = "retinanet_shapes", "emulated 310P3"
RUNS = {"throughput.compute": 3000, "throughput.with_copies": 2000, "training.band": 200_000}
SEED = 0
STEPS = 600  # enough for an interval of p99
# Points of mAP: what fp16 costs the small subject, and the standard error of the paired difference of
# one image; both measured, see the contract's derivation.
TRUE_LOSS, ERROR_OF_ONE = 0.059, 1.6


def clauses() -> dict[str, dict]:
    """Clause -> its nominal rate, the arithmetic behind it, and the simulation that confirms it."""
    return {
        "throughput.compute": _comparison(),
        "throughput.with_copies": _tails(),
        "training.band": _band(),
        "accuracy.drop": _paired(),
    }


def _simulated(alarms: int, runs: int, by: str) -> dict:
    return {"alarms": alarms, "runs": runs, "upper_95": pages.bound(alarms, runs), "by": by}


def _comparison() -> dict:
    """--against with equal files: processes drawn from recorded ones; red is only REGRESSED."""
    plan = next(p for p in contracts.load_all()[SUBJECT].comparison if p.machine == EMULATED)
    taken = np.array(json.loads(RECORDED.read_text(encoding="utf-8"))["blocks"])[..., None]
    random, verdicts = np.random.RandomState(SEED), []
    for _ in range(RUNS["throughput.compute"]):
        rows = random.randint(len(taken), size=plan.processes)
        looks = (compare(taken[rows[:n]], plan).verdict for n in range(2, plan.processes + 1))
        verdicts.append(next((v for v in looks if v != INCONCLUSIVE), INCONCLUSIVE))
    by = f"processes drawn from {len(taken)} recorded A/A processes"
    return {
        "nominal": plan.error,
        "arithmetic": "--against: the signed-rank interval is wrong at most so often where the true"
        " slowdown is the margin itself; equal files are the whole margin away from it",
        "simulated": _simulated(verdicts.count(REGRESSED), len(verdicts), by),
    }


def _tails() -> dict:
    """The interval of p99 of steps whose times are drawn from a heavy tail: does it hold the truth?"""
    confidence = contracts.load_all()[SUBJECT].timing.tail_confidence
    random, missed = np.random.RandomState(SEED), 0
    truth = math.exp(NormalDist().inv_cdf(0.99))
    for _ in range(RUNS["throughput.with_copies"]):
        found = tail(random.lognormal(size=STEPS), 0.99, confidence)
        missed += not found.low <= truth <= found.high
    runs = RUNS["throughput.with_copies"]
    return {
        "nominal": 0.0,
        "arithmetic": "quantiles are told and not judged, so that they raise no alarm; the interval of"
        f" p99 missed the truth {missed} times of {runs} simulated, {1 - confidence:.2g} are allowed",
    }


def _band() -> dict:
    """A seed of its own against the band of the others: Student's t, three correlated places."""
    gate = training.load_training().gate.band
    losses = Store(HOUSE / "golden").arrays("retinanet_stand_in/seeds.npz")["losses"]
    correlation = np.corrcoef(smoothed(losses, at=gate.at, width=gate.width).T)
    random, wrong, left = np.random.RandomState(SEED), 0, RUNS["training.band"]
    root = np.linalg.cholesky(correlation)
    while left > 0:
        some = min(left, 20_000)
        drawn = random.normal(size=(some, gate.seeds + 1, len(gate.at))) @ root.T
        mean, spread = drawn[:, 1:].mean(1), drawn[:, 1:].std(1, ddof=1)
        wrong += int((np.abs(drawn[:, 0] - mean) / spread > gate.sigmas).any(1).sum())
        left -= some
    return {
        "nominal": wrong / RUNS["training.band"],
        "arithmetic": f"{gate.sigmas:g} standard deviations of {gate.seeds} seeds, normal losses with"
        " the recorded correlation; the seed of the contract itself repeats bit by bit on a CPU",
        "simulated": _simulated(wrong, RUNS["training.band"], "normal losses drawn"),
    }


def _paired() -> dict:
    """WORSE at some look although only fp16's own loss is there: normal approximation, summed."""
    asked = contracts.load_all()[SUBJECT].accuracy[0]
    plan, normal = asked.paired, NormalDist()
    rate = 0.0
    for images, spent in zip(plan.looks, plan.reject):
        error = ERROR_OF_ONE / math.sqrt(images)
        bound = asked.allowed_drop + normal.inv_cdf(1 - spent) * error if spent else math.inf
        rate += normal.cdf(-(bound - TRUE_LOSS) / error)
    good = json.loads(MEASURED.read_text(encoding="utf-8"))["devices"][0]
    trials = good["linear view"]["trials"]
    failed = round(good["linear view"]["rejected"] * trials)
    by = f"`make operating`: {good['device']} on images drawn anew, in the linear view"
    return {
        "nominal": rate,
        "arithmetic": f"at most {sum(plan.reject):.2g} where the true loss is the margin itself; this"
        f" is for fp16's own loss of {TRUE_LOSS} points, over all looks",
        "simulated": _simulated(failed, trials, by),
    }
