"""Which images make which batch: a function of (seed, epoch, rank), drawn with NumPy alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from refusal import Refusal

if TYPE_CHECKING:
    from dataset import Dataset  # brings torch, which nothing here needs


class Pick(NamedTuple):
    """One image of a batch: its place in the dataset, and whether it is mirrored."""

    index: int
    flip: bool


def group_ids(sizes: Sequence[tuple[int, int]], factor: int) -> np.ndarray:
    """int64 (n,): the aspect-ratio group of each (width, height).

    With factor k the 2k+1 borders run from 1:2 to 2:1 in equal steps of the logarithm, so there are
    2k+2 groups; a ratio on a border is of the group above. Factor 0 parts at 1:1, a negative one
    makes one group of all.
    """
    if factor < 0:
        return np.zeros(len(sizes), np.int64)
    borders = 2 ** np.linspace(-1, 1, 2 * factor + 1) if factor else np.ones(1)
    widths, heights = np.array(sizes, np.float64).reshape(-1, 2).T
    return np.searchsorted(borders, widths / heights, side="right").astype(np.int64)


def epoch_length(images: int, batch: int, world: int = 1) -> int:
    """Iterations of a rank in an epoch: its share of the images, padded, in whole batches."""
    return -(-images // world) // batch


class Batches:
    """The batches of one rank and epoch, as torch's DataLoader takes them.

    A permutation of all images, drawn from (seed, epoch), is padded with its own head until the
    ranks divide it, and dealt out in turn: what the ranks see is disjoint but for the padding. Within a
    rank an image waits until its group fills a batch; groups that did not fill one at the end are
    completed by their own first images, the fullest first, until the epoch has its
    floor(images of the rank / batch) batches. Whether image i is mirrored in an epoch depends on
    (seed, epoch, i) and not on the rank, so that one rank with a batch of 16 sees what two with 8 see.

    Args:
        sizes: (width, height) of each image; batch: images a rank and iteration.
        flip: share of mirrored images; group_factor: see `group_ids`.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        batch: int,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        flip: float = 0.5,
        group_factor: int = 3,
    ) -> None:
        self.groups = group_ids(sizes, group_factor)
        self.batch, self.rank, self.world = batch, rank, world
        self.seed, self.flip, self.group_factor = seed, flip, group_factor
        self.epoch = 0

    def __len__(self) -> int:
        return epoch_length(len(self.groups), self.batch, self.world)

    def __iter__(self) -> Iterator[list[Pick]]:
        return self.iterate()

    def group(self, index: int) -> int:
        """The aspect-ratio group of an image."""
        return int(self.groups[index])

    def set_epoch(self, epoch: int) -> None:
        """From now on, iterate over this epoch."""
        self.epoch = epoch

    def iterate(self, start: int = 0) -> Iterator[list[Pick]]:
        """The batches of this epoch from number `start` on, the same as without the skip."""
        count = len(self.groups)
        draws = np.random.RandomState([self.seed, self.epoch, 1]).random_sample(count)
        flips = draws < self.flip
        for number, members in enumerate(self._grouped(self.shard())):
            if number >= start:
                yield [Pick(index, bool(flips[index])) for index in members]

    def shard(self) -> list[int]:
        """What this rank sees in this epoch, in order, before it is grouped."""
        order = np.random.RandomState([self.seed, self.epoch]).permutation(len(self.groups))
        missing = -len(order) % self.world
        return np.resize(order, len(order) + missing)[self.rank :: self.world].tolist()

    def _grouped(self, shard: list[int]) -> Iterator[list[int]]:
        waiting, seen = defaultdict(list), defaultdict(list)
        left = len(self)
        for index in shard:
            group = int(self.groups[index])
            waiting[group].append(index)
            seen[group].append(index)
            if len(waiting[group]) == self.batch:
                yield waiting.pop(group)
                left -= 1
        for group in sorted(waiting, key=lambda k: len(waiting[k]), reverse=True)[:left]:
            again = np.resize(seen[group], self.batch - len(waiting[group]))
            yield waiting[group] + again.tolist()


class Replay:
    """Exactly the given batches of this rank, in place of drawn ones; one epoch long.

    Args:
        data: the dataset; of it are used `sizes` and `index_of`.
        batches: iteration -> [(image id, flip), ...].
    Raises Refusal for an image id that the set does not have.
    """

    def __init__(
        self, data: Dataset, batches: Sequence[Sequence[tuple[int, bool]]], group_factor: int = 3
    ) -> None:
        self.groups = group_ids(data.sizes, group_factor)
        self.batches = [
            [Pick(data.index_of(image_id), bool(flip)) for image_id, flip in batch]
            for batch in batches
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Pick]]:
        return self.iterate()

    def group(self, index: int) -> int:
        """The aspect-ratio group of an image."""
        return int(self.groups[index])

    def set_epoch(self, epoch: int) -> None:
        """Raises Refusal after the one epoch that there is."""
        if epoch:
            raise Refusal(
                f"plan: field 'replay' holds {len(self)} iterations; add batches or ask for fewer "
                "iterations"
            )

    def iterate(self, start: int = 0) -> Iterator[list[Pick]]:
        """The batches from number `start` on."""
        return iter(self.batches[start:])
