"""Faults of the trainer's data: datasets, samplers and targets that are wrong in one way each."""

from __future__ import annotations

import coco
import dataset
import loop
import numpy as np
import sampling


def _changed(change):
    """Every (image, target) of the training set, changed; held-out images are read as they are."""
    read = dataset.Dataset.__getitem__

    def fault(self, pick):
        image, target = read(self, pick)
        return change(image, target, pick) if self.training else (image, target)

    _know_the_split()
    dataset.Dataset.__getitem__ = fault


def _know_the_split():
    make = dataset.Dataset.__init__

    def init(self, annotations, images, classes, train=True):
        self.training = train
        make(self, annotations, images, classes, train)

    dataset.Dataset.__init__ = init


def _targets(change):
    _changed(lambda image, target, pick: (image, {**target, **change(target)}))


def boxes_not_flipped():
    def fault(image, target, pick):
        width, boxes = image.shape[2], target["boxes"].clone()
        if pick[1]:
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        return image, {**target, "boxes": boxes}

    _changed(fault)


def image_not_flipped():
    _changed(lambda image, target, pick: (image.flip(2) if pick[1] else image, target))


def nothing_flipped():
    make = sampling.Batches.__init__
    sampling.Batches.__init__ = lambda self, *args, **more: make(self, *args, **{**more, "flip": 0})


def flips_said_not_done():
    """The sampler's decision is recorded, the image and its boxes stay as they are."""
    read = dataset.Dataset.__getitem__

    def fault(self, pick):
        image, target = read(self, pick if isinstance(pick, int) else (pick[0], False))
        target["flip"] = target["flip"].new_tensor(not isinstance(pick, int) and bool(pick[1]))
        return image, target

    dataset.Dataset.__getitem__ = fault


def labels_minus_one():
    _targets(lambda t: {"labels": t["labels"] - 1})


def labels_of_odd_iterations():
    """Permuted after they were noted, as a copy to a device could do it."""
    moved = loop.Loop._moved

    def fault(self, images, targets):
        images, targets = moved(self, images, targets)
        if self.done % 2:
            targets = [{**t, "labels": t["labels"].flip(0)} for t in targets]
        return images, targets

    loop.Loop._moved = fault


def labels_permuted():
    """Permuted in every third image of the set, by the reader."""
    _targets(lambda t: {"labels": t["labels"].flip(0)} if int(t["image_id"]) % 3 == 0 else {})


def first_object_only():
    _targets(lambda t: {"boxes": t["boxes"][:1], "labels": t["labels"][:1]})


def x_and_y_swapped():
    _targets(lambda t: {"boxes": t["boxes"][:, [1, 0, 3, 2]]})


def boxes_of_another_image():
    """What a filter of images makes of a list of targets that was not filtered."""
    make = dataset.Dataset.__init__

    def init(self, *args, **more):
        make(self, *args, **more)
        following = self.samples[1:] + self.samples[:1]
        self.samples = [
            one._replace(boxes=other.boxes, labels=other.labels)
            for one, other in zip(self.samples, following)
        ]

    dataset.Dataset.__init__ = init


def crowd_trained():
    build = coco._sample

    def fault(entry, images, found):
        found = found.copy()
        found["iscrowd"] = False
        return build(entry, images, found)

    coco._sample = fault


def empty_images_trained():
    make = dataset.Dataset.__init__
    dataset.Dataset.__init__ = lambda self, a, i, c, train=True: make(self, a, i, c, False)


def rgb_as_bgr():
    _changed(lambda image, target, pick: (image.flip(0), target))


def image_not_scaled():
    _changed(lambda image, target, pick: (image * 255, target))


def image_of_another_size():
    """The image is resized by the reader, its boxes are not."""
    import torch

    def fault(image, target, pick):
        small = torch.nn.functional.interpolate(image[None], scale_factor=0.9)[0]
        return small, target

    _changed(fault)


def not_shuffled():
    def shard(self):
        return list(range(len(self.groups)))[self.rank :: self.world]

    sampling.Batches.shard = shard


def same_batch():
    iterate = sampling.Batches.iterate

    def fault(self, start=0):
        first = next(iterate(self))
        return iter([first] * (len(self) - start))

    sampling.Batches.iterate = fault


def epoch_not_set():
    sampling.Batches.set_epoch = lambda self, epoch: None


def ungrouped():
    make = sampling.Batches.__init__

    def init(self, sizes, **more):
        make(self, sizes, **more)
        self.groups_said = self.groups
        self.groups = np.zeros_like(self.groups)

    sampling.Batches.__init__ = init
    sampling.Batches.group = lambda self, index: int(self.groups_said[index])


def images_twice():
    """An epoch in which half of the images come twice and the others never."""
    shard = sampling.Batches.shard

    def fault(self):
        half = shard(self)[: -(-len(self.groups) // self.world) // 2]
        return half + half

    sampling.Batches.shard = fault


def last_batch_lost():
    sampling.Batches.__len__ = lambda self: (
        sampling.epoch_length(len(self.groups), self.batch, self.world) - 1
    )


def same_shard():
    shard = sampling.Batches.shard

    def fault(self):
        rank, self.rank = self.rank, 0
        try:
            return shard(self)
        finally:
            self.rank = rank

    sampling.Batches.shard = fault


def shuffled_by_rank():
    """Each rank permutes the set by itself, so that their shares overlap."""
    shard = sampling.Batches.shard

    def fault(self):
        seed, self.seed = self.seed, self.seed + self.rank
        try:
            return shard(self)
        finally:
            self.seed = seed

    sampling.Batches.shard = fault
