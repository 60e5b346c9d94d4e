"""Decoding, resizing, normalising and padding beside the source's form; and a device kept busy."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import images
import numpy as np
import pytest

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "fixtures" / "data").glob("*.jpg"))
RULE = {"shortest": 800, "longest": 1333, "size": 1344}


def as_the_source_does(path: Path) -> np.ndarray:
    """Each step into an array of its own: copy, subtract, pad, transpose."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    target = images.resized_size(*pixels.shape[1::-1], shortest=800, longest=1333)
    pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR).copy().astype(np.float32)
    cv2.subtract(pixels, np.float64(np.float32(images.MEAN)).reshape(1, -1), pixels)
    below, right = 1344 - pixels.shape[0], 1344 - pixels.shape[1]
    pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("who", ["ours", "the source's"])
def bench_images(rival, who):
    cv2.setNumThreads(1)
    buffer = np.zeros((3, 1344, 1344), np.float32)

    def ours(path):
        return images.prepare(path, out=buffer, **RULE)[0]

    for path in PHOTOGRAPHS:
        assert ours(path).tobytes() == as_the_source_does(path).tobytes()
    one = ours if who == "ours" else as_the_source_does
    goal = f"<= {8 * len(PHOTOGRAPHS)} ms, peer >= 1.67x" * (who == "ours")
    name = f"{len(PHOTOGRAPHS)} photographs to 1344 px"
    rival(name, who, lambda: [one(path).shape for path in PHOTOGRAPHS], goal=goal)


@pytest.mark.parametrize(("rate", "goal"), [(19.9, 0.97), (50.0, 0.95)])
def bench_feeding_a_device(rival, rate, goal, capsys):
    """A device that sleeps for its latency: how much of the time it has something to do."""
    paths, latency = PHOTOGRAPHS * (60 // len(PHOTOGRAPHS)), 1 / rate

    def feed():
        for _ in images.stream(paths, **RULE):
            time.sleep(latency)

    start = time.perf_counter()
    feed()
    busy = len(paths) * latency / (time.perf_counter() - start)
    text = f"busy {100 * busy:.1f} % (goal {100 * goal:.0f} % on 2 free cores)"
    rival(f"feeding {rate} img/s, {len(paths)} images", "ours", feed, rounds=1, goal=text)
