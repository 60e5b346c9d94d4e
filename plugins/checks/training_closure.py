"""Do a run's figures close: counts, clocks, sums, order, physics, memory and scaling?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugins.checks.training_figures import GIB, Figures, RankTimes
from plugins.failure import CheckFailure


def check_counted(ranks: Sequence[RankTimes], *, batch: int, iterations: int) -> None:
    """Images fed = iterations x batch on every rank; the length of the data set is no count."""
    for rank in ranks:
        wanted = iterations * batch
        if rank.images != wanted or rank.iterations != iterations:
            raise CheckFailure(
                "images are not counted from the tensors",
                expected=f"{iterations} iterations x {batch} = {wanted} images on rank {rank.rank}, "
                f"{wanted * len(ranks)} on {len(ranks)} ranks",
                actual=f"{rank.iterations} iterations, {rank.images} images "
                f"({100 * (rank.images / max(wanted, 1) - 1):+.4g} %)",
            )


def check_warmup(ranks: Sequence[RankTimes], *, warmup: int, iterations: int) -> None:
    """No window begins before the warm-up ends; all `iterations` after it lie in windows."""
    for rank in ranks:
        first, timed = int(rank.window_start.min()), int(rank.steady.sum())
        if first < warmup or timed != iterations:
            raise CheckFailure(
                "the warm-up is in the figures" if first < warmup else "iterations were not timed",
                expected=f"windows from iteration {warmup} on, over {iterations} iterations",
                actual=f"rank {rank.rank}: from iteration {first} on, over {timed} iterations",
            )


def check_order(figures: Figures, *, slack: float) -> None:
    """0 < p_whole <= p_train <= p_core, and e2e at least what training took.

    `slack`: relative, for two clocks; p_core is a device's, p_train a host's.
    """
    rates = (figures.p_whole, figures.p_train, figures.p_core)
    limits = (rates[0] > 0, rates[0] <= rates[1], rates[1] <= rates[2] * (1 + slack))
    if not (all(limits) and np.isfinite(rates).all()):
        raise CheckFailure(
            "the rates are out of order",
            expected="0 < p_whole <= p_train <= p_core",
            actual="p_whole {:.6g}, p_train {:.6g}, p_core {:.6g} img/s".format(*rates),
            needed=f"slack {rates[1] / rates[2] - 1:.3g}" if rates[2] > 0 else None,
        )
    if not figures.e2e_time >= figures.whole_s:
        raise CheckFailure(
            "training took longer than the whole run",
            expected=f"e2e_time >= {figures.whole_s:.6g} s of training",
            actual=f"{figures.e2e_time:.6g} s",
        )


def check_numerator(
    rates: Sequence[float], seconds: Sequence[float], images: float, *, relative: float
) -> None:
    """Reported rates times their seconds are the same count of images, the one that was fed."""
    found = np.asarray(rates, float) * np.asarray(seconds, float)
    off = np.abs(found / images - 1)
    if not (off <= relative).all():
        raise CheckFailure(
            "the rates do not count the same images",
            expected=f"{images:.6g} images in each rate",
            actual=", ".join(f"{n:.6g}" for n in found),
            needed=f"relative difference {off.max():.3g}",
        )


def check_nesting(rank: RankTimes, *, slack: float) -> None:
    """main >= training >= windows + evaluations + checkpoints of one rank, in s."""
    inside = float(rank.window_s.sum()) + rank.evaluation_s + rank.checkpoint_s
    if not (rank.main_s >= rank.training_s and rank.training_s * (1 + slack) >= inside):
        raise CheckFailure(
            "the parts of a run last longer than the run",
            expected="main >= training >= windows + evaluations + checkpoints",
            actual=f"rank {rank.rank}: {rank.main_s:.6g} s >= {rank.training_s:.6g} s >= "
            f"{inside:.6g} s does not hold",
        )


def check_accounted(rank: RankTimes, *, share: float) -> None:
    """Windows, evaluations, checkpoints and the warm-up are all that training consists of, in s.

    What an evaluation is not said to have taken is missing here: p_whole would pass it over.
    """
    warmup = ~rank.steady
    before = sum(float(x[warmup].sum()) for x in (rank.data_s, rank.copy_s, rank.core_s))
    told = float(rank.window_s.sum()) + rank.evaluation_s + rank.checkpoint_s + before
    missing = rank.training_s - told
    if not missing <= share * rank.training_s:
        raise CheckFailure(
            "training took time that nothing accounts for",
            expected=f"windows, evaluations, checkpoints and warm-up within {100 * share:.4g} % of "
            f"{rank.training_s:.6g} s",
            actual=f"rank {rank.rank}: {told:.6g} s, {100 * missing / rank.training_s:.4g} % less",
            needed=f"share {missing / rank.training_s:.3g}",
        )


def check_clocks(rank: RankTimes, *, slack: float) -> None:
    """In each window the device's clock says no more than the host's: two clocks, one time."""
    cores = np.array([rank.core_s[w].sum() + rank.copy_s[w].sum() for w in _windows(rank)])
    over = cores / rank.window_s - 1
    if not (over <= slack).all():
        worst = np.argsort(over)[::-1]
        raise CheckFailure(
            "the device's clock runs ahead of the host's",
            expected=f"copy + core <= window x (1 + {slack:.4g})",
            actual=f"rank {rank.rank}: {int((over > slack).sum())} of {len(over)} windows exceed it",
            worst=[f"window {i}: {cores[i]:.6g} s in {rank.window_s[i]:.6g} s" for i in worst[:5]],
            needed=f"slack {over.max():.3g}",
        )


def check_sum(rank: RankTimes, *, share: float, asynchronous: bool) -> None:
    """Data + copy + core fill the windows, but for `share` of them.

    On an asynchronous device the host may wait for data while the device computes, so that the sum
    may exceed the window; it may never fall short: a core that ends before the device does, does so.
    """
    mask, window = rank.steady, float(rank.window_s.sum())
    parts = [float(x[mask].sum()) for x in (rank.data_s, rank.copy_s, rank.core_s)]
    gap = 1 - sum(parts) / window
    if not (gap <= share and (asynchronous or gap >= -share)):
        raise CheckFailure(
            "time is missing from the core" if gap > 0 else "time is counted twice",
            expected=f"data + copy + core = {window:.6g} s of windows within {100 * share:.4g} %",
            actual="rank {}: {:.6g} + {:.6g} + {:.6g} s".format(rank.rank, *parts)
            + f", {100 * abs(gap):.4g} % {'less' if gap > 0 else 'more'}",
            needed=f"share {abs(gap):.3g}",
        )


def check_harness(event_s: float, claimed_s: float, *, share: float) -> None:
    """A timer's seconds of the core are not shorter than the device's own by more than `share`."""
    excess = event_s / claimed_s - 1 if claimed_s > 0 else np.inf
    if not excess <= share:
        raise CheckFailure(
            "the timer did not wait for the device",
            expected=f"p_core by this timer at most {100 * share:.4g} % above the device's own",
            actual=f"{100 * excess:.4g} % above: {claimed_s:.6g} s where the device took {event_s:.6g} s",
            needed=f"share {excess:.3g}",
        )


def check_ceiling(p_core: float, *, cards: int, flop: float, peak: float, precision: str) -> None:
    """What each card computes stays below the peak of the declared precision.

    `flop`: of a training step per image; `peak`: FLOP/s of a card.
    """
    done = p_core / cards * flop
    if not done <= peak:
        raise CheckFailure(
            f"faster than {precision} can be",
            expected=f"at most {peak / 1e12:.4g} TFLOP/s, {peak / flop:.4g} img/s a card",
            actual=f"{done / 1e12:.4g} TFLOP/s, {p_core / cards:.4g} img/s a card",
        )


def check_scaling(one: Figures, many: Figures, *, noise: float) -> None:
    """p_n <= n p_1 for each rate; `noise` relative."""
    times = many.world / one.world
    for name in ("p_core", "p_train", "p_whole"):
        efficiency = getattr(many, name) / (times * getattr(one, name))
        if not efficiency <= 1 + noise:
            raise CheckFailure(
                "more than perfect scaling",
                expected=f"{name} <= {times:.4g} x {getattr(one, name):.6g} img/s",
                actual=f"{getattr(many, name):.6g} img/s, efficiency {efficiency:.4g}",
                needed=f"noise {efficiency - 1:.3g}",
            )


def check_spread(figures: Figures, *, share: float) -> None:
    """No rank's core takes `share` of the median longer than another's: a straggler."""
    if not figures.spread <= share:
        raise CheckFailure(
            "a rank is slower than the others",
            expected=f"cores of {figures.world} ranks within {100 * share:.4g} % of their median",
            actual=f"{100 * figures.spread:.4g} %",
            needed=f"share {figures.spread:.3g}",
        )


def check_memory(figures: Figures, *, card: bool) -> None:
    """0 < process, and on a card 0 < allocated <= reserved <= process <= the card's memory.

    Where a driver does not say what a process holds, `process` is 0 on a card and left out.
    """
    chain = [figures.process, figures.total]
    if card:
        known = [figures.process] if figures.process else []
        chain = [figures.allocated, figures.reserved, *known, figures.total]
    if not (chain[0] > 0 and chain == sorted(chain)):
        raise CheckFailure(
            "the memory figures contradict each other",
            expected="0 < allocated <= reserved <= process <= total",
            actual=" <= ".join(f"{n / GIB:.4g}" for n in chain) + " GiB does not hold",
        )


def _windows(rank: RankTimes) -> list[slice]:
    pairs = zip(rank.window_start, rank.window_iterations)
    return [slice(int(start), int(start + length)) for start, length in pairs]
