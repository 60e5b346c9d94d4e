"""The figures of the source's table, each defined here and nowhere else.

All of them come from one steady region: the windows between two synchronisations after the warm-up.
Its images are counted from the tensors that were fed, summed over the ranks; its time is that of the
slowest rank; a rate is total images over total seconds. The warm-up is in none of the rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure

GIB = 2.0**30


@dataclass(frozen=True)
class RankTimes:
    """What one rank measured: seconds, an entry an iteration or a window; memory in bytes.

    core_s, copy_s: device clock around forward + backward + step, around the copy to the device.
    data_s: host time blocked in the loader. host_core_s: host clock around the core, without
    synchronisation. window_*: host clock between two synchronisations, iterations in between, first.
    images: counted over the whole run. main_s: the process; training_s: after the first barrier to
    the loop's end; evaluation_s, checkpoint_s: totals within it. process: of the machine on a CPU, of
    the card on a card, 0 where its driver does not say.
    """

    rank: int
    images: int
    core_s: np.ndarray
    copy_s: np.ndarray
    data_s: np.ndarray
    host_core_s: np.ndarray
    window_s: np.ndarray
    window_iterations: np.ndarray
    window_start: np.ndarray
    main_s: float
    training_s: float
    evaluation_s: float = 0.0
    checkpoint_s: float = 0.0
    allocated: int = 0
    reserved: int = 0
    process: int = 0
    total: int = 0

    @property
    def iterations(self) -> int:
        """Of the whole run."""
        return len(self.core_s)

    @property
    def steady(self) -> np.ndarray:
        """(iterations,) bool: those that lie in a window."""
        mask = np.zeros(self.iterations, bool)
        for start, length in zip(self.window_start, self.window_iterations):
            mask[int(start) : int(start + length)] = True
        return mask

    @property
    def steady_images(self) -> float:
        """Images of the steady region: the counted ones, an equal number an iteration."""
        return self.images * float(self.steady.sum()) / self.iterations


def rank_times(record: Mapping, arrays: Mapping[str, np.ndarray]) -> RankTimes:
    """The clocks of a rank's record: its JSON and its arrays."""
    names = ("core_s", "copy_s", "data_s", "host_core_s")
    names += ("window_s", "window_iterations", "window_start")
    seconds, memory = record["seconds"], record["memory"]
    process = "process_peak" if record["device"]["kind"] == "cpu" else "device_process_peak"
    return RankTimes(
        rank=record["rank"],
        images=record["counts"]["images"],
        **{name: np.asarray(arrays[name]) for name in names},
        main_s=seconds["main"],
        training_s=seconds["training"],
        evaluation_s=seconds["evaluation"],
        checkpoint_s=seconds["checkpoint"],
        allocated=memory["allocated_peak"],
        reserved=memory["reserved_peak"],
        process=memory.get(process, 0),
        total=record["device"]["memory_bytes"],
    )


@dataclass(frozen=True)
class Figures:
    """One run's figures. `images` is the one numerator of the three rates, in the steady region.

    Seconds are those of the slowest rank, memory is that of the fullest; world is the number of ranks.
    """

    world: int
    images: float
    e2e_time: float
    whole_s: float
    train_s: float
    core_s: float
    spread: float
    allocated: int
    reserved: int
    process: int
    total: int

    @property
    def p_whole(self) -> float:
        """Images/s with everything that training costs: windows, evaluations, checkpoints."""
        return self.images / self.whole_s

    @property
    def p_train(self) -> float:
        """Images/s of the windows: data, copy, computation, logging; no evaluation."""
        return self.images / self.train_s

    @property
    def p_core(self) -> float:
        """Images/s of forward + backward + step alone, by the device's own clock."""
        return self.images / self.core_s

    @property
    def mem(self) -> str:
        """Peaks in GiB since the warm-up: allocated (what is needed), reserved, process / card."""
        peaks = (self.allocated, self.reserved, self.process, self.total)
        return "{:.1f} allocated, {:.1f} reserved, {:.1f}/{:.1f}".format(*(p / GIB for p in peaks))


def figures(ranks: Sequence[RankTimes], *, world: int = 0) -> Figures:
    """The figures of a run from the clocks of all its ranks.

    Where a second machine took part, only this one's ranks are at hand: `world` says how many there
    were, each of which feeds as many images as these.

    e2e_time is the slowest process from the start of its main() to its end (imports excluded, as
    the source does).
    """
    _require_windows(ranks)
    cores = np.array([float(rank.core_s[rank.steady].sum()) for rank in ranks])
    trains = [float(rank.window_s.sum()) for rank in ranks]
    wholes = [t + r.evaluation_s + r.checkpoint_s for t, r in zip(trains, ranks)]
    world = world or len(ranks)
    return Figures(
        world=world,
        images=sum(rank.steady_images for rank in ranks) * world / len(ranks),
        e2e_time=max(rank.main_s for rank in ranks),
        whole_s=max(wholes),
        train_s=max(trains),
        core_s=float(cores.max()),
        spread=float((cores.max() - cores.min()) / np.median(cores)),
        allocated=max(rank.allocated for rank in ranks),
        reserved=max(rank.reserved for rank in ranks),
        process=max(rank.process for rank in ranks),
        total=max(rank.total for rank in ranks),
    )


def _require_windows(ranks: Sequence[RankTimes]) -> None:
    shapes = {rank.rank: [int(n) for n in rank.window_iterations] for rank in ranks}
    for rank in ranks:
        good = np.isfinite(rank.window_s).all() and (rank.window_s > 0).all()
        cores = rank.core_s[rank.steady]
        if not (len(rank.window_s) and good and (cores > 0).all()):
            raise CheckFailure(
                "nothing was timed after the warm-up",
                expected="windows and cores of positive duration on every rank",
                actual=f"rank {rank.rank}: windows {rank.window_s[:5]} s, "
                f"{int((~(cores > 0)).sum())} cores without duration",
            )
    if len({tuple(shape) for shape in shapes.values()}) > 1:
        raise CheckFailure(
            "the ranks were timed in different windows",
            expected="the same iterations in each window of every rank",
            actual="; ".join(f"rank {k}: {v[:5]} iterations" for k, v in shapes.items()),
        )
