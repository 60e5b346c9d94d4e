"""Which images went where: the trace of batches against the sampler's rules and a recorded trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plugins.failure import CheckFailure


@dataclass(frozen=True)
class Trace:
    """The batches of one rank.

    ids, flips: (iterations, batch) image ids, and whether each was flipped; groups, epochs:
    (iterations,); targets: a hash of each iteration's boxes, labels and image ids.
    """

    rank: int
    ids: np.ndarray
    flips: np.ndarray
    groups: np.ndarray
    epochs: np.ndarray
    targets: Sequence[str]


def trace(record: Mapping, arrays: Mapping[str, np.ndarray]) -> Trace:
    """The trace of a rank's record: its JSON and its arrays."""
    names = ("ids", "flips", "groups", "epochs")
    arrays = {name: np.asarray(arrays[name]) for name in names}
    return Trace(record["rank"], **arrays, targets=list(record["targets"]))


def check_trace(found: Trace, golden: Trace) -> None:
    """Every batch is the recorded one: images and their order, flips, groups, epochs, targets."""
    pairs = [(name, getattr(found, name), getattr(golden, name)) for name in _FIELDS]
    pairs.append(("targets", np.asarray(found.targets), np.asarray(golden.targets)))
    for name, mine, theirs in pairs:
        if mine.shape != theirs.shape:
            raise CheckFailure(
                f"the trace of {name} has another shape",
                expected=f"{theirs.shape} on rank {golden.rank}",
                actual=f"{mine.shape}",
            )
        wrong = np.flatnonzero((mine != theirs).reshape(len(mine), -1).any(1))
        if len(wrong):
            first = int(wrong[0])
            raise CheckFailure(
                f"batches have other {_FIELDS.get(name, name)}",
                expected=f"{_shown(theirs[first])} in iteration {first} of rank {golden.rank}",
                actual=f"{_shown(mine[first])}; {len(wrong)} of {len(mine)} iterations differ",
            )


_FIELDS = {"ids": "images", "flips": "flips", "groups": "groups", "epochs": "epochs"}


def _shown(values) -> str:
    return str(np.asarray(values).ravel()[:6].tolist())[:80]


def aspect_groups(width: np.ndarray, height: np.ndarray, *, factor: int) -> np.ndarray:
    """(images,) group of each image: width / height among the edges 2^(-1 .. 1), 2 factor + 1."""
    edges = 2.0 ** np.linspace(-1, 1, 2 * factor + 1)
    return np.searchsorted(edges, np.asarray(width) / np.asarray(height), side="right")


def check_groups(found: Trace, group_of: Mapping[int, int]) -> None:
    """Each batch is of one aspect-ratio group, the recorded one; group_of: by image id."""
    for iteration, ids in enumerate(found.ids):
        groups = {group_of.get(int(i), -1) for i in ids}
        if groups != {int(found.groups[iteration])}:
            raise CheckFailure(
                "a batch is not of one aspect-ratio group",
                expected=f"group {found.groups[iteration]} in iteration {iteration}, rank {found.rank}",
                actual=f"groups {sorted(groups)} (-1: no image of the set) of {_shown(ids)}",
            )


def check_epochs(found: Trace, *, images: int, world: int, start: int = 0) -> None:
    """An epoch has images / world / batch iterations, repeats no image but to fill its last batches.

    The sampler completes what is left of each group with images that it already gave: at most one
    such batch a group, after all others. The order of images differs between any two epochs.
    `start`: the iteration that a resumed run began with.
    """
    batch = found.ids.shape[1]
    length = -(-images // world) // batch
    wanted = (start + np.arange(len(found.epochs))) // max(length, 1)
    if not length or not np.array_equal(found.epochs, wanted):
        raise CheckFailure(
            "the epochs have another length",
            expected=f"{length} iterations of {batch} on each of {world} ranks for {images} images",
            actual=f"epochs of {np.bincount(found.epochs).tolist()[:6]} iterations on rank {found.rank}",
        )
    orders: dict[bytes, int] = {}
    for epoch in range(-(-start // length), int(wanted[-1]) + 1):
        rows = found.ids[found.epochs == epoch]
        _check_repeats(found, epoch, rows)
        same = orders.setdefault(rows[: length // 2 or 1].tobytes(), epoch)
        if same != epoch:
            raise CheckFailure(
                "two epochs have the same order",
                expected=f"other batches in epoch {epoch} than in epoch {same}, rank {found.rank}",
                actual=f"both begin with {_shown(rows[0])}",
            )


def _check_repeats(found: Trace, epoch: int, rows: np.ndarray) -> None:
    groups = found.groups[found.epochs == epoch]
    seen: set[int] = set()
    filled: list[int] = []
    for number, ids in enumerate(rows.tolist()):
        fresh = set(ids) - seen
        complete = len(fresh) == len(ids)
        # Filling takes at least one new image; every later batch is one of these, a group once.
        if not (complete and not filled) and not (
            fresh and not complete and groups[number] not in filled
        ):
            raise CheckFailure(
                "an epoch repeats images",
                expected=f"each image once in epoch {epoch} of rank {found.rank}, but to fill a "
                "group's last batch",
                actual=f"{len(ids) - len(fresh)} of {len(ids)} were given before, in batch {number}",
                worst=[f"image {i}" for i in ids if i in seen][:5],
            )
        if not complete:
            filled.append(int(groups[number]))
        seen |= fresh


def check_shards(ranks: Sequence[Trace], *, images: int) -> None:
    """In each epoch the ranks share no image, but for those that pad the set to a multiple.

    And from epoch to epoch each rank's share of the set is another.
    """
    padding = -images % len(ranks)
    for epoch in np.unique(ranks[0].epochs):
        sets = [set(r.ids[r.epochs == epoch].ravel().tolist()) for r in ranks]
        shared = sum(map(len, sets)) - len(set().union(*sets))
        if shared > padding:
            raise CheckFailure(
                "ranks read the same images",
                expected=f"shards of epoch {epoch} without a common image, {padding} padded",
                actual=f"{shared} images are read by more than one of {len(ranks)} ranks",
            )
    for rank in ranks if len(ranks) > 1 else ():
        _check_reshuffled(rank)


def _check_reshuffled(rank: Trace) -> None:
    """A whole epoch's set of images is another in each epoch: set_epoch was called."""
    counts = np.bincount(rank.epochs)
    whole = [e for e in range(len(counts)) if counts[e] == counts.max()]
    sets = [frozenset(rank.ids[rank.epochs == e].ravel().tolist()) for e in whole]
    if len(set(sets)) < len(sets):
        raise CheckFailure(
            "a rank reads the same shard in every epoch",
            expected=f"another share of the images in each of {len(sets)} epochs of rank {rank.rank}",
            actual=f"{len(set(sets))} different shares",
        )
