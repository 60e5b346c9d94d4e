"""Two networks stage by stage: the first stage that differs is where to look."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plugins.failure import CheckFailure


def check_stages(
    found: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray], parity
) -> None:
    """Every stage agrees with the record; `found` holds the stages in the order of computation.

    The difference is counted in units of float32's spacing at the record's largest magnitude, and
    may be at most parity.spacings.
    """
    _check_same_stages(found, recorded)
    errors = {stage: spacings(found[stage], recorded[stage]) for stage in found}
    beyond = [stage for stage, error in errors.items() if error > parity.spacings]
    if not beyond:
        return
    first = beyond[0]
    raise CheckFailure(
        f"the network departs from detectron2 at {first}",
        expected=f"at most {parity.spacings:.4g} float32 spacings at the stage's largest value",
        actual=f"{errors[first]:.4g} spacings at {first}; {len(beyond)} of {len(errors)} stages"
        " differ",
        worst=[_row(stage, found[stage], recorded[stage]) for stage in beyond],
        needed=f"spacings = {max(errors.values()):.4g}",
    )


def largest_difference(found: Mapping, recorded: Mapping) -> float:
    """The largest difference of all stages, in spacings."""
    return max(spacings(found[stage], recorded[stage]) for stage in found)


def spacings(found: np.ndarray, recorded: np.ndarray) -> float:
    """The largest difference of two samples, in float32 spacings at the record's largest value."""
    if found.shape != recorded.shape:
        return np.inf
    unit = np.spacing(np.float32(np.abs(recorded).max(initial=0)))
    return float(_difference(found, recorded).max(initial=0) / unit)


def _difference(found: np.ndarray, recorded: np.ndarray) -> np.ndarray:
    """Absolute differences; infinite where one of the two is no number."""
    difference = np.abs(np.asarray(found, np.float64) - recorded)
    return np.where(np.isnan(difference), np.inf, difference)


def _check_same_stages(found: Mapping, recorded: Mapping) -> None:
    odd = sorted(set(found) ^ set(recorded))
    if odd:
        raise CheckFailure(
            "the network has other stages than detectron2's record",
            expected=f"the {len(recorded)} stages of the record",
            actual=f"{len(found)} stages, {len(odd)} of them in one of the two only",
            worst=odd,
        )


def _row(stage: str, found: np.ndarray, recorded: np.ndarray) -> str:
    if found.shape != recorded.shape:
        return f"{stage}: shape {found.shape} instead of {recorded.shape}"
    place = np.unravel_index(_difference(found, recorded).argmax(), found.shape)
    return (
        f"{stage}: {found[place]:.6g} instead of {recorded[place]:.6g} at sample "
        f"{', '.join(map(str, place))}"
    )
