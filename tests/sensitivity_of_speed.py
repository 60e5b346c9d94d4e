"""The smallest slowdown that a floor of throughput catches."""

from __future__ import annotations

from plugins.checks.throughput import check_rate
from plugins.contracts import Throughput
from tests.bisection import fails, smallest


def floor(declared: Throughput) -> dict[str, float]:
    """slower: the share by which a step takes longer than at the floor itself."""

    def caught(share: float) -> bool:
        return fails(check_rate, declared.floor / (1 + share), [declared], declared.machine)

    return {"slower": smallest(caught, 1e-3)}
