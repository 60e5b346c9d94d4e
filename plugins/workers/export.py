"""The export worker: builds the network, traces it to TorchScript, answers for the oracles."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from pathlib import Path

import archive
import detectron2_install
import detectron2_model
import model
import numpy as np
import ops
import oracle
import recipe as rewrite
import seeded
import stages as parity
import torch
import torchvision
import weights as sources
from protocol import Refusal

_networks: dict = {}


def versions(arrays) -> tuple:
    """Versions of what exports."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "detectron2": detectron2_install.identity(),
    }, {}


def export(
    arrays,
    *,
    spec: dict,
    recipe: dict,
    weights: dict,
    size: int,
    library: str,
    out: str,
    trace_with: str = "zeros",
    source: str = "rebuilt",
) -> tuple:
    """Trace the network with an image of `size` and write TorchScript to `out`, atomically.

    Args:
        trace_with: "zeros", "noise" or "nan"; what is traced must not matter.
        source: "rebuilt" (model.py) or "detectron2" (its own classes, with the same weights).
    """
    ops.load({}, path=library)
    network = _network(spec, weights)
    image = {
        "zeros": lambda: torch.zeros(1, 3, size, size),
        "noise": lambda: torch.randn(1, 3, size, size) * 50,
        "nan": lambda: torch.full((1, 3, size, size), float("nan")),
    }[trace_with]()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if source == "detectron2":
            exported = detectron2_model.rewritten(network.state_dict(), recipe, library)
        else:
            exported = rewrite.Recipe(network, recipe)
        traced = torch.jit.trace(exported.eval(), (image,), check_trace=False)
    _save(traced, out)
    return {}, {}


def export_nms(arrays, *, attributes: list, library: str, out: str) -> tuple:
    """Trace the NMS operator alone, between the casts that surround it in the model."""
    ops.load({}, path=library)
    boxes, scores = (torch.from_numpy(arrays[name]) for name in ("bbox", "scores"))
    traced = torch.jit.trace(rewrite.Suppression(attributes), (boxes, scores), check_trace=False)
    _save(traced, out)
    return {}, {}


def describe(arrays, *, path: str, library: str) -> tuple:
    """Census of an exported file, by whoever made it."""
    ops.load({}, path=library)
    return archive.describe(archive.load(path)), {}


def fingerprint(arrays, *, path: str, library: str) -> tuple:
    """Hashes by which two exports of the same network can be compared."""
    ops.load({}, path=library)
    return archive.fingerprint(archive.load(path)), {}


def identify(arrays, *, path: str, library: str, specs: dict) -> tuple:
    """For each architecture the share of its tensors that the file has, by name and shape."""
    ops.load({}, path=library)
    found = {k: v.shape for k, v in sources.read(Path(path), "archive").items()}
    shares = {}
    for name, spec in specs.items():
        expected = model.RetinaNet(spec).state_dict()
        same = sum(found.get(k) == tuple(v.shape) for k, v in expected.items())
        shares[name] = same / len(expected)
    return shares, {}


def compare_weights(arrays, *, path: str, library: str, spec: dict, weights: dict) -> tuple:
    """The archive's weights beside the declared ones, and what a loaded head looks like."""
    ops.load({}, path=library)
    network = model.RetinaNet(spec)
    found = sources.read(Path(path), "archive")
    state = sources.check_complete(found, network, Path(path))
    seeds = weights["kind"] == "seeded"
    wanted = _network(spec, weights).state_dict() if seeds else sources.declared(network, weights)
    declared = {k: v.numpy() for k, v in wanted.items()}
    differences = sources.compare({k: v.numpy() for k, v in state.items()}, declared)
    return {**differences, **sources.facts(found, Path(path))}, {}


def inspect_weights(arrays, *, path: str) -> tuple:
    """Hashes of a weights file, and what its tensors look like."""
    content = Path(path).read_bytes() if os.path.isfile(path) else b""
    known = sources.facts(sources.read(Path(path), "file"), Path(path))
    hashes = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha256")}
    return {**hashes, **known}, {}


def judge(
    arrays,
    *,
    spec: dict,
    recipe: dict,
    stock: dict,
    weights: dict,
    band: float,
    library: str,
) -> tuple:
    """The two CPU oracles on one prepared image; see oracle.judge for the arrays."""
    ops.load({}, path=library)
    network = _network(spec, weights).double()
    try:
        return {}, oracle.judge(network, arrays["image"], recipe, stock, band)
    finally:
        network.float()


def stages(
    arrays,
    *,
    spec: dict,
    stock: dict,
    weights: dict,
    samples: int,
    source: str = "rebuilt",
    library: str = "",
) -> tuple:
    """Samples of each stage in float64 on one prepared image, and stock detections, as float32."""
    network = _network(spec, weights)
    if source == "detectron2":
        return {}, detectron2_model.stages(network.state_dict(), library, arrays["image"], samples)
    network = network.double()
    try:
        return {}, parity.rebuilt(network, arrays["image"], stock, samples)
    finally:
        network.float()


def calibrate(arrays, *, spec: dict, seed: int) -> tuple:
    """Measure the statistics that seeded weights need; arrays: prepared images, any names."""
    network = model.RetinaNet(spec).eval()
    seeded.draw(network, seed)
    images = [torch.from_numpy(arrays[name]) for name in sorted(arrays)]
    return {}, seeded.calibrate(network, images)


def _save(traced, out: str) -> None:
    partial = Path(out).with_name(f"{Path(out).name}.{os.getpid()}")
    torch.jit.save(traced, str(partial))
    os.replace(partial, out)


def _network(spec: dict, weights: dict) -> model.RetinaNet:
    """One network per weights, kept: building 38 million parameters twice helps nobody."""
    key = repr((spec, weights, _stamp(weights)))
    if key not in _networks:
        _networks.clear()
        network = model.RetinaNet(spec).eval()
        sources.fill(network, weights)
        _networks[key] = network.requires_grad_(False)
    return _networks[key]


def _stamp(weights: dict) -> list:
    paths = [weights[k] for k in ("path", "calibration") if k in weights]
    if not all(os.path.isfile(p) for p in paths):
        raise Refusal(f"{paths[0]}: no such file; give the path of a weights file")
    return [(p, os.stat(p).st_mtime_ns, os.path.getsize(p)) for p in paths]


OPERATIONS = {
    "versions": versions,
    "export": export,
    "export_nms": export_nms,
    "describe": describe,
    "fingerprint": fingerprint,
    "identify": identify,
    "compare_weights": compare_weights,
    "inspect_weights": inspect_weights,
    "judge": judge,
    "stages": stages,
    "calibrate": calibrate,
}
