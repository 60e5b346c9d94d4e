"""Images per second, from what the device's own clock says of each step."""

from __future__ import annotations

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
