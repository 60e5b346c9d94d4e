"""Good models with weights of any seed; a worker role of its own, beside tests/faulty_models.py."""

from __future__ import annotations

import fault_builders as make
import faulty_models
import ops
import torch


def build_one(arrays, *, kind: str, seed: int, path: str, library: str, **subject) -> tuple:
    """Write one of faulty_models.GOOD; weights that are nudged are nudged by `seed`."""
    ops.load({}, path=library)
    manual_seed = torch.manual_seed
    with make.replaced(torch, manual_seed=lambda fixed: manual_seed(seed or fixed)):
        torch.jit.save(faulty_models.GOOD[kind](make.Bench(**subject)), path)
    return {}, {}


OPERATIONS = {"build_one": build_one}
