"""How many images a question of accuracy takes: looks at more and more of them, until it is decided.

Looking often is a way to see what one wants to see. So the two errors, to pass a device that loses the
margin and to fail one, are given out in advance: each look may spend its share and no more, and however
the looks hang together the shares add up to the whole (Bonferroni).

Resampling knows nothing of what was never seen, and little of what was seen once. Where a device is
blind on a few images and right on all others, a sample may hold none or one of them. So where an image
is lost entirely only the whole set may pass the device, and the first look that may pass any is late
enough to meet such an image (`unseen` in the contract).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

import numpy as np

from plugins.checks.matching import Matches
from plugins.checks.noninferiority import Paired, compare


class Look(NamedTuple):
    """After how many images to look, and the errors that this look may spend; 0 is no such verdict."""

    images: int
    accept: float
    reject: float


@dataclass(frozen=True)
class Decision:
    """The looks that were planned, and what was seen at each of those that were taken."""

    planned: Sequence[Look]
    taken: Sequence[Paired]

    @property
    def last(self) -> Paired:
        """What decided, or did not."""
        return self.taken[-1]

    @property
    def lost_images(self) -> int:
        """Images of the last look on which the device finds nothing, and the reference something."""
        return lost_images(self.last.device, self.last.reference)

    @property
    def spent(self) -> tuple[float, float]:
        """The errors of a wrong pass and of a wrong failure that the looks so far have spent."""
        looks = self.planned[: len(self.taken)]
        return sum(look.accept for look in looks), sum(look.reject for look in looks)


def decide(
    looks: Sequence[Look],
    matched: Callable[[int], Sequence[Matches]],
    *,
    margin: float,
    resamples: int,
    seed: int,
    whole: Optional[int] = None,
) -> Decision:
    """Look until a look decides, or the looks are used up.

    Args:
        matched: the device's and the reference's matches on the first so many images; it is asked
            for no more than are needed.
        margin: points of mAP that the device may lose.
        whole: how many images there are; None where there are always more.
    """
    taken: list[Paired] = []
    for look in looks:
        device, reference = matched(look.images)
        seen = len(device.objects.images)  # a set may hold fewer than were asked for
        may_pass = seen == whole or not lost_images(device, reference)
        errors = {"accept": look.accept if may_pass else 0.0, "reject": look.reject}
        taken.append(
            compare(device, reference, margin=margin, resamples=resamples, seed=seed, **errors)
        )
        if taken[-1].verdict != "INCONCLUSIVE":
            break
    return Decision(looks, taken)


def lost_images(device: Matches, reference: Matches) -> int:
    """Images on which the device finds none of the objects, and the reference finds some."""
    return int((_finds(reference) & ~_finds(device)).sum())


def _finds(matches: Matches) -> np.ndarray:
    """(images,): whether any object is found there."""
    found = np.zeros(len(matches.objects.images), bool)
    found[matches.image[matches.what >= 0]] = True
    return found


def only_the_last(looks: Sequence[Look]) -> list[Look]:
    """One look at everything, which may spend all that the others could."""
    accept, reject = sum(look.accept for look in looks), sum(look.reject for look in looks)
    return [Look(looks[-1].images, accept, reject)]
