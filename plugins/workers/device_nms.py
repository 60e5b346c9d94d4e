"""The NMS operator alone, compiled for the NPU: what the device decides, without a network."""

from __future__ import annotations

import aie
import archive
import torch


def run(arrays, *, path: str, library: str, options: dict) -> tuple:
    """Compile an exported operator for the shapes of these arrays and run it once.

    Args:
        arrays: bbox (1, N, C, 4) and scores (1, N, C), float32.
    Returns:
        what was left in torch, where our own kernel answers in the device's place;
        boxes (M, 4) float32, labels (M, 1), scores (M,) float32.
    """
    aie.load_operators(library)
    inputs = [torch.from_numpy(arrays[name]) for name in ("bbox", "scores")]
    compiled, *_ = aie.compile_module(archive.load(path), [list(x.shape) for x in inputs], options)
    found, _ = aie.Engine(compiled).step(*inputs)
    left = {"left_in_torch": aie.left_in_torch(compiled)}
    return left, {
        name: found[f"output_{i}"] for i, name in enumerate(("boxes", "labels", "scores"))
    }


OPERATIONS = {"run": run}
