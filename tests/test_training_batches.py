"""Batches by the sampler's rules, and every way to feed others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plugins.checks import training_batches as batches_checks
from tests.training_records import batches, failing


@pytest.mark.parametrize(("images", "groups"), [(160, 1), (160, 2), (160, 7), (167, 5)])
@pytest.mark.parametrize("world", [1, 2])
def test_the_sources_sampler_obeys_its_rules(images, groups, world):
    ranks = [
        batches(images=images // world * world, groups=groups, world=world, rank=k)
        for k in range(world)
    ]
    batches_checks.check_shards(ranks, images=images // world * world)
    for rank in ranks:
        batches_checks.check_epochs(rank, images=images // world * world, world=world)
        batches_checks.check_groups(rank, {i: i % groups for i in range(1, images + 1)})
        batches_checks.check_trace(rank, rank)


def test_a_resumed_trace_begins_within_an_epoch():
    whole = batches()
    late = {k: getattr(whole, k)[7:] for k in ("ids", "flips", "groups", "epochs", "targets")}
    late = dataclasses.replace(whole, **late)
    batches_checks.check_epochs(late, images=160, world=1, start=7)
    assert "another length" in failing(batches_checks.check_epochs, late, images=160, world=1).what


def test_batches_that_are_never_shuffled_have_one_order():
    failure = failing(batches_checks.check_epochs, batches(shuffle=False), images=160, world=1)
    assert failure.what == "two epochs have the same order"


def test_a_forgotten_set_epoch_is_found():
    ranks = [batches(world=2, rank=k, set_epoch=False) for k in (0, 1)]
    assert "same order" in failing(batches_checks.check_epochs, ranks[0], images=160, world=2).what
    assert "same shard" in failing(batches_checks.check_shards, ranks, images=160).what


def test_ranks_that_read_the_same_shard_are_found():
    ranks = [batches(world=2, rank=k, shard=False) for k in (0, 1)]
    failure = failing(batches_checks.check_shards, ranks, images=160)
    assert failure.what == "ranks read the same images"
    assert failure.actual == "75 images are read by more than one of 2 ranks"


def test_padding_is_the_only_image_that_two_ranks_may_share():
    right = [batches(images=160, world=2, rank=k, groups=1, batch=8) for k in (0, 1)]
    ids = right[1].ids.copy()
    ids[0, 0] = right[0].ids[0, 0]
    padded = [right[0], dataclasses.replace(right[1], ids=ids)]
    batches_checks.check_shards(padded, images=159)
    failing(batches_checks.check_shards, padded, images=160)


def test_the_same_batch_again_is_found():
    right = batches(groups=1)
    same = dataclasses.replace(right, ids=np.tile(right.ids[:1], (len(right.ids), 1)))
    failure = failing(batches_checks.check_epochs, same, images=160, world=1)
    assert failure.what == "an epoch repeats images"
    assert failure.actual == "16 of 16 were given before, in batch 1"


def test_an_image_given_twice_in_the_middle_of_an_epoch_is_found():
    right = batches()
    ids = right.ids.copy()
    ids[2, 3] = ids[0, 0]
    failing(batches_checks.check_epochs, dataclasses.replace(right, ids=ids), images=160, world=1)


def epoch_of_four(*rows: tuple) -> batches_checks.Trace:
    """One epoch of 12 images in batches of 4, odd and even ids a group each."""
    ids = np.array(rows)
    nothing = np.zeros(len(ids), int)
    return batches_checks.Trace(0, ids, ids > 99, ids[:, 0] % 2, nothing, ["" for _ in rows])


def test_only_the_last_batch_of_a_group_is_filled():
    even, odd = (2, 4, 6, 8), (1, 3, 5, 7)
    named = {"images": 12, "world": 1}
    batches_checks.check_epochs(epoch_of_four(even, odd, (9, 11, 1, 3)), **named)
    batches_checks.check_epochs(epoch_of_four(even, (9, 11, 9, 11), (10, 2, 4, 6)), **named)
    for wrong in (
        ((9, 11, 9, 11), even, odd),  # before complete ones
        (even, (9, 11, 9, 11), (1, 3, 1, 3)),  # twice of one group
        (even, odd, (1, 3, 5, 7)),  # with nothing new
    ):
        failure = failing(batches_checks.check_epochs, epoch_of_four(*wrong), **named)
        assert failure.what == "an epoch repeats images"


def test_epochs_by_the_length_of_the_data_set_are_found():
    failure = failing(batches_checks.check_epochs, batches(), images=176, world=1)
    assert failure.what == "the epochs have another length"


def test_a_batch_of_two_groups_is_found():
    right, group_of = batches(), {i: i % 2 for i in range(1, 161)}
    failing(batches_checks.check_groups, right, {**group_of, int(right.ids[4, 2]): 5})
    swapped = dataclasses.replace(right, groups=right.groups[::-1].copy())
    failing(batches_checks.check_groups, swapped, group_of)


def test_groups_are_bins_of_the_logarithm():
    found = batches_checks.aspect_groups(
        np.array([1, 100, 640, 480, 500, 200, 300]), np.array([9, 201, 480, 640, 500, 100, 100]),
        factor=3,
    )  # fmt: skip
    assert found.tolist() == [0, 0, 5, 2, 4, 7, 7]


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("ids", lambda x: np.roll(x, 1, 0), "batches have other images"),
        ("ids", lambda x: x[:, ::-1], "batches have other images"),
        ("flips", lambda x: ~x, "batches have other flips"),
        ("groups", lambda x: x + 1, "batches have other groups"),
        ("epochs", lambda x: x[::-1], "batches have other epochs"),
        ("targets", lambda x: [*x[:7], "class permuted", *x[8:]], "batches have other targets"),
        ("ids", lambda x: x[:-1], "the trace of ids has another shape"),
    ],
)
def test_another_trace_than_the_recorded_one_fails(name, change, what):
    golden = batches()
    found = dataclasses.replace(golden, **{name: change(getattr(golden, name))})
    assert failing(batches_checks.check_trace, found, golden).what == what


def test_a_permutation_of_labels_on_one_iteration_is_named():
    golden = batches()
    found = dataclasses.replace(golden, targets=[*golden.targets[:7], "x", *golden.targets[8:]])
    failure = failing(batches_checks.check_trace, found, golden)
    assert "in iteration 7 of rank 0" in failure.expected
    assert failure.actual.endswith("1 of 30 iterations differ")
