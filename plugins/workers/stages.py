"""What a network computes on its way: a fixed sample of each stage, by which two can be compared.

Stages are captured by the names that the state dict gives to the modules, so that any network with
detectron2's names can be sampled: bottom-up stages, pyramid levels, then per level class logits,
box deltas, anchors and decoded boxes; last the stock detections. The network runs in float64, so
that what two machines say differs by nothing but the float32 in which it is written down.
"""

from __future__ import annotations

import zlib

import numpy as np
import oracle
import recipe as rewrite
import torch

LEVELS = (3, 4, 5, 6, 7)
MODULES = {
    **{f"res{n}": f"backbone.bottom_up.res{n}" for n in (2, 3, 4, 5)},
    **{f"p{n}": f"backbone.fpn_output{n}" for n in (3, 4, 5)},
    **{f"p{n}": f"backbone.top_block.p{n}" for n in (6, 7)},
}


def rebuilt(network, image: np.ndarray, stock: dict, samples: int) -> dict:
    """Stages of a model.RetinaNet in float64, on an image (1, 3, S, S)."""
    return sampled(
        network,
        network,
        image,
        rewrite.decode,
        lambda logits, deltas, anchors: oracle.stock_result(logits, deltas, anchors, stock),
        samples,
    )


def sampled(network, named, image: np.ndarray, decode, detect, samples: int) -> dict:
    """Stage -> float32 values at `samples` fixed places of it, in the order of computation.

    Args:
        network: image to logits, deltas and anchors per level, in float64.
        named: the module whose submodules bear detectron2's names (the network, or a part of it).
        decode: deltas and anchors (R, 4) to boxes (R, 4).
        detect: logits, deltas, anchors of one image to a dict of stock detections.
    """
    with torch.no_grad():
        (logits, deltas, anchors), taken = _run(network, named, torch.from_numpy(image).double())
        parts = {
            "logits": logits,
            "deltas": deltas,
            "anchors": anchors,
            "boxes": [decode(d[0], a) for d, a in zip(deltas, anchors)],
        }
        taken.update({f"{p}{n}": x for p in parts for n, x in zip(LEVELS, parts[p])})
        found = detect([x[0] for x in logits], [x[0] for x in deltas], anchors)
    out = {stage: _sample(stage, taken[stage], samples) for stage in (*MODULES, *_heads(parts))}
    out.update({f"stock_{k}": _float32(found[k]) for k in ("labels", "scores", "boxes")})
    return out


def _run(network, named, image) -> tuple:
    """What the network returns, and what its named stages put out on the way."""
    taken: dict = {}
    modules = dict(named.named_modules())
    hooks = [
        modules[path].register_forward_hook(
            lambda _, __, out, stage=stage: taken.update({stage: out})
        )
        for stage, path in MODULES.items()
    ]
    try:
        return network(image), taken
    finally:
        for hook in hooks:
            hook.remove()


def _heads(parts) -> list:
    return [f"{part}{n}" for part in parts for n in LEVELS]


def _sample(stage: str, values: torch.Tensor, samples: int) -> np.ndarray:
    """Values at places that follow from the stage's name and size alone."""
    places = np.random.RandomState(zlib.crc32(stage.encode())).randint(0, values.numel(), samples)
    return _float32(values.reshape(-1)[torch.from_numpy(places)])


def _float32(values: torch.Tensor) -> np.ndarray:
    return values.to(torch.float32).numpy()
