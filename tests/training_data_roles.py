"""Operations on the training worker's data modules, for self-tests that need torch."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "workers" / "training"))

import evaluate
import probe
from dataset import Dataset, collate
from refusal import Refusal
from sampling import Batches, Replay
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def samples(arrays, data, picks):
    """Images and targets of some picks, and their dtypes."""
    dataset, kinds, out = Dataset(**data), {}, {}
    for k, pick in enumerate(picks):
        image, target = dataset[tuple(pick)]
        for name, tensor in {"image": image, **target}.items():
            kinds[name] = str(tensor.dtype)
            out[f"{name}{k}"] = tensor.numpy()
    return {"kinds": kinds, "ids": dataset.ids, "length": len(dataset)}, out


def feed(arrays, data, workers, replay=()):
    """Image ids and flips of an epoch, as the DataLoader hands them out, and as drawn."""
    dataset = Dataset(**data)
    batches = Replay(dataset, replay) if replay else Batches(dataset.sizes, 2, seed=3)
    loader = torch.utils.data.DataLoader(
        dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers
    )
    fed = [[[int(t["image_id"]), bool(t["flip"])] for t in targets] for _, targets in loader]
    drawn = [[[dataset.ids[index], flip] for index, flip in batch] for batch in batches]
    return {"fed": fed, "drawn": drawn}, {}


def refused(arrays, data, workers):
    """The sentence of a refusal that arises where images are read."""
    try:
        feed(arrays, data, workers)
    except Refusal as error:
        return {"sentence": str(error)}, {}
    return {"sentence": ""}, {}


class Finder(nn.Module):
    """Finds one object an image: its brightness is the score, its category the batch's size."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.frozen, self.live = nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3)
        self.fails, self.seen = fails, 0

    def forward(self, images):
        self.seen += len(images)
        assert not any(module.training for module in self.modules())
        assert not torch.is_grad_enabled()
        if self.fails:
            raise RuntimeError("no memory")
        return [
            {
                "boxes": torch.tensor([[1.0, 2.0, *image.shape[:0:-1]]]),
                "scores": image.mean().reshape(1),
                "labels": torch.tensor([len(images)]),
            }
            for image in images
        ]


def detect(arrays, data, workers, fails=False, limit=None):
    """A table, and what the evaluation left of the modes and of torch's generator."""
    network, dataset = Finder(fails), Dataset(**data, train=False)
    before, error, table = _traces(network), "", np.empty((0, 7))
    try:
        table = evaluate.detect(network, dataset, "cpu", 3, limit=limit, workers=workers)
    except RuntimeError as failure:
        error = str(failure)
    after = _traces(network)
    return {"before": before, "after": after, "error": error, "ids": dataset.ids}, {"table": table}


def detect_on_two(arrays, data, folder):
    """The tables that two processes hold after a common evaluation, and how many images each saw."""
    torch.multiprocessing.start_processes(_rank, (data, folder), 2, start_method="fork")
    return {}, {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}


class Wrapper(DistributedDataParallel):
    """Exchanges buffers at each forward pass, which ranks with unlike many images must not do."""

    def forward(self, *inputs):
        raise RuntimeError("the wrapper was called")


def _rank(rank, data, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    network = Wrapper(Finder())
    table = evaluate.detect(network, Dataset(**data, train=False), "cpu", 1, rank, 2)
    np.save(f"{folder}/rank{rank}.npy", table)
    np.save(f"{folder}/seen{rank}.npy", network.module.seen)
    os._exit(0)  # as a rank of the trainer ends: see its _leave


def merge(arrays):
    """Two ranks' tables as one."""
    return {}, {"table": evaluate._merged([arrays["a"], arrays["b"]])}


def card_peak(arrays, used, reserved, most, total):
    """Of a card of so many bytes, so many in use and kept by the allocator, who once kept more."""
    said = {
        "mem_get_info": (total - used, total),
        "memory_reserved": reserved,
        "max_memory_reserved": most,
    }
    for name, value in said.items():
        setattr(torch.cuda, name, lambda value=value: value)
    return {"peak": probe.card_peak()}, {}


def _traces(network):
    modes = [module.training for module in network.modules()]
    return [modes, hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()]


OPERATIONS = {
    f.__name__: f for f in (samples, feed, refused, detect, detect_on_two, merge, card_peak)
}
