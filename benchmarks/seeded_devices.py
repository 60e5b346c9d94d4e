"""A world of images with what CPU and emulator find there, and devices with something wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Union

import numpy as np

from fixtures.accuracy import found_by, shapes_set_of
from plugins.checks.accuracy import table_of
from plugins.checks.average_precision import statistics
from plugins.checks.grouping import pairs, places
from plugins.checks.matching import Matches, Objects, match, read_objects
from plugins.contracts import load_all
from plugins.drivers.lab import Lab
from plugins.drivers.subject import Subject

ROUNDS = 14  # of bisection, for a loss to three digits
FEWER = 1200  # images for what has to run on the emulator once more
CROWD = 9  # objects in one image, which then weighs more than twice as much as others


@dataclass(frozen=True)
class Device:
    """What a device finds on the first `images` of the world, and the mAP that it loses there.

    blind: the share of images that are lost entirely, drawn anew in each trial; one of all, or one of
    each. `linear` says that its loss is small enough for the linear view.
    """

    name: str
    table: np.ndarray
    lost: float
    images: int
    blind: Union[float, np.ndarray] = 0.0
    linear: bool = True


class World:
    """Images, their objects and what the CPU finds; `emulator` is what the emulator finds."""

    def __init__(self, objects: Objects, found: dict[str, np.ndarray]) -> None:
        self.objects, self.found = objects, found
        self._objects = places(objects.image, len(objects.images))
        self._tables: dict[int, tuple] = {}

    @classmethod
    def recorded(cls, folder: Path, subject: str, count: int) -> World:
        """Read from a folder, or found once and written there."""
        lab = Lab(interpreters={}, artifacts=folder, run=folder / "run", tell=print)
        one = Subject(load_all()[subject], lab)
        images, ids = shapes_set_of(lab, count), one.contract.category_ids
        try:
            makers = {
                "reference": lambda: found_by(one, "reference", images, [0]),
                "aie": lambda: found_by(one, "aie", images, [0]),
                "nomean": lambda: _without_mean(one, list(images.images.values())[:FEWER]),
            }
            found = {name: _kept(folder / f"{name}.npz", make) for name, make in makers.items()}
        finally:
            lab.close()
        short = shapes_set_of(lab, FEWER)
        tables = {
            name: table_of(short if name == "nomean" else images, arrays, ids)
            for name, arrays in found.items()
        }
        return cls(read_objects(images.annotations, list(images.images)), tables)

    def matched(self, drawn: np.ndarray, device: Device, lost: np.ndarray) -> tuple:
        """Matches of device and CPU on drawn images, each an image of its own; some are lost."""
        one, mine = pairs(drawn, self._objects)
        known = self.objects
        columns = (known.category, known.boxes, known.area, known.crowd)
        category, boxes, area, crowd = (column[mine] for column in columns)
        ids = np.arange(len(drawn))
        objects = Objects(ids, known.categories, one, category, boxes, area, crowd)
        table = self._drawn(device.table, drawn)
        kept = table[~np.isin(table[:, 0], lost)]
        return match(objects, kept), match(objects, self._drawn(self.found["reference"], drawn))

    def _drawn(self, table: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        if id(table) not in self._tables:
            image = np.searchsorted(self.objects.images, table[:, 0])
            self._tables[id(table)] = table, places(image, len(self.objects.images))
        image, rows = pairs(drawn, self._tables[id(table)][1])
        return np.column_stack([image, table[rows, 1:]])

    def whole(self, table: np.ndarray, count: int = 0) -> Matches:
        """Matches on all images, or on the first ones."""
        count = count or len(self.objects.images)
        every = self.objects
        few = every.image < count
        columns = (every.category, every.boxes, every.area, every.crowd)
        category, boxes, area, crowd = (column[few] for column in columns)
        images = every.images[:count]
        mine = table[np.isin(table[:, 0], images)]
        return match(
            Objects(images, every.categories, every.image[few], category, boxes, area, crowd), mine
        )

    def loss(self, table: np.ndarray, count: int = 0) -> float:
        """Points of mAP below the CPU's."""
        found, reference = self.whole(table, count), self.whole(self.found["reference"], count)
        return statistics(reference)["AP"] - statistics(found)["AP"]


