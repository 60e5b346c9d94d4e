"""Is the recipe that ran the recipe that was declared: every learning rate, every trained tensor?"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from plugins.failure import CheckFailure


def learning_rates(
    iterations: int,
    *,
    lr: float,
    epoch_iterations: int,
    warmup_iterations: int,
    warmup_factor: float,
    milestones: Sequence[int],
    gamma: float,
) -> np.ndarray:
    """(iterations,) float64: the source's rate of each iteration in closed form.

    Linear from `warmup_factor` over min(warmup_iterations, epoch - 1) iterations of epoch 0; times
    gamma from each milestone (in epochs, counted from 0) on. An epoch of one iteration has no
    warm-up, as in the source.
    """
    iteration = np.arange(iterations, dtype=np.int64)
    drops = np.searchsorted(np.asarray(milestones), iteration // epoch_iterations, side="right")
    length = min(warmup_iterations, epoch_iterations - 1)
    share = np.minimum(iteration / length, 1.0) if length > 0 else np.ones(iterations)
    return lr * (warmup_factor * (1 - share) + share) * float(gamma) ** drops


def check_learning_rates(
    found: np.ndarray,
    expected: np.ndarray,
    *,
    relative: float,
    epoch_iterations: int,
    start: int = 0,
) -> None:
    """Every rate is the closed form's; `start` is the iteration that a resumed run began with.

    Args:
        found: (n,) the rate that the optimiser had in each iteration.
        expected: (start + n,) the closed form from iteration 0.
    """
    found, wanted = np.asarray(found, float), np.asarray(expected, float)[start:]
    if found.shape != wanted.shape:
        raise CheckFailure(
            "the trace of learning rates has another length",
            expected=f"{len(wanted)} iterations from {start} on",
            actual=f"{len(found)} iterations",
        )
    # A rate of nothing (the end of a cosine) is compared with the largest.
    scale = np.where(wanted > 0, wanted, wanted.max(initial=1.0))
    off = np.abs(found - wanted) / scale
    wrong = np.flatnonzero(~(off <= relative))
    if len(wrong):
        raise CheckFailure(
            _rate_fault(found / scale, wrong, start, epoch_iterations),
            expected=f"lr {wanted[wrong[0]]:.8g} in iteration {start + wrong[0]}, to {relative:.0e}",
            actual=f"lr {found[wrong[0]]:.8g}; {len(wrong)} of {len(wanted)} iterations differ",
            worst=[
                f"iteration {start + i}: {found[i]:.8g} for {wanted[i]:.8g}, ratio "
                f"{found[i] / scale[i]:.6g}"
                for i in wrong[np.argsort(-off[wrong], kind="stable")][:5]
            ],
            needed=f"relative difference {off[wrong].max():.3g}",
        )


def _rate_fault(ratio: np.ndarray, wrong: np.ndarray, start: int, epoch: int) -> str:
    if len(wrong) == len(ratio) and np.ptp(ratio) <= 1e-9 * np.abs(ratio).max():
        return f"the learning rate is {ratio[0]:.4g} times the recipe's"
    if start + wrong[0] >= epoch:
        return "a drop of the learning rate is missing, misplaced or another"
    if start + wrong[-1] < epoch:
        return "the warm-up is missing or another"
    return "the learning rates are another schedule's"


def check_trainable(trainable: Collection[str], frozen: Collection[str], patterns) -> None:
    """Frozen are the parameters that the contract's patterns name, and no other."""
    named = {n for n in [*trainable, *frozen] if any(fnmatch.fnmatch(n, p) for p in patterns)}
    leaks, stuck = sorted(named & set(trainable)), sorted(set(frozen) - named)
    if leaks or stuck or not trainable:
        raise CheckFailure(
            "frozen tensors are trainable" if leaks else "tensors are frozen that must be trained",
            expected=f"{len(named)} frozen tensors: {', '.join(patterns)}",
            actual=f"{len(leaks)} of them trainable; {len(stuck)} others frozen",
            worst=leaks + stuck,
        )


def check_parameters(counts: Mapping[str, int], *, total: int, trainable_tensors: int) -> None:
    """The network has the contract's number of parameters, in its number of trained tensors."""
    found = counts["total"], counts["trainable_tensors"]
    if found != (total, trainable_tensors):
        raise CheckFailure(
            "the network is another one",
            expected=f"{total} parameters, {trainable_tensors} trainable tensors",
            actual="{} parameters, {} trainable tensors".format(*found),
        )


def check_changed(
    before: Mapping[str, str], after: Mapping[str, str], trainable: Collection[str]
) -> None:
    """Exactly the trainable tensors changed; all others are equal to the bit.

    before, after: hash of each parameter by name, before the first and after the last probed step.
    """
    if set(before) != set(after) or not set(trainable) <= set(before):
        raise CheckFailure(
            "not every parameter was looked at",
            expected=f"the hashes of the same {len(before)} tensors before and after",
            actual=f"{len(after)} after; {len(set(trainable) - set(before))} trainable without one",
        )
    changed = {name for name in before if before[name] != after[name]}
    leaks, stuck = sorted(changed - set(trainable)), sorted(set(trainable) - changed)
    if leaks or stuck:
        raise CheckFailure(
            "frozen tensors change" if leaks else "trainable tensors do not change",
            expected=f"the {len(trainable)} trainable of {len(before)} tensors change, no other",
            actual=f"{len(leaks)} frozen ones do, {len(stuck)} trainable ones do not",
            worst=leaks + stuck,
        )
