"""The sequential decision where each image adds its own part to the loss: thousands of trials a second.

An image's part is how the loss answers when the image counts more. It keeps what decides the rates:
how unlike the images are, and how few of them carry a loss. What it leaves out is that mAP bends on
few images; the trials of the real thing stand beside it.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from plugins.checks.bootstrap import mean_average_precision
from plugins.checks.sequential import Look

MORE, AT_ONCE, TOGETHER = 14, 500, 250


def parts(world, device) -> np.ndarray:
    """(images,) points that each image adds to the mean loss, around 0."""
    found = world.whole(device.table), world.whole(world.found["reference"])
    answers = [_answers(matches, device.images) for matches in found]
    change = answers[1] - answers[0]
    return change - change.mean()


def _answers(matches, count: int) -> np.ndarray:
    """How mAP changes where one image counts more, in points of its own weight."""
    plain = mean_average_precision(matches, np.ones((count, 1), np.uint8))[0]
    found = []
    for start in range(0, count, AT_ONCE):
        some = np.arange(start, min(start + AT_ONCE, count))
        weights = np.ones((count, len(some)), np.uint8)
        weights[some, np.arange(len(some))] += MORE
        found.append(mean_average_precision(matches, weights) - plain)
    return np.concatenate(found) * (count + MORE) / MORE


def rates(world, device, looks: list[Look], margin: float, trials: int) -> dict:
    """Shares of trials that were accepted and rejected, and how many images they took.

    A device at the margin loses exactly that here.
    """
    mine = parts(world, device)
    lost = margin if device.name.startswith("at the margin") else device.lost
    random = np.random.RandomState(7)
    passed, failed = np.zeros(len(looks)), np.zeros(len(looks))
    for _ in range(trials // TOGETHER):
        drawn = mine[random.randint(0, len(mine), (TOGETHER, looks[-1].images))]
        some = _decided(drawn, lost, looks, margin)
        passed, failed = passed + some[0], failed + some[1]
    total = trials // TOGETHER * TOGETHER
    open_still = total - passed.sum() - failed.sum()
    images = (passed + failed) @ np.array([look.images for look in looks])
    return {
        "trials": total,
        "standard deviation of an image, points": round(float(mine.std()), 3),
        "accepted": passed.sum() / total,
        "rejected": failed.sum() / total,
        "accepted by look": (passed / total).tolist(),
        "rejected by look": (failed / total).tolist(),
        "mean images": round((images + open_still * looks[-1].images) / total, 1),
    }


def _decided(drawn: np.ndarray, lost: float, looks: list[Look], margin: float) -> tuple:
    """How many of the trials, a row each, are accepted and rejected at each look."""
    undecided = np.ones(len(drawn), bool)
    passed, failed = np.zeros(len(looks)), np.zeros(len(looks))
    for j, look in enumerate(looks):
        some = drawn[:, : look.images]
        spread = some.std(1) / np.sqrt(look.images)
        lean = ((some - some.mean(1, keepdims=True)) ** 3).mean(1)
        lean = lean / (some.std(1) ** 3 * np.sqrt(look.images))
        mean = lost + some.mean(1)
        good = mean + _factor(look.accept, lean) * spread <= margin
        bad = mean - _factor(look.reject, -lean) * spread > margin
        passed[j], failed[j] = (undecided & good).sum(), (undecided & bad).sum()
        undecided &= ~(good | bad)
    return passed, failed


def _factor(error: float, lean: np.ndarray) -> np.ndarray:
    """As noninferiority.bound has it."""
    if not error:
        return np.full(len(lean), np.inf)
    factor = NormalDist().inv_cdf(1 - error)
    return factor + lean.clip(0) * (2 * factor**2 + 1) / 6
