"""The optimiser's algebra: after each probed step, is every value what SGD makes of its gradient?

    d = g + decay * p;  b = momentum * b + d (b = d in the first step);  p' = p - lr * b

in float64 from the recorded float32 parameters and gradients. Two questions are asked:

1. Each value: it differs by no more than its own rounding and that of the update, in spacings.
2. Each effect: how much of the rate, of the momentum and of the decay is in the step, by weighted
   least squares over all values. So an effect below a value's rounding is still seen, and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure, Inconclusive

EPS = 2.0**-24  # half a float32 spacing, relative
DITHERED = 4  # spacings that an update must have, so that its rounding is chance
EFFECTS = ("learning rate", "momentum", "weight decay")


@dataclass(frozen=True)
class Probe:
    """Samples of the trainable parameters.

    parameters: (steps + 1, n) float32, before each step and after the last; gradients: (steps, n)
    float32, unscaled, as the step finds them; index: (name, start, stop, ...) of each tensor.
    """

    parameters: np.ndarray
    gradients: np.ndarray
    index: Sequence[Sequence]

    def name(self, sample: int) -> str:
        """The tensor that a sample is of."""
        return next(str(one[0]) for one in self.index if one[1] <= sample < one[2])


@dataclass(frozen=True)
class _Step:
    """One step in float64: (n,) each."""

    expected: np.ndarray
    found: np.ndarray
    spacing: np.ndarray
    slack: np.ndarray  # rounding of the update
    directions: np.ndarray  # (effects, n): what each of EFFECTS contributed


def check_optimiser(
    probe: Probe, *, rates: Sequence[float], momentum: float, weight_decay: float, tolerance
) -> None:
    """Both questions; `rates` is the recipe's of each step, `tolerance` the contract's.

    Raises Inconclusive where the probe could not have told a missing effect from a rounding.
    """
    _check_probe(probe, rates)
    fits = []
    for step in _steps(probe, rates, momentum, weight_decay, tolerance.roundings):
        fits.append(_fit(step))
        _check_values(probe, len(fits), step, fits[-1], tolerance)
    for effect in range(len(EFFECTS)):
        if effect != 1 or momentum > 0:
            _check_effect(effect, fits, tolerance)


def _check_probe(probe: Probe, rates: Sequence[float]) -> None:
    steps, samples = probe.gradients.shape
    finite = np.isfinite(probe.parameters).all() and np.isfinite(probe.gradients).all()
    whole = probe.parameters.shape == (steps + 1, samples) and len(rates) == steps
    if not (steps and samples and whole and finite):
        raise CheckFailure(
            "the probe of the optimiser is not complete",
            expected="finite parameters (steps + 1, samples), gradients (steps, samples), a rate a step",
            actual=f"{probe.parameters.shape}, {probe.gradients.shape}, {len(rates)} rates, "
            f"{'finite' if finite else 'not finite'}",
        )


def _steps(probe: Probe, rates, momentum: float, decay: float, roundings: float):
    buffer = magnitude = decayed = 0.0
    parameters = probe.parameters.astype(np.float64)
    for number, gradient in enumerate(probe.gradients.astype(np.float64)):
        now, lr = parameters[number], float(rates[number])
        before = buffer
        buffer = momentum * before + gradient + decay * now
        decayed = momentum * decayed + decay * now
        magnitude = momentum * magnitude + np.abs(gradient) + np.abs(decay * now)
        expected, found = now - lr * buffer, parameters[number + 1]
        largest = np.maximum(np.abs(expected), np.abs(found))  # what the last rounding is of
        kept = momentum * before + np.zeros_like(now)
        yield _Step(
            expected,
            found,
            np.spacing(largest.astype(np.float32)).astype(np.float64),
            roundings * EPS * lr * magnitude,
            -lr * np.stack([buffer, kept, decayed]),
        )


def _fit(step: _Step) -> np.ndarray:
    """(effects, 2): what each effect has too much, in its own units, and the standard error.

    Values whose update is below a few spacings round with a bias and are left out. An effect that
    this step cannot have, or that the values cannot tell, has an error of infinity.
    """
    told = np.abs(step.directions[0]) >= DITHERED * step.spacing
    answer = np.tile([0.0, np.inf], (len(EFFECTS), 1))
    there = [i for i, one in enumerate(step.directions) if one[told].any()]
    if not there:
        return answer
    noise = np.sqrt(step.spacing**2 / 12 + step.slack**2 / 3)[told]
    design = (step.directions[there][:, told] / noise).T
    residual = ((step.found - step.expected)[told]) / noise
    scale = np.linalg.norm(design, axis=0)
    design /= scale
    normal = design.T @ design
    if np.linalg.cond(normal) > 1e12:
        return answer
    inverse = np.linalg.inv(normal)
    answer[there, 0] = inverse @ (design.T @ residual) / scale
    answer[there, 1] = np.sqrt(np.diag(inverse)) / scale
    return answer


def _check_values(probe: Probe, number: int, step: _Step, fit: np.ndarray, tolerance) -> None:
    off = np.abs(step.found - step.expected)
    over = np.maximum(off - step.slack, 0) / step.spacing
    wrong = np.flatnonzero(over > tolerance.spacings)
    if len(wrong):
        worst = wrong[np.argsort(-over[wrong], kind="stable")]
        raise CheckFailure(
            _named(fit, tolerance) or "a step is not SGD's",
            expected=f"p - lr * b after step {number}, to {tolerance.spacings:.3g} spacings of "
            f"float32 and {tolerance.roundings:.3g} roundings of the update",
            actual=f"{len(wrong)} of {len(off)} sampled values differ by more",
            worst=[
                f"{probe.name(i)}: {step.found[i]:.9g} for {step.expected[i]:.9g}, "
                f"{over[i]:.3g} spacings"
                for i in worst[:5]
            ],
            needed=f"{over.max():.3g} spacings",
        )


def _named(fit: np.ndarray, tolerance) -> str:
    """The one effect that is off, in words; empty when none or several are."""
    off = [
        f"the {EFFECTS[i]} in effect is {1 + excess:.3g} times the recipe's"
        for i, (excess, error) in enumerate(fit)
        if _is_off(excess, error, tolerance)
    ]
    return off[0] if len(off) == 1 else ""


def _is_off(excess: float, error: float, tolerance) -> bool:
    return bool(abs(excess) > max(tolerance.effect_error, tolerance.effect_sigmas * error))


def _check_effect(effect: int, fits: Sequence[np.ndarray], tolerance) -> None:
    step = int(np.argmin([fit[effect, 1] for fit in fits]))
    excess, error = fits[step][effect]
    if error > tolerance.effect_error:
        raise Inconclusive(
            f"the {EFFECTS[effect]} is below rounding in the {len(fits)} probed steps (its standard "
            f"error is {error:.2g}); probe a step with a higher learning rate"
        )
    if _is_off(excess, error, tolerance):
        raise CheckFailure(
            f"the {EFFECTS[effect]} in effect is {1 + excess:.3g} times the recipe's",
            expected=f"1, to {tolerance.effect_error:.3g}",
            actual=f"{1 + excess:.4g} +- {error:.2g} in step {step + 1}",
            needed=f"an error of {abs(excess):.3g}",
        )
