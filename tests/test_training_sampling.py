"""Which images make which batch: shards, groups, order, flips, resuming, replaying."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest

from fixtures import training_set
from tests.training_modules import refusal, sampling

Refusal = refusal.Refusal
WIDE, SQUARE = (300, 100), (100, 100)


def sizes_of(count, seed=0):
    random = np.random.RandomState(seed)
    return [training_set._shape(random) for _ in range(count)]


def trace(batches, epoch=0, start=0):
    batches.set_epoch(epoch)
    return [[tuple(pick) for pick in batch] for batch in batches.iterate(start)]


@pytest.mark.parametrize(
    ("size", "group"),
    [
        *(((49, 100), 0), ((50, 100), 1), ((79, 100), 2), ((80, 100), 3), ((99, 100), 3)),
        *(((100, 100), 4), ((640, 480), 5), ((640, 360), 6), ((199, 100), 6), ((200, 100), 7)),
    ],
)
def test_three_steps_an_octave_make_eight_groups(size, group):
    assert sampling.group_ids([size], 3).tolist() == [group]


def test_other_factors_make_two_groups_or_one():
    assert sampling.group_ids([(99, 100), SQUARE], 0).tolist() == [0, 1]
    assert sampling.group_ids([(99, 100), WIDE], -1).tolist() == [0, 0]


@pytest.mark.parametrize(("count", "world"), [(96, 1), (97, 2), (101, 8)])
def test_shards_are_disjoint_but_for_the_padding_and_miss_nothing(count, world):
    shards = [sampling.Batches(sizes_of(count), 4, rank, world).shard() for rank in range(world)]
    seen = [index for shard in shards for index in shard]
    assert len({len(shard) for shard in shards}) == 1 and set(seen) == set(range(count))
    assert len(seen) == count + -count % world


@pytest.mark.parametrize("count", [63, 64, 71, 97])
@pytest.mark.parametrize("world", [1, 2])
def test_every_batch_is_full_and_of_one_group(count, world):
    for rank in range(world):
        batches = sampling.Batches(sizes_of(count), 8, rank, world)
        drawn = trace(batches)
        assert len(drawn) == len(batches) == math.ceil(count / world) // 8
        for batch in drawn:
            assert len(batch) == 8 and len({batches.group(index) for index, _ in batch}) == 1
            assert {index for index, _ in batch} <= set(batches.shard())


class Dealt(sampling.Batches):
    """Batches of a shard in the order of the images."""

    def shard(self):
        return list(range(len(self.groups)))


@pytest.mark.parametrize(
    ("order", "batch", "expected"),
    [
        ("waswasawaa", 2, [[0, 3], [1, 4], [2, 5], [6, 8]]),
        ("awawawaa", 4, [[0, 2, 4, 6], [1, 3, 5, 1]]),  # the fuller rest, by its first image
        ("aaaaaw", 4, [[0, 1, 2, 3]]),
        ("aws", 3, [[0, 0, 0]]),
    ],
)
def test_batches_fill_in_order_and_the_rest_is_completed_from_its_group(order, batch, expected):
    sizes = [{"a": SQUARE, "w": WIDE, "s": (100, 300)}[letter] for letter in order]
    found = [[i for i, _ in picks] for picks in trace(Dealt(sizes, batch))]
    assert found[: len(expected)] == expected
    assert len(found) == len(order) // batch


def test_the_order_follows_from_seed_and_epoch_alone():
    make = [lambda seed=seed: sampling.Batches(sizes_of(80), 8, seed=seed) for seed in (0, 1)]
    np.random.seed(1)
    first = trace(make[0](), epoch=2)
    np.random.seed(2)
    assert trace(make[0](), epoch=2) == first
    others = [trace(make[0](), epoch=3), trace(make[1](), epoch=2), trace(make[0]())]
    assert all(sorted(other) != sorted(first) for other in others)


def test_the_global_generator_of_numpy_is_left_alone():
    before = np.random.get_state()[1].tobytes()
    trace(sampling.Batches(sizes_of(80), 8))
    assert np.random.get_state()[1].tobytes() == before


def test_the_drawn_order_is_the_recorded_one():
    picks = trace(sampling.Batches(sizes_of(64), 4, rank=1, world=2, seed=5), epoch=1)
    assert hashlib.sha256(json.dumps(picks).encode()).hexdigest()[:16] == "0bedffedb4386d36"


@pytest.mark.parametrize("start", [0, 1, 7, 12])
def test_a_resumed_epoch_goes_on_exactly_where_it_stopped(start):
    batches = sampling.Batches(sizes_of(96), 8, seed=4)
    assert trace(batches, epoch=3, start=start) == trace(batches, epoch=3)[start:]


def test_about_half_of_the_images_are_mirrored_and_others_in_the_next_epoch():
    batches = sampling.Batches(sizes_of(400), 8)
    flips = [dict(pick for batch in trace(batches, epoch) for pick in batch) for epoch in (0, 1)]
    assert all(160 < sum(flip.values()) < 240 for flip in flips)
    assert 100 < sum(flips[0][k] != flips[1][k] for k in flips[0].keys() & flips[1].keys()) < 300


@pytest.mark.parametrize(("flip", "mirrored"), [(0.0, {False}), (1.0, {True})])
def test_the_share_of_mirrored_images_is_the_plan_s(flip, mirrored):
    batches = trace(sampling.Batches(sizes_of(40), 8, flip=flip))
    assert {flipped for batch in batches for _, flipped in batch} == mirrored


def test_two_ranks_see_together_what_one_process_sees():
    alone = sampling.Batches([SQUARE] * 64, 16, seed=1)
    pair = [sampling.Batches([SQUARE] * 64, 8, rank, 2, seed=1) for rank in range(2)]
    for whole, *parts in zip(trace(alone), *map(trace, pair)):
        assert sorted(whole) == sorted(parts[0] + parts[1])


class Known:
    """As much of a dataset as a replay needs."""

    sizes = [SQUARE, WIDE, SQUARE]

    def index_of(self, image_id):
        return {10: 0, 20: 1, 30: 2}[image_id]


def test_a_replay_hands_out_exactly_its_batches_once():
    replay = sampling.Replay(Known(), [[[30, 1], [10, 0]], [[20, True], [20, False]]])
    replay.set_epoch(0)
    assert list(replay) == [[(2, True), (0, False)], [(1, True), (1, False)]]
    assert list(replay.iterate(1)) == list(replay)[1:] and len(replay) == 2
    assert [replay.group(k) for k in range(3)] == [4, 7, 4]
    with pytest.raises(Refusal, match="'replay' holds 2 iterations; add batches"):
        replay.set_epoch(1)