def devices(world: World, margin: float) -> Iterator[Device]:
    """The good one, some that lose just the margin, and some that are broken."""
    good, every = world.found["aie"], len(world.objects.images)

    def seeded(name: str, spoil: Callable, target: float, most: float) -> Device:
        table = _tuned(world, lambda much: spoil(good, much), target, most)
        return Device(name, table, world.loss(table), every)

    yield Device("the emulator", good, world.loss(good), every)
    yield seeded("at the margin: boxes off", boxes_off, margin, 0.1)
    yield seeded("at the margin: scores off", scores_off, margin, 2.0)
    yield seeded("at the margin: detections lost", detections_lost, margin, 0.05)
    whole = statistics(world.whole(world.found["reference"]))["AP"]
    rest = margin - world.loss(good)
    yield Device("at the margin: images lost", good, margin, every, rest / whole, linear=False)
    reference = world.found["reference"]
    yield Device("at the margin: only images lost", reference, margin, every, margin / whole, False)
    share = margin / loss_of_crowds(world)
    blind = share * crowds(world)
    yield Device("at the margin: only crowds lost", reference, margin, every, blind, False)
    yield seeded("one point lost", boxes_off, 1.0, 0.2)
    yield seeded("one and a half points lost", boxes_off, 1.5, 0.25)
    yield seeded("three points lost", boxes_off, 3.0, 0.3)
    categories = world.objects.categories
    shifted = good.copy()
    shifted[:, 6] = np.roll(categories, -1)[np.searchsorted(categories, good[:, 6])]
    yield Device("labels shifted by one", shifted, world.loss(shifted), every, linear=False)
    wrong = world.found["nomean"]
    yield Device("mean not subtracted", wrong, world.loss(wrong, FEWER), FEWER, linear=False)


def crowds(world: World) -> np.ndarray:
    """(images,) whether an image is crowded."""
    return np.bincount(world.objects.image, minlength=len(world.objects.images)) >= CROWD


def loss_of_crowds(world: World, part: int = 10) -> float:
    """Points lost if all crowded images were, by what each tenth of them costs on the mean."""
    reference, images = world.found["reference"], world.objects.images[crowds(world)]
    tenths = [reference[~np.isin(reference[:, 0], images[k::part])] for k in range(part)]
    return sum(world.loss(table) for table in tenths)


def boxes_off(table: np.ndarray, much: float) -> np.ndarray:
    """Corners and sides off by a share of the box's size."""
    moved, random = table.copy(), np.random.RandomState(1)
    size = np.sqrt(table[:, 3:4] * table[:, 4:5]).clip(1)
    moved[:, 1:5] += random.normal(0, much, (len(table), 4)) * size
    moved[:, 3:5] = moved[:, 3:5].clip(0.5)
    return moved


def scores_off(table: np.ndarray, much: float) -> np.ndarray:
    """Scores off by a factor."""
    moved = table.copy()
    moved[:, 5] *= np.exp(np.random.RandomState(2).normal(0, much, len(table)))
    return moved


def detections_lost(table: np.ndarray, much: float) -> np.ndarray:
    """A share of the detections is missing."""
    return table[np.random.RandomState(3).rand(len(table)) >= much]


def _tuned(world: World, make: Callable, target: float, most: float) -> np.ndarray:
    """The table that loses so many points: `make(much)` of the right much, by bisection."""
    low, high = 0.0, most
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if world.loss(make(middle)) < target else (low, middle)
    return make((low + high) / 2)


def _without_mean(subject: Subject, paths: list[Path]) -> dict:
    """What the emulator finds where somebody forgot to subtract the mean."""
    side = subject.contract.input.sizes[0].side
    subject.runs.open("aie", side)
    rule = {**subject.contract.input.preprocess(side), "mean": [0.0, 0.0, 0.0]}
    given = {"backend": "aie", "path": str(subject.model()), "paths": [str(p) for p in paths]}
    shape = subject.contract.input.shape(side)
    return subject.lab.call(
        "infer", "detect", timeout=36000.0, shape=shape, preprocess=rule, **given
    ).arrays


def _kept(path: Path, make: Callable[[], dict]) -> dict:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    with np.load(path) as content:
        return {name: content[name] for name in content.files}
