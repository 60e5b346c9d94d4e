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

    low and high bound it, each with the declared confidence; `detectable` is the loss that
    as many images as these would tell from none at all, with a power of 90 %.
    """

    device: Matches
    reference: Matches
    lost: float
    low: float
    high: float
    detectable: float
    margin: float
    confidence: float

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
            f"{100 * self.confidence:.4g} % on {self.images} images; "
            f"a loss of {self.detectable:.3g} would show"
        )


def compare(
    device: Matches,
    reference: Matches,
    *,
    margin: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> Paired:
    """What the device loses, and how sure that is.

    Args:
        margin: points that it may lose.
        confidence: of each bound, one-sided, e.g. 0.99.
    """
    if not np.array_equal(device.objects.images, reference.objects.images):
        raise CheckFailure(
            "device and reference were judged on different images",
            expected=f"the reference's {len(reference.objects.images)} images",
            actual=f"{len(device.objects.images)} others",
        )
    weights = draw(len(device.objects.images), resamples, seed)
    lost = mean_average_precision(reference, weights) - mean_average_precision(device, weights)
    lost = lost[np.isfinite(lost)]
    low, high = np.quantile(lost, [1 - confidence, confidence])
    normal = NormalDist()
    factor = normal.inv_cdf(confidence) + normal.inv_cdf(POWER)
    return Paired(
        device,
        reference,
        statistics(reference)["AP"] - statistics(device)["AP"],
        float(low),
        float(high),
        factor * float(lost.std(ddof=1)),
        margin,
        confidence,
    )


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
