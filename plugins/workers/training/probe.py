"""What is recorded of a run for others to judge: nothing is judged here.

Gradients, parameters and hashes are read between iterations; a run that is timed switches them off.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

MODULES = {
    "body": "backbone.body.",
    "fpn": "backbone.fpn.",
    "cls": "head.classification_head.",
    "box": "head.regression_head.",
}


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """SHA-256 over the bytes of tensors, in order."""
    sha = hashlib.sha256()
    for tensor in tensors:
        if tensor.numel():  # an image of nothing but a crowd has no boxes, which have no bytes
            flat = tensor.detach().cpu().contiguous().view(-1)
            sha.update(flat.view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def targets_digest(targets: list[dict]) -> str:
    """SHA-256 over image ids, boxes and labels of a batch, before anything was moved."""
    return digest(t[k] for t in targets for k in ("image_id", "boxes", "labels"))


class Probe:
    """Samples parameters and gradients of the first iterations, hashes states, watches growth.

    Args:
        steps: how many first iterations record gradients and parameters.
        samples: at most so many values of each tensor, evenly strided.
        hash_every: iterations between two hashes of the whole state; 0 for never.
        watch_every: iterations between two looks at memory, handles and threads; 0 for never.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        steps: int,
        samples: int,
        hash_every: int,
        watch_every: int = 0,
    ) -> None:
        self.network, self.steps = network, steps
        self.hash_every, self.watch_every = hash_every, watch_every
        self.index, start = [], 0
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                stride = -(-parameter.numel() // samples)
                stop = start + -(-parameter.numel() // stride)
                self.index.append([name, start, stop, parameter.numel(), stride])
                start = stop
        self.total = start
        self.parameters, self.gradients, self.norms = [], [], []
        self.parameter_hash, self.state_hash, self.buffer_hash = {}, {}, {}
        self.series = {k: [] for k in ("iteration", "allocated", "process", "handles", "threads")}

    def before(self, iteration: int) -> None:
        """Parameters as iteration `iteration` finds them."""
        if self.steps and iteration <= self.steps and str(iteration) not in self.parameter_hash:
            known = dict(self.network.named_parameters())
            self.parameters.append(self._sampled(known))
            self.parameter_hash[str(iteration)] = {k: digest([v]) for k, v in known.items()}

    def after_backward(self, iteration: int, gradients) -> None:
        """Unscaled gradients of one iteration: (name, tensor) pairs."""
        if iteration >= self.steps:
            return
        found = dict(gradients)
        zeros = {k: p for k, p in self.network.named_parameters() if p.requires_grad}
        whole = {k: found.get(k, torch.zeros_like(p)) for k, p in zeros.items()}
        self.gradients.append(self._sampled(whole))
        self.norms.append([_norm(found, prefix) for prefix in MODULES.values()])

    def after(self, done: int, device: str) -> None:
        """When `done` iterations are finished."""
        if self.hash_every and done % self.hash_every == 0:
            self.state_hash[str(done)] = digest(self.network.parameters())
            self.buffer_hash[str(done)] = digest(self.network.buffers())
        if self.watch_every and done % self.watch_every == 0:
            allocated = torch.cuda.memory_allocated() if device == "cuda" else 0
            row = (done, allocated, resident(), handles(), threading.active_count())
            for values, value in zip(self.series.values(), row):
                values.append(value)

    def arrays(self) -> dict[str, np.ndarray]:
        """The recorded samples by the names of the record."""
        return {
            "probe_parameters": np.array(self.parameters, np.float32).reshape(-1, self.total),
            "probe_gradients": np.array(self.gradients, np.float32).reshape(-1, self.total),
            "gradient_norms": np.array(self.norms, np.float64).reshape(-1, len(MODULES)),
        }

    def _sampled(self, tensors: dict) -> np.ndarray:
        parts = [
            tensors[name].detach().reshape(-1)[::stride].float().cpu().numpy()
            for name, _, _, _, stride in self.index
        ]
        return np.concatenate(parts)


def _norm(gradients: dict, prefix: str) -> float:
    mine = [g.double().square().sum() for k, g in gradients.items() if k.startswith(prefix)]
    return float(torch.stack(mine).sum().sqrt()) if mine else 0.0


def mode(network: nn.Module) -> dict:
    """What an evaluation must leave as it was: training flags, tensors, random state."""
    flags = [module.training for module in network.modules()]
    random = hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()
    return {
        "training": sum(flags),
        "flags": hashlib.sha256(bytes(flags)).hexdigest(),
        "digest": digest([*network.parameters(), *network.buffers()]),
        "rng": random,
    }


def resident() -> int:
    """Bytes of memory that this process needs now, without what its C allocator only keeps."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:  # glibc; what it keeps comes and goes by several MiB
        trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def resident_peak() -> int:
    """The most that it ever held."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def card_peak() -> int:
    """The most bytes of the card that were in use: the allocator's peak, and what lies beside it.

    The allocator may have given memory back since, so what is in use now is no peak; the context and
    the libraries' buffers beside it only grow.
    """
    free, total = torch.cuda.mem_get_info()
    beside = total - free - torch.cuda.memory_reserved()
    return min(torch.cuda.max_memory_reserved() + beside, total)


def handles() -> int:
    """Open file descriptors."""
    return len(os.listdir("/proc/self/fd"))


def write(folder: Path, rank: int, record: dict, arrays: dict[str, np.ndarray]) -> None:
    """The record of a rank: arrays first, so that a rank with a .json has everything."""
    draft = folder / f"rank{rank}.partial"
    with open(draft, "wb") as file:
        np.savez(file, **arrays)
    os.replace(draft, folder / f"rank{rank}.npz")
    draft.write_text(json.dumps(record), encoding="utf-8")
    os.replace(draft, folder / f"rank{rank}.json")
