"""Is training as fast as it was recorded on this class of machine, and would a lying timer be caught?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from plugins.checks.training_closure import check_harness
from plugins.failure import CheckFailure, Inconclusive


def floor_text(baseline: Optional[Mapping[str, float]], name: str, drop: float) -> Optional[str]:
    """The floor that a recorded baseline sets for a rate, as text; None without one."""
    return f">= {baseline[name] * (1 - drop):.4g} img/s" if baseline else None


def published_text(name: str, rate: float, row, *, same_network: bool) -> str:
    """The published rate beside ours; a ratio only where the same network was trained."""
    theirs = f"{getattr(row, name)} img/s on A100, fp32 as TF32, digits cut"
    if not same_network:
        return f"{theirs}; another network here"
    return f"{theirs}; ratio {rate / float(getattr(row, name)):.3g}"


def check_not_slower(
    name: str,
    rate: float,
    baseline: Optional[Mapping[str, float]],
    *,
    drop: float,
    required: bool = False,
) -> None:
    """A rate (img/s) is at least its baseline less `drop`.

    A rate of one class of machines, on one set of images, says nothing of another, so none is borrowed:
    without a baseline a stand-in's rate is only reported, and a card's, where one is `required`, is
    inconclusive.
    """
    if baseline is None and required:
        raise Inconclusive(
            f"{name} of {rate:.4g} img/s has no baseline on this class of machines with these images and "
            "weights; record one by --update-golden REASON and the same --coco-root and --backbone"
        )
    if baseline is None or rate >= baseline[name] * (1 - drop):
        return
    raise CheckFailure(
        f"{name} is below its baseline",
        expected=f">= {baseline[name] * (1 - drop):.4g} img/s "
        f"({baseline[name]:.4g} less {100 * drop:.3g} %)",
        actual=f"{rate:.4g} img/s",
        needed=f"drop {100 * (1 - rate / baseline[name]):.3g} %",
    )


def check_timers(styles: Mapping[str, Mapping[str, float]], *, share: float) -> None:
    """Of three styles of loop only the one that drains the queue has an honest host clock.

    The device's clock is honest in all of them: it never says less time than passed, and the
    difference between the two convicts the other two styles.

    styles: by name, img/s by the host's clock around the core, by the device's, and over the
    whole window.
    """
    for name, rates in styles.items():
        if not rates["event"] >= rates["window"]:
            raise CheckFailure(
                f"the device's clock is wrong in the style {name}",
                expected=f"at least the window's {rates['window']:.4g} img/s",
                actual=f"{rates['event']:.4g} img/s",
            )
        honest = name == "log_inside"
        try:
            check_harness(1 / rates["event"], 1 / rates["host"], share=share)
            caught = False
        except CheckFailure:
            caught = True
        if caught == honest:
            raise CheckFailure(
                f"the style {name} is {'suspected' if honest else 'not caught'}",
                expected="a host's clock that waits for the device is believed, any other is not",
                actual=f"{rates['host']:.4g} img/s by the host, {rates['event']:.4g} by the device",
            )
