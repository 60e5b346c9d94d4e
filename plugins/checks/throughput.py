"""Images per second, from what the device's own clock says of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from plugins.failure import CheckFailure


@dataclass(frozen=True)
class Timing:
    """Seconds of each step at batch 1: copy in, compute and copy out (n, 3); n should be `rounds`."""

    seconds: np.ndarray
    rounds: int

    def rate(self, *, copies: bool) -> float:
        """Images per second, total over total, with or without the copies."""
        spent = self.seconds.sum(1) if copies else self.seconds[:, 1]
        return len(spent) / float(spent.sum()) if spent.any() else float("nan")

    def median(self, *, copies: bool) -> float:
        """Median seconds of a step."""
        spent = self.seconds.sum(1) if copies else self.seconds[:, 1]
        return float(np.median(spent))


@dataclass(frozen=True)
class Tail:
    """A share of the steps takes at most `value` seconds, for sure between low and high."""

    value: float
    low: float
    high: float


def tail(seconds: np.ndarray, share: float, confidence: float) -> Optional[Tail]:
    """The quantile `share` of some steps and its interval; None where there are too few steps.

    Order statistics alone: how many of n steps lie below a quantile is binomial, whatever the times are.
    Each bound fails with half of the rest of `confidence`.
    """
    n, rest = len(seconds), (1 - confidence) / 2
    below = np.cumsum([_binomial(n, k, share) for k in range(n + 1)])
    last = int(np.searchsorted(below, 1 - rest))  # P(at most `last` steps below) >= 1 - rest
    first = int(np.searchsorted(below, rest, "right"))  # P(fewer than `first` below) <= rest
    if last >= n or first < 1:
        return None
    ordered = np.sort(seconds)
    value = ordered[math.ceil(share * n) - 1]
    return Tail(float(value), float(ordered[first - 1]), float(ordered[last]))


def _binomial(n: int, k: int, share: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(share) + (n - k) * math.log(1 - share))


def steps_needed(share: float, confidence: float) -> int:
    """The fewest steps whose slowest, and whose fastest, bound the quantile."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(share, 1 - share)))


def tail_text(seconds: np.ndarray, share: float, confidence: float) -> str:
    """The quantile in ms with its interval, or how many steps it needs."""
    found = tail(seconds, share, confidence)
    if found is None:
        return f"needs {steps_needed(share, confidence)} steps, has {len(seconds)}"
    return f"{1e3 * found.value:.4g} ms ({1e3 * found.low:.4g} to {1e3 * found.high:.4g})"


def check_complete(timing: Timing) -> None:
    """Every round was measured, and no step took no time: an unsynchronised clock shows so."""
    compute = timing.seconds[:, 1]
    if len(compute) != timing.rounds or not (np.isfinite(compute).all() and (compute > 0).all()):
        raise CheckFailure(
            "the timing is not complete",
            expected=f"{timing.rounds} steps, each of positive duration",
            actual=f"{len(compute)} steps, {int((~(compute > 0)).sum())} of them without duration",
        )


def floor_text(floors: Sequence, machine: str) -> Optional[str]:
    """The floor that applies to a machine as text, or none."""
    texts = [f">= {_least(f):.4g} img/s" for f in floors if f.machine in machine]
    return texts[0] if texts else None


def _least(declared) -> float:
    return declared.floor * (1 - declared.allowed_drop)


def check_rate(rate: float, floors: Sequence, machine: str) -> None:
    """On a machine class that has a floor, the rate is at least the floor less its allowed drop.

    Elsewhere the rate is reported and not judged: a floor of one machine says nothing of another.
    """
    for declared in floors:
        least = _least(declared)
        if declared.machine in machine and not rate >= least:
            raise CheckFailure(
                "throughput is below its floor",
                expected=f">= {least:.4g} img/s on {declared.machine} "
                f"({declared.floor:.4g} less {100 * declared.allowed_drop:.4g} %)",
                actual=f"{rate:.4g} img/s on {machine}",
                needed=f"allowed drop {100 * (1 - rate / declared.floor):.4g} %",
            )
