"""What a run must not do on the side: compute in another precision, grow, be changed by a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plugins.failure import CheckFailure

PARTS = 4  # of the window: memory is taken at most so often, less one, for something new


def check_types(found: Mapping[str, str], expected: Mapping[str, str], *, precision: str) -> None:
    """Parameters, computation and gradients have the dtypes that the precision promises.

    found: observed, by part; expected: the contract's, the same parts.
    """
    wrong = [k for k in expected if found.get(k) != expected[k]]
    if wrong:
        raise CheckFailure(
            f"{precision} is not what ran",
            expected=", ".join(f"{k} {v}" for k, v in expected.items()),
            actual=", ".join(f"{k} {found.get(k)}" for k in expected),
        )


def check_tf32(
    flags: Mapping[str, bool], *, conv: bool, matmul: bool, precision: str = "fp32"
) -> None:
    """Whether convolutions and products may use TF32 is part of a configuration."""
    found = flags["tf32_conv"], flags["tf32_matmul"]
    if found != (conv, matmul):
        raise CheckFailure(
            f"{precision} ran with other TF32 flags",
            expected=f"convolutions {conv}, matrix products {matmul}",
            actual="convolutions {}, matrix products {}".format(*found),
        )


def check_skipped(skipped: int, steps: int, *, share: float, precision: str) -> None:
    """Overflow made the optimiser leave out at most a share of its steps."""
    if not (steps > 0 and skipped <= share * steps):
        raise CheckFailure(
            f"{precision} skips steps",
            expected=f"at most {100 * share:.4g} % of the steps left out",
            actual=f"{skipped} of {steps}",
            needed=f"share {skipped / steps:.3g}" if steps else None,
        )


def check_growth(
    iterations: Sequence[int],
    values: Sequence[float],
    *,
    window: int,
    granule: float,
    what: str,
    unit: str,
) -> None:
    """G14: over the last `window` iterations the values rise by a granule at most.

    What may rise by a granule is judged by the calmest quarter of the window: a leak is in each, and
    memory that is taken once, for a shape that is new, in one. Of what may not rise the least of the
    second half is held against the least of the first: a batch that a reader's process hands over too
    early keeps its handles until its turn comes, and a leak keeps them for ever.

    iterations: counts of finished iterations at which `values` (of `what`, in `unit`) were read.
    """
    at, values = np.asarray(iterations, float), np.asarray(values, float)
    late = at >= at.max(initial=0) - window
    at, values = at[late], values[late]
    if len(at) < 3 or np.ptp(at) < 0.8 * window:
        raise CheckFailure(
            f"growth of {what} was not watched long enough",
            expected=f"3 readings or more over {window} iterations",
            actual=f"{len(at)} readings over {np.ptp(at) if len(at) else 0:.0f}",
        )
    span = np.ptp(at)
    risen = _calmest(at, values) * span if granule else _least(values)
    if not risen <= granule * (1 + 1e-9):
        raise CheckFailure(
            f"{what} grows",
            expected=f"at most {granule:.4g} {unit} over {span:.0f} iterations",
            actual=f"{risen:.4g} {unit}, {risen / span:.4g} an iteration, from {values[0]:.6g} to "
            f"{values[-1]:.6g}",
            needed=f"granule {risen:.4g}",
        )


def _calmest(at: np.ndarray, values: np.ndarray) -> float:
    """The least slope of the window's quarters."""
    ends = np.linspace(0, len(at) - 1, min(PARTS, len(at) - 1) + 1).round().astype(int)
    return min(_slope(at[a : b + 1], values[a : b + 1]) for a, b in zip(ends, ends[1:]))


def _least(values: np.ndarray) -> float:
    """By how much the least value of the second half exceeds that of the first."""
    half = len(values) // 2
    return float(values[half:].min() - values[:half].min())


def _slope(at: np.ndarray, values: np.ndarray) -> float:
    return float(np.polyfit(at - at.mean(), values, 1)[0])


WORDS = {
    "training": "the number of modules in training mode",
    "flags": "which modules are in training mode",
    "digest": "parameters or buffers",
    "rng": "the random state",
}


def check_modes(looks: Sequence[Mapping], *, evaluations: int) -> None:
    """G16: each evaluation leaves modes, parameters, buffers and random state as they were."""
    if len(looks) != evaluations:
        raise CheckFailure(
            "not every evaluation was looked at",
            expected=f"{evaluations} evaluations",
            actual=f"{len(looks)}",
        )
    for look in looks:
        before, after = look["before"], look["after"]
        wrong = [k for k in sorted(set(before) | set(after)) if before.get(k) != after.get(k)]
        if wrong or not before.get("training"):
            raise CheckFailure(
                "an evaluation changes the training"
                if wrong
                else "the network was not in training mode",
                expected=f"equal states before and after the evaluation at {look['iteration']}",
                actual="; ".join(WORDS.get(k, k) for k in wrong) or "no module trains before it",
                worst=[f"{k}: {before.get(k)} then {after.get(k)}" for k in wrong],
            )
