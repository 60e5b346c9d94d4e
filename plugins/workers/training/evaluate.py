"""What a network finds in a held-out set, without a trace left on its training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Callable, Optional

import numpy as np
import torch
from dataset import Dataset, collate
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


def detect(
    network: torch.nn.Module,
    dataset: Dataset,
    device: torch.device | str,
    batch: int,
    rank: int = 0,
    world: int = 1,
    limit: Optional[int] = None,
    workers: int = 0,
    tell: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The detections of a torchvision RetinaNet in every image of the set.

    Every rank calls it and takes every world-th image; rank 0 gets the detections of all, sorted by
    image id, each image once, and the other ranks get none. Each module's mode is restored as it was
    (a frozen layer stays frozen), and no random generator of the training is touched.

    Args:
        batch: images at a time on a rank; limit: only so many images, the first by id.
        workers: processes that read images; tell: called after each batch.

    Returns float64 (n, 7): image_id, x, y, width, height, score, category_id; px of the stored image.
    """
    # Not the wrapper: it exchanges buffers at each forward pass, and ranks have unlike many.
    bare = network.module if isinstance(network, DistributedDataParallel) else network
    indices = range(len(dataset))[:limit][rank::world]
    # Not inference_mode: what a module keeps from here, as its anchors, must serve training later.
    with _evaluating(bare), torch.no_grad():
        batches = _loader(dataset, indices, batch, workers)
        mine = _found(bare, _telling(batches, tell), device)
    parts = [mine]
    if world > 1:
        parts = [None] * world
        distributed.all_gather_object(parts, mine)
    return _merged(parts) if rank == 0 else _table([])


@contextmanager
def _evaluating(network: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _loader(dataset: Dataset, indices: range, batch: int, workers: int):
    # A loader draws a seed each time it is iterated, by default from the generator of the training.
    own = torch.Generator()
    batches = [indices[k : k + batch] for k in range(0, len(indices), batch)]
    return torch.utils.data.DataLoader(
        dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers, generator=own
    )


def _telling(batches: Iterable, tell: Callable[[], None]) -> Iterator:
    for one in batches:
        yield one
        tell()  # when the next is asked for, so that whoever hangs in a batch has not told it


def _found(network: torch.nn.Module, loader, device) -> np.ndarray:
    rows = []
    for images, targets in loader:
        outputs = network([image.to(device) for image in images])
        rows += [_rows(target, output) for target, output in zip(targets, outputs)]
    return _table(rows)


def _rows(target: dict, output: dict) -> np.ndarray:
    boxes = output["boxes"].double().cpu().numpy()
    boxes[:, 2:] -= boxes[:, :2]
    scores, labels = (output[name].double().cpu().numpy()[:, None] for name in ("scores", "labels"))
    ids = np.full((len(boxes), 1), int(target["image_id"]), np.float64)
    return np.hstack([ids, boxes, scores, labels])


def _table(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty((0, 7)), *rows])


def _merged(parts: list[np.ndarray]) -> np.ndarray:
    """One table of several ranks'; an image that two ranks saw counts once."""
    kept: list[np.ndarray] = []
    for part in parts:
        known = np.concatenate([np.empty(0), *(table[:, 0] for table in kept)])
        kept.append(part[~np.isin(part[:, 0], known)])
    table = _table(kept)
    return table[np.argsort(table[:, 0], kind="stable")]
