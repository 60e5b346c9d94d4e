"""Decoding, resizing, normalising and padding beside the source's form; and a device kept busy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import feeding
import images
import numpy as np
import pytest
from feeding import PHOTOGRAPHS, RULE

HOUSE = Path(__file__).parents[1]


def as_the_source_does(path: Path) -> np.ndarray:
    """Each step into an array of its own: copy, subtract, pad, transpose."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    target = images.resized_size(*pixels.shape[1::-1], shortest=800, longest=1333)
    pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR).copy().astype(np.float32)
    cv2.subtract(pixels, np.float64(np.float32(images.MEAN)).reshape(1, -1), pixels)
    below, right = 1344 - pixels.shape[0], 1344 - pixels.shape[1]
    pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("who", ["ours", "the source's form", "decoding alone"])
def bench_images(rival, who):
    cv2.setNumThreads(1)
    buffer = np.zeros((3, 1344, 1344), np.float32)

    def ours(path):
        return images.prepare(path, out=buffer, **RULE)[0]

    for path in PHOTOGRAPHS:
        assert ours(path).tobytes() == as_the_source_does(path).tobytes()
    ways = {"ours": ours, "the source's form": as_the_source_does, "decoding alone": images.read}

    def work():
        for path in PHOTOGRAPHS:
            ways[who](path)

    rival("one photograph to 1344 px", who, work, each=len(PHOTOGRAPHS))


@pytest.mark.parametrize("who", ["ours", "the source's form, in turn"])
@pytest.mark.parametrize(("rate", "count"), [(19.9, 150), (50, 300)])
def bench_feeding_a_device(measured, who, rate, count):
    """A simulated asynchronous device: how much of the time it has something to do."""
    paths = feeding.photographs(count if who == "ours" else count // 5)
    ours = (tensor for tensor, _ in images.stream(paths, **RULE))
    device = feeding.Device(1 / rate)
    for tensor in ours if who == "ours" else map(as_the_source_does, paths):
        device.give(tensor)
    assert device.given == len(paths)
    measured(f"feeding a device of {rate:g} images/s", who, 100 * device.busy)


def bench_memory_of_feeding(measured):
    path = os.pathsep.join(map(str, (HOUSE, HOUSE / "plugins" / "workers")))

    def peak(count):
        words = [sys.executable, str(HOUSE / "benchmarks" / "feeding.py"), str(count)]
        environment = {**os.environ, "PYTHONPATH": path}
        return float(subprocess.check_output(words, env=environment))

    for who, count in {"ours": 500, "50 images": 50}.items():
        measured("peak memory of feeding 500 images", who, peak(count))
