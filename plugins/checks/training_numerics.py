"""Losses, gradients and states against a record, a repeat, a resumed run, other ranks, fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure


@dataclass(frozen=True)
class FirstSteps:
    """The first steps of a run from given weights and batches.

    losses: (steps, 2) classification and box; norms: (steps, modules) of the gradients, by `modules`.
    """

    losses: np.ndarray
    norms: np.ndarray
    modules: Sequence[str]


def first_steps(record: Mapping, arrays: Mapping[str, np.ndarray]) -> FirstSteps:
    """The probed first steps of a rank's record: its JSON and its arrays."""
    norms = np.asarray(arrays["gradient_norms"])
    losses = np.column_stack([arrays["loss_classification"], arrays["loss_box"]])
    return FirstSteps(losses[: len(norms)], norms, list(record["modules"]))


def check_first_steps(
    found: FirstSteps, golden: FirstSteps, *, loss: float, gradient: float
) -> None:
    """G1: both losses and each module's gradient norm are the record's, in every probed step.

    The first step kills faults of data, targets, anchors and losses; the second a gradient that was
    not cleared. Relative tolerances.
    """
    names = [*(f"{n} loss" for n in ("classification", "box"))]
    names += [f"gradient norm of {m}" for m in golden.modules]
    mine, theirs = (np.hstack([one.losses, one.norms]) for one in (found, golden))
    if mine.shape != theirs.shape or list(found.modules) != list(golden.modules):
        raise CheckFailure(
            "other steps or modules were probed",
            expected=f"{len(golden.norms)} steps of {', '.join(golden.modules)}",
            actual=f"{len(found.norms)} steps of {', '.join(found.modules)}",
        )
    off = relative(mine, theirs)
    limits = np.array([loss] * 2 + [gradient] * len(golden.modules))
    wrong = np.argwhere(~(off <= limits))
    if len(wrong):
        step, column = wrong[0]
        times = (off / limits)[tuple(wrong.T)]
        raise CheckFailure(
            f"the {names[column]} of step {step} is another",
            expected=f"{theirs[step, column]:.9g}, to {limits[column]:.0e} relative",
            actual=f"{mine[step, column]:.9g}, {off[step, column]:.3g} off",
            worst=[
                f"step {s}, {names[c]}: {mine[s, c]:.7g} for {theirs[s, c]:.7g}, ratio "
                f"{mine[s, c] / theirs[s, c] if theirs[s, c] else np.inf:.4g}"
                for s, c in wrong[np.argsort(-times, kind="stable")]
            ],
            needed=f"tolerances {times.max():.3g} times as wide",
        )


