"""Images per second, from what the device's own clock says of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from plugins.failure import CheckFailure, Inconclusive


@dataclass(frozen=True)
class Step:
    """One step: seconds of copy in, compute and copy out by the worker's clock; and what it was.

    image: number of the input; detections: that it gave; passed: seconds of the call by our clock.
    """

    seconds: Sequence[float]
    image: int
    detections: int
    passed: float


@dataclass(frozen=True)
class Timing:
    """Seconds of each step at batch 1: copy in, compute and copy out (n, 3); n should be `rounds`.

    steps: what is known of each step, of those of the `warmup` before them too.
    """

    seconds: np.ndarray
    rounds: int
    steps: Sequence[Step] = ()
    warmup: int = 0

    def rate(self, *, copies: bool) -> float:
        """Images per second, total over total, with or without the copies."""
        spent = self.seconds.sum(1) if copies else self.seconds[:, 1]
        return len(spent) / float(spent.sum()) if spent.any() else float("nan")


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


def check_clock(timing: Timing, accounted: float, known_input: float) -> None:
    """The clock tells of steps what they were: warmed up, on inputs with objects, waited for, whole.

    Args:
        accounted: share of a call's time that copies and compute must take.
        known_input: share of a new input's time that one that was seen before must take.
    """
    steps, timed = timing.steps, timing.steps[timing.warmup :]
    _check(
        len(timed) == timing.rounds,
        "the warm-up is not what is declared",
        f"{timing.warmup} steps before {timing.rounds} timed ones",
        f"{len(steps)} steps in all",
    )
    empty = sum(step.detections < 1 for step in timed)
    _check(
        not empty,
        "a timed step has nothing to detect: its input is empty, or another",
        "at least one detection in each step",
        f"{empty} of {len(timed)} steps without one",
    )
    _check(
        len({step.image for step in steps}) > 1 or len(steps) < 2,
        "all steps are on one image",
        "steps that take turns with the images of all cases",
        f"{len(steps)} steps on image {steps[0].image}",
    )
    _check_borders(timed)
    _check_not_cached(steps, known_input)
    _check_sums(steps, accounted)


def _check_borders(timed: Sequence[Step]) -> None:
    """Copies take some time, and that of the results, some kB, less than computing them."""
    copies = np.array([(step.seconds[0], step.seconds[2]) for step in timed])
    compute, out = (float(np.median([step.seconds[k] for step in timed])) for k in (1, 2))
    _check(
        out < compute,
        "the clock was read before the device was synchronised",
        "results of some kB copied in less time than they are computed in",
        f"compute {1e3 * compute:.4g} ms, copy out {1e3 * out:.4g} ms (medians)",
    )
    _check(
        (copies > 0).all(),
        "a copy takes no time: it is not inside the clock",
        "some time for each copy in and out",
        f"{int((copies <= 0).sum())} of {copies.size} copies took none",
    )


def _check_sums(steps: Sequence[Step], accounted: float) -> None:
    """Copies and compute fit into the call that they are parts of, and are most of it."""
    shares = np.array([sum(step.seconds) / step.passed for step in steps])
    _check(
        (shares <= 1).all(),
        "the clock tells more time than has passed",
        "copies and compute together within the time of the call",
        f"{int((shares > 1).sum())} of {len(steps)} steps last longer than their call",
    )
    _check(
        np.median(shares) >= accounted,
        "the clock tells less time than has passed",
        f"copies and compute together at least {100 * accounted:.4g} % of the call",
        f"{100 * np.median(shares):.4g} % (median)",
    )


def _check_not_cached(steps: Sequence[Step], known_input: float) -> None:
    """An input that was seen before takes its time all the same."""
    new = {step.image: step.seconds[1] for step in reversed(steps)}  # the first step on each
    seen = [s.seconds[1] for i, s in enumerate(steps) if s.image in {t.image for t in steps[:i]}]
    known, first = float(np.median(seen or [np.inf])), min(new.values())
    _check(
        known >= known_input * first,
        "an input that was seen before takes no time: results are cached",
        f"at least {100 * known_input:.4g} % of a step on a new input",
        f"{1e3 * known:.4g} ms (median) after {1e3 * first:.4g} ms",
    )


def _check(holds: bool, what: str, expected: str, actual: str) -> None:
    if not holds:
        raise CheckFailure(what, expected=expected, actual=actual)


def floor_text(floors: Sequence, machine: str) -> Optional[str]:
    """The floor that applies to a machine as text, or none."""
    texts = [f">= {_least(f):.4g} img/s" for f in floors if f.machine in machine]
    return texts[0] if texts else None


def _least(declared) -> float:
    return declared.floor * (1 - declared.allowed_drop)


def check_rate(rate: float, floors: Sequence, machine: str, *, required: bool = False) -> None:
    """On a machine class that has a floor, the rate is at least the floor less its allowed drop.

    A floor of one machine says nothing of another, so elsewhere the rate is only reported; but where a
    floor is `required` of the machine, and the contract has floors of others alone, it is inconclusive.
    """
    mine = [declared for declared in floors if declared.machine in machine]
    if required and floors and not mine:
        raise Inconclusive(
            f"{rate:.4g} img/s has no floor on {machine}; "
            "add a [[throughput]] row for it to the contract, with its source"
        )
    for declared in mine:
        least = _least(declared)
        if not rate >= least:
            raise CheckFailure(
                "throughput is below its floor",
                expected=f">= {least:.4g} img/s on {declared.machine} "
                f"({declared.floor:.4g} less {100 * declared.allowed_drop:.4g} %)",
                actual=f"{rate:.4g} img/s on {machine}",
                needed=f"allowed drop {100 * (1 - rate / declared.floor):.4g} %",
            )
