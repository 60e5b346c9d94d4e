"""Synthetic records of a training: right ones, and ones with a named fault."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks.training_batches import Trace
from plugins.checks.training_figures import RankTimes
from plugins.checks.training_optimiser import Probe
from plugins.failure import CheckFailure

BATCH, WARMUP, BLOCK, BLOCKS = 16, 20, 20, 5
ITERATIONS = WARMUP + BLOCK * BLOCKS
DATA_S, COPY_S, CORE_S, LOG_S = 0.04, 0.005, 0.65, 0.002
GIB = 2**30
CURVE = 2.0 * np.exp(-np.arange(60) / 40.0)  # losses


def failing(check, *arguments, **named) -> CheckFailure:
    """The failure with which a check refuses its arguments."""
    with pytest.raises(CheckFailure) as failure:
        check(*arguments, **named)
    return failure.value


def clocks(rank: int = 0, **changes) -> RankTimes:
    """A card's clocks: 120 iterations of 0.697 s, the first 20 slower and in no window."""
    random = np.random.RandomState(rank)
    core = CORE_S * (1 + 0.002 * random.standard_normal(ITERATIONS))
    core[:WARMUP] *= 1.5
    data = np.full(ITERATIONS, DATA_S)
    whole = core + data + COPY_S + LOG_S
    start = np.arange(WARMUP, ITERATIONS, BLOCK)
    right = RankTimes(
        rank=rank,
        images=ITERATIONS * BATCH,
        core_s=core,
        copy_s=np.full(ITERATIONS, COPY_S),
        data_s=data,
        host_core_s=core + LOG_S,
        window_s=np.array([whole[s : s + BLOCK].sum() for s in start]),
        window_iterations=np.full(BLOCKS, BLOCK),
        window_start=start,
        main_s=whole.sum() + 40.0,
        training_s=whole.sum() + 10.5,
        evaluation_s=10.0,
        allocated=30 * GIB,
        reserved=38 * GIB,
        process=39 * GIB,
        total=40 * GIB,
    )
    return dataclasses.replace(right, **changes)


def warmup_included() -> RankTimes:
    """Windows over all iterations, from the first on."""
    right, start = clocks(), np.arange(0, ITERATIONS, BLOCK)
    whole = right.core_s + right.data_s + right.copy_s + LOG_S
    seconds = np.array([whole[s : s + BLOCK].sum() for s in start])
    blocks = np.full(len(start), BLOCK)
    return clocks(window_s=seconds, window_start=start, window_iterations=blocks)


def sgd(
    rates,
    *,
    steps: int = 2,
    rate_times: float = 1.0,
    momentum: float = 0.9,
    decay: float = 1e-4,
    frozen: str = "",
    gradients_of: float = 0.02,
) -> Probe:
    """Two tensors of a network trained in float32, in torch's order of operations."""
    random = np.random.RandomState(7)
    index = [["body.weight", 0, 3000, 3000, 1], ["head.bias", 3000, 4000, 1000, 1]]
    now = (0.05 * random.standard_normal(4000)).astype(np.float32)
    still = np.zeros(4000, bool)
    for name, start, stop, *_ in index:
        still[start:stop] = name == frozen
    parameters, gradients, buffer = [now], [], None
    for step in range(steps):
        gradient = (gradients_of * random.standard_normal(4000)).astype(np.float32)
        change = gradient + np.float32(decay) * now
        buffer = change if buffer is None else np.float32(momentum) * buffer + change
        moved = now - np.float32(rate_times * rates[step]) * buffer
        now = np.where(still, now, moved).astype(np.float32)
        parameters.append(now)
        gradients.append(gradient)
    return Probe(np.array(parameters), np.array(gradients), index)


def batches(
    *,
    images: int = 160,
    world: int = 1,
    rank: int = 0,
    epochs: int = 3,
    batch: int = 16,
    groups: int = 2,
    shuffle: bool = True,
    set_epoch: bool = True,
    shard: bool = True,
) -> Trace:
    """A rank's trace by the rules of the source's sampler: shards, groups, filled last batches."""
    rows, where = [], []
    for epoch in range(epochs):
        random = np.random.RandomState(epoch if set_epoch else 0)
        order = random.permutation(images) if shuffle else np.arange(images)
        mine = order[rank::world] if shard else order[: images // world]
        chosen = _grouped(mine + 1, batch, groups)
        rows += chosen
        where += [epoch] * len(chosen)
    ids = np.array(rows)
    flips = np.random.RandomState(9).random_sample(images + 1)[ids] < 0.5
    return Trace(rank, ids, flips, ids[:, 0] % groups, np.array(where), [str(row) for row in rows])


def _grouped(ids: np.ndarray, batch: int, groups: int) -> list[list[int]]:
    waiting, seen, full = {}, {}, []
    for one in ids.tolist():
        group = one % groups
        seen.setdefault(group, []).append(one)
        waiting.setdefault(group, []).append(one)
        if len(waiting[group]) == batch:
            full.append(waiting.pop(group))
    for group in sorted(waiting, key=lambda k: -len(waiting[k])):
        if len(full) < len(ids) // batch:
            again = np.resize(seen[group], batch - len(waiting[group])).tolist()
            full.append(waiting[group] + again)
    return full