def relative(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|found - expected| / |expected|; 0 where both are 0, infinite where one is not finite."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    with np.errstate(all="ignore"):
        off = np.abs(found - expected) / np.abs(expected)
    off[(found == expected) & np.isfinite(found)] = 0.0
    return np.where(np.isnan(off), np.inf, off)


def check_same_losses(found: np.ndarray, expected: np.ndarray, *, what: str, start: int = 0):
    """G5, G6, G16: two series of losses are equal to the bit; `what` names the pair.

    found: (n,) of the iterations from `start` on; expected: (start + n,) or longer.
    """
    wanted = np.asarray(expected, float)[start : start + len(found)]
    if len(found) != len(wanted) or not len(found):
        raise CheckFailure(
            f"{what}: other iterations",
            expected=f"losses of iterations {start} .. {len(expected) - 1}",
            actual=f"{len(found)} losses from {start} on",
        )
    wrong = np.flatnonzero(~(found == wanted))
    if len(wrong):
        off = relative(found, wanted)
        first = int(wrong[0])
        raise CheckFailure(
            f"{what}: the losses are not bit-equal",
            expected=f"loss {wanted[first]:.9g} in iteration {start + first}",
            actual=f"{found[first]:.9g}, {off[first]:.3g} off; {len(wrong)} of {len(found)} differ, "
            f"by {off.max():.3g} at most",
        )


def check_same_states(found: Mapping[str, str], expected: Mapping[str, str], *, what: str) -> None:
    """G5, G6: hashes of the state by finished iterations are equal wherever both have one."""
    common = sorted(set(found) & set(expected), key=int)
    wrong = [k for k in common if found[k] != expected[k]]
    if wrong or not common:
        raise CheckFailure(
            f"{what}: the states are not bit-equal" if wrong else f"{what}: no state in common",
            expected=f"equal hashes after iterations {', '.join(common) or 'of both runs'}",
            actual=f"{len(wrong)} of {len(common)} differ"
            + (f", first after iteration {wrong[0]}" if wrong else ""),
        )


def check_ranks_agree(states: Mapping[int, Mapping[str, str]], *, what: str) -> None:
    """G8: all ranks have the same hash after the same iterations; `what`: parameters or buffers."""
    (first, reference), *others = sorted(states.items())
    for rank, hashes in others:
        wrong = [k for k in sorted(reference, key=int) if hashes.get(k) != reference[k]]
        if wrong or set(hashes) != set(reference) or not reference:
            raise CheckFailure(
                f"the ranks have different {what}",
                expected=f"rank {rank} is equal to rank {first} after iterations "
                f"{', '.join(sorted(reference, key=int)) or 'that were hashed'}",
                actual=f"{len(wrong)} of {len(reference)} hashes differ"
                + (f", first after iteration {wrong[0]}" if wrong else ""),
            )


def check_equivalence(
    single: np.ndarray, ranks: np.ndarray, *, iterations: Sequence[int], allowed: Sequence[float]
) -> None:
    """G7: the mean of the ranks' losses is the loss of one process on all their images.

    single: (n,); ranks: (world, n); iterations count from 1. Later ones are chaos, and not compared.
    """
    places = np.asarray(iterations) - 1
    if min(len(single), np.shape(ranks)[1]) <= places.max() or len(ranks) < 2:
        raise CheckFailure(
            "there are too few losses to compare",
            expected=f"iterations {list(iterations)} of one process and of 2 ranks or more",
            actual=f"{len(single)} of one process, {np.shape(ranks)} of the ranks",
        )
    mean = np.asarray(ranks, float).mean(0)[places]
    wanted = np.asarray(single, float)[places]
    off, limits = relative(mean, wanted), np.asarray(allowed)
    wrong = np.flatnonzero(~(off <= limits))
    if len(wrong):
        raise CheckFailure(
            f"{len(ranks)} ranks do not compute what one process does",
            expected=f"loss {wanted[wrong[0]]:.9g} in iteration {iterations[wrong[0]]}, to "
            f"{limits[wrong[0]]:.0e} relative",
            actual=f"{mean[wrong[0]]:.9g}, {off[wrong[0]]:.3g} off",
            worst=[f"iteration {iterations[i]}: {off[i]:.3g} relative" for i in wrong],
            needed=f"tolerances {np.max((off / limits)[wrong]):.3g} times as wide",
        )


def check_union(single: np.ndarray, ranks: Sequence[np.ndarray]) -> None:
    """The ranks' batches are together the one process's, in every iteration: ids (n, batch)."""
    for iteration, ids in enumerate(single):
        together = [
            int(i) for rank in ranks for one in rank[iteration : iteration + 1] for i in one
        ]
        if sorted(together) != sorted(ids.tolist()):
            raise CheckFailure(
                "the ranks do not share the one process's batch",
                expected=f"images {sorted(ids.tolist())[:8]} in iteration {iteration}",
                actual=f"{sorted(together)[:8]}",
            )


def check_closeness(
    found: np.ndarray,
    reference: np.ndarray,
    *,
    closeness: float,
    precision: str,
    what: str = "losses",
) -> None:
    """G12: first losses (or gradient norms) lie near fp32's, and are not fp32's own.

    Equal to the last bit, they say that the precision is not in effect.

    found, reference: (n, ...) of the same first iterations; `closeness` is relative.
    """
    if np.shape(found) != np.shape(reference) or not np.size(found):
        raise CheckFailure(
            f"{precision} and fp32 were not run alike",
            expected=f"{what} of shape {np.shape(reference)}",
            actual=f"{np.shape(found)}",
        )
    off = relative(found, reference)
    if not off.any():
        raise CheckFailure(
            f"{precision} is not in effect",
            expected=f"{what} that differ from fp32's, by at most {closeness:.3g} relative",
            actual=f"no difference in {off.size} {what}",
        )
    if not (off <= closeness).all():
        each = off.reshape(len(off), -1).max(1)
        raise CheckFailure(
            f"{precision} is too far from fp32",
            expected=f"{what} within {closeness:.3g} of fp32's",
            actual=f"{off.max():.3g} off in iteration {int(each.argmax())}",
            worst=[f"iteration {i}: {one:.3g}" for i, one in enumerate(each) if one > closeness],
            needed=f"closeness {off.max():.3g}",
        )
