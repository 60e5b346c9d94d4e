"""Does the training learn: eight images by heart, held-out images, at the pace of other seeds?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plugins.failure import CheckFailure, Inconclusive


def check_overfit(losses: np.ndarray, *, ratio: float, last: int) -> None:
    """G9: the mean of the `last` losses is at most `ratio` of the first one; a single one jumps."""
    losses = np.asarray(losses, float)
    if len(losses) <= last or not np.isfinite(losses).all():
        raise CheckFailure(
            "there is no loss curve to judge",
            expected=f"more than {last} finite losses",
            actual=f"{len(losses)} losses, {int((~np.isfinite(losses)).sum())} not finite",
        )
    found = losses[-last:].mean() / losses[0]
    if not found <= ratio:
        raise CheckFailure(
            "a few images are not learnt by heart",
            expected=f"the last loss at most {ratio:.4g} of the first, {losses[0]:.4g}",
            actual=f"{losses[-last:].mean():.4g}, {found:.4g} of it, after {len(losses)} iterations",
            needed=f"ratio {found:.3g}",
        )


def check_share(ap: float, *, floor: float, what: str) -> None:
    """G9, G10: mAP@[.5:.95] as a share, unrounded, is at least the floor; `what` was scored."""
    if not ap >= floor:
        raise CheckFailure(
            f"mAP on {what} is below its floor",
            expected=f"AP@[.5:.95] >= {floor:.4g}",
            actual=f"{ap:.6g}",
            needed=f"floor {ap:.4g}",
        )


def smoothed(losses: np.ndarray, *, at: Sequence[int], width: int) -> np.ndarray:
    """(..., len(at)): means of the `width` losses before each count of finished iterations."""
    losses = np.asarray(losses, float)
    return np.stack([losses[..., end - width : end].mean(-1) for end in at], axis=-1)


def stress(losses: np.ndarray, others: np.ndarray, *, at: Sequence[int], width: int) -> np.ndarray:
    """(len(at),): how many standard deviations of the others smoothed losses lie off their mean."""
    band = smoothed(others, at=at, width=width)
    return np.abs(smoothed(losses, at=at, width=width) - band.mean(0)) / band.std(0, ddof=1)


def check_band(
    losses: np.ndarray,
    others: np.ndarray,
    *,
    at: Sequence[int],
    width: int,
    sigmas: float,
    seeds: int,
) -> None:
    """G11: smoothed losses lie within `sigmas` standard deviations of other seeds' at each place.

    losses: (n,); others: (seeds, n) of correct runs; at: counts of finished iterations.
    """
    others = np.asarray(others, float)
    if len(others) < seeds:
        raise Inconclusive(f"the band needs {seeds} seeds and has {len(others)}; record more")
    if min(len(losses), others.shape[1]) < max(at):
        raise CheckFailure(
            "the loss curve is too short",
            expected=f"{max(at)} iterations",
            actual=f"{len(losses)}, the record has {others.shape[1]}",
        )
    band = smoothed(others, at=at, width=width)
    mean, spread = band.mean(0), band.std(0, ddof=1)
    found = smoothed(losses, at=at, width=width)
    off = stress(losses, others, at=at, width=width)
    wrong = np.flatnonzero(~(off <= sigmas))
    if len(wrong):
        raise CheckFailure(
            "the loss leaves the band of other seeds",
            expected="; ".join(
                f"{m:.4g} +- {sigmas * s:.3g} at {a}" for m, s, a in zip(mean, spread, at)
            ),
            actual="; ".join(f"{f:.4g} at {a}" for f, a in zip(found, at)),
            worst=[f"iteration {at[i]}: {off[i]:.3g} standard deviations" for i in wrong],
            needed=f"sigmas {off.max():.3g}",
        )


def check_target(curve: Sequence[Mapping], *, target: float, epochs: int) -> None:
    """The recipe reaches its target within so many epochs.

    curve: {"epoch", "map"} after each epoch. The last mAP is a first crossing: it says that the
    target was met and when, not what the whole recipe would reach.
    """
    found = [one["map"] for one in curve]
    if not (found and found[-1] >= target):
        raise CheckFailure(
            "the recipe does not reach its target",
            expected=f"mAP >= {target:.4g} after at most {epochs} epochs",
            actual=f"at most {max(found, default=0):.4g} in {len(found)} epochs",
            worst=[f"epoch {one['epoch']}: {one['map']:.4f}" for one in curve[-5:]],
        )
