"""Is the device as accurate as the reference? Decided on the same images, with the luck measured.

Both find their detections on the same images; resampling those images, both with the same draws,
shows how far the difference would move on others. The margin is declared before anybody measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from plugins.checks.average_precision import statistics
from plugins.checks.bootstrap import draw, mean_average_precision
from plugins.checks.detection_errors import explain
from plugins.checks.matching import Matches
from plugins.failure import CheckFailure, Inconclusive

POWER = 0.9  # with which the detectable loss would be seen


@dataclass(frozen=True)
class Paired:
    """mAP that the device loses against the reference, in points; negative where it gains.

    low bounds it with the error `reject`, high with the error `accept`; an error of 0 is no bound.
    `detectable` is the loss that as many images as these would tell from none at all, with a power
    of 90 %; NaN where neither may be told.
    """

    device: Matches
    reference: Matches
    lost: float
    low: float
    high: float
    detectable: float
    margin: float
    accept: float
    reject: float

    @property
    def images(self) -> int:
        """How many images it was measured on."""
        return len(self.device.objects.images)

    @property
    def verdict(self) -> str:
        """PASS, WORSE or INCONCLUSIVE."""
        if self.high <= self.margin:
            return "PASS"
        return "WORSE" if self.low > self.margin else "INCONCLUSIVE"

    def text(self) -> str:
        """The measurement in one line."""
        return (
            f"{self.lost:.4g} points lost, {self.low:.4g} to {self.high:.4g} at "
            f"{100 * (1 - self.reject):.4g} and {100 * (1 - self.accept):.4g} % on {self.images} "
            f"images; a loss of {self.detectable:.3g} would show"
        )


def compare(
    device: Matches,
    reference: Matches,
    *,
    margin: float,
    accept: float,
    reject: float,
    resamples: int,
    seed: int,
) -> Paired:
    """What the device loses, and how sure that is.

    Args:
        margin: points that it may lose.
        accept, reject: the chance, e.g. 0.01, that a device which loses the margin is passed, and
            that it is failed; 0 for never.
    """
    if not np.array_equal(device.objects.images, reference.objects.images):
        raise CheckFailure(
            "device and reference were judged on different images",
            expected=f"the reference's {len(reference.objects.images)} images",
            actual=f"{len(device.objects.images)} others",
        )
    weights = draw(len(device.objects.images), resamples, seed)
    resampled = mean_average_precision(reference, weights) - mean_average_precision(device, weights)
    resampled = resampled[np.isfinite(resampled)]
    lost = statistics(reference)["AP"] - statistics(device)["AP"]
    error, normal = reject or accept, NormalDist()
    factor = normal.inv_cdf(1 - error) + normal.inv_cdf(POWER) if error else float("nan")
    return Paired(
        device,
        reference,
        lost,
        -bound(-resampled, -lost, reject),
        bound(resampled, lost, accept),
        factor * float(resampled.std(ddof=1)),
        margin,
        accept,
        reject,
    )


def bound(resampled: np.ndarray, lost: float, error: float) -> float:
    """What a loss exceeds with no more than a chance of `error`; infinite for an error of 0.

    The normal bound, widened where the resamples lean that way (Cornish and Fisher's first term for a
    studentised mean: a few images that lose much make the spread look smaller than it is), and never
    nearer than the resamples' own quantile.
    """
    if not error:
        return float("inf")
    factor, spread = NormalDist().inv_cdf(1 - error), float(resampled.std(ddof=1))
    lean = float(np.mean((resampled - resampled.mean()) ** 3)) / spread**3 if spread else 0.0
    factor += max(lean, 0) * (2 * factor**2 + 1) / 6
    return max(lost + factor * spread, float(np.quantile(resampled, 1 - error)))


def check_not_inferior(paired: Paired) -> None:
    """The device loses no more than the margin, for sure; Inconclusive where the images are too few."""
    allowed = f"at most {paired.margin:.4g} points lost, surely"
    if paired.verdict == "WORSE":
        raise CheckFailure(
            "mAP falls behind the reference",
            expected=allowed,
            actual=paired.text(),
            worst=explain(paired.device, paired.reference),
            needed=f"drop {paired.low:.4g} points",
        )
    if paired.verdict == "INCONCLUSIVE":
        raise Inconclusive(f"{allowed}, cannot be told yet: {paired.text()}")
