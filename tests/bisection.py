"""The smallest seeded deviation that a check catches, found by halving."""

from __future__ import annotations

import math
from typing import Callable

from plugins.failure import CheckFailure, Inconclusive

STEPS = 6  # halvings of the exponent's interval: a factor of 2 becomes one of 1.01
FARTHEST = 2.0**40


def fails(check: Callable[..., object], *arguments, **named) -> bool:
    """Whether a check catches what it is given; what it cannot decide is not caught."""
    try:
        check(*arguments, **named)
    except CheckFailure:
        return True
    except Inconclusive:
        return False
    return False


def smallest(caught: Callable[[float], bool], start: float) -> float:
    """The smallest deviation that is caught; math.inf where none is.

    From `start` it is doubled until it is caught, or halved until it is not, and then bisected. What
    lies above a caught deviation is taken to be caught, too.
    """
    high = start
    while not caught(high):
        high *= 2
        if high > start * FARTHEST:
            return math.inf
    low = high / 2
    while caught(low):
        high, low = low, low / 2
        if low < start / FARTHEST:
            return 0.0
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if caught(middle) else (middle, high)
    return high
