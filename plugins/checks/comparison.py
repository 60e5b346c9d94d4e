"""Is the new artifact slower than the old one? Both run in turns, old new new old, in several processes.

What drifts along hits both alike in such a quad, so that its ratio of times is all that counts. Its
interval is Hodges and Lehmann's, from the signed-rank distribution: nothing is assumed of the noise but
that it has no favourite. A process can be slow as a whole, so a verdict must recur in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from plugins.failure import CheckFailure, Inconclusive

OLD, NEW = (0, 3), (1, 2)  # the places of the blocks in a quad
LEAST = 2  # processes before anything is decided: one has nothing to recur in
PASS, REGRESSED, IMPROVED = "PASS", "REGRESSED", "IMPROVED"
INCONCLUSIVE, INVALID = "INCONCLUSIVE", "INVALID"


@dataclass(frozen=True)
class Compared:
    """How much longer the new artifact takes: time of new over old, with its interval.

    processes: the ratio in each process alone. why: what makes it invalid, or empty.
    """

    verdict: str
    ratio: float
    low: float
    high: float
    processes: Sequence[float]
    quads: int
    why: str
    plan: Any

    def text(self) -> str:
        """The measurement in one line."""
        return (
            f"{self.ratio:.4g} times the old one's time ({self.low:.4g} to {self.high:.4g}; "
            f"{self.quads} quads in {len(self.processes)} processes)"
        )

    def promise(self) -> str:
        """The threshold; how often it was wrong of equal files, and the slowdown that it found."""
        plan, most = self.plan, f"<= {1 + self.plan.margin:.4g}"
        if plan.caught is None:
            return f"{most} (not calibrated here)"
        return f"{most} (alarms {100 * plan.false_alarms:.2g} %, finds {plan.caught:.3g})"


def compare(seconds: np.ndarray, plan: Any, disturbed: str = "") -> Compared:
    """Weigh what was measured so far.

    Args:
        seconds: (processes, quads, 4, steps): compute times in the order old, new, new, old.
        plan: a Comparison of the contract.
        disturbed: what the device says of other users and of its clocks; empty for nothing.
    """
    blocks = np.log(np.median(seconds, 3))
    quads = blocks[..., NEW].mean(-1) - blocks[..., OLD].mean(-1)
    # Each look that may decide has its share of the error, on each side.
    share = plan.error / max(1, plan.processes - LEAST + 1)
    middle, low, high = interval(quads.ravel(), share)
    each = np.median(quads, 1)
    why = disturbed or instability(np.exp(blocks[..., OLD]), plan.drift)
    verdict = INVALID if why else _verdict(low, high, each, np.log1p(plan.margin))
    ratio, low, high = (float(np.exp(value)) for value in (middle, low, high))
    return Compared(verdict, ratio, low, high, np.exp(each).tolist(), quads.size, why, plan)


def _verdict(low: float, high: float, each: np.ndarray, margin: float) -> str:
    if len(each) < LEAST:
        return INCONCLUSIVE
    if low > margin and (each > margin).all():
        return REGRESSED
    if high < -margin and (each < -margin).all():
        return IMPROVED
    return PASS if high <= margin and (each <= margin).all() else INCONCLUSIVE


def interval(values: np.ndarray, error: float) -> tuple[float, float, float]:
    """Hodges-Lehmann middle of symmetric values, and bounds that each fail with at most `error`."""
    rows, columns = np.triu_indices(len(values))
    walsh = np.sort((values[rows] + values[columns]) / 2)
    ways = np.ones(1)
    for rank in range(1, len(values) + 1):  # how many sets of signs lead to each sum of ranks
        ways = np.convolve(ways, np.r_[1, np.zeros(rank - 1), 1]) / 2
    outside = int(np.searchsorted(np.cumsum(ways), error, "right"))  # Walsh averages beyond a bound
    if not outside:
        return float(np.median(walsh)), -np.inf, np.inf
    return float(np.median(walsh)), float(walsh[outside - 1]), float(walsh[-outside])


def instability(old: np.ndarray, drift: float) -> str:
    """Why the machine cannot be trusted: the old artifact (processes, quads, 2) unlike itself."""
    half = max(1, old.shape[1] // 2)
    first, last = (np.median(part, (1, 2)) for part in (old[:, :half], old[:, -half:]))
    change = float(np.abs(np.log(last / first)).max())
    if change > np.log1p(drift):
        return f"{_pace(change, drift)} within a process"
    whole = np.median(old, (1, 2))
    change = float(np.log(whole.max() / whole.min()))
    if change > np.log1p(drift):
        return f"{_pace(change, drift)} between processes"
    return ""


def _pace(change: float, drift: float) -> str:
    return f"the old artifact changed its pace by {np.expm1(change):.2g} (allowed {drift:.2g})"


def check_no_slower(found: Optional[Compared]) -> None:
    """The new artifact is no slower than the old one, beyond the margin; nothing without --against."""
    if found is None or found.verdict in (PASS, IMPROVED):
        return
    if found.verdict == INVALID:
        raise Inconclusive(
            f"INVALID comparison: {found.why}; something else uses the machine, or its clocks change: "
            "run again when it is idle"
        )
    if found.verdict == INCONCLUSIVE:
        raise Inconclusive(f"{found.promise()} cannot be told yet: {found.text()}")
    raise CheckFailure(
        "throughput has regressed against the old artifact",
        expected=found.promise(),
        actual=found.text(),
        worst=[f"process {k}: {ratio:.4g} times" for k, ratio in enumerate(found.processes)],
        needed=f"margin {found.low - 1:.3g}",
    )
