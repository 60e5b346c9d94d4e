"""Sorting and pairing by whole numbers, in time that grows with their count and no faster."""

from __future__ import annotations

import numpy as np


def sorted_by(keys: np.ndarray) -> np.ndarray:
    """The stable order of whole numbers from 0 on: 16 bits at a time, which NumPy sorts by digits."""
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    keys = keys >> 16
    return order[sorted_by(keys[order])] if keys.any() else order


def places(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `size` keys, from 0 on, is: its beginning in an order, and the order."""
    return np.r_[0, np.cumsum(np.bincount(keys, minlength=size))], sorted_by(keys)


def pairs(keys: np.ndarray, others: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs of equal key, of some `keys` and of those whose `places` are given."""
    start, order = others
    first = start[keys]
    count = start[keys + 1] - first
    mine = np.repeat(np.arange(len(keys)), count)
    step = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count)
    return mine, order[first[mine] + step]


def ranks(keys: np.ndarray) -> np.ndarray:
    """The place of each element among those of the same key; equal keys are neighbours."""
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return np.arange(len(keys)) - np.repeat(first, np.diff(first, append=len(keys)))
