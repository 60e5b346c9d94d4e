"""The inference worker: runs an exported model on the CPU or compiled for the NPU."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import aie
import archive
import identity
import images
import numpy as np
import result_files
import torch
import torchvision
from protocol import Refusal

# Few runners stay open, the last used ones: a full-size engine holds a gigabyte.
KEPT = 4
LATE_S = 0.02
_runners: dict = {}
_prepared: dict = {}


def versions(arrays, *, library: str) -> tuple:
    """Versions of what infers, and whether its NPU runtime is real."""
    aie.load_operators(library)
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "runtime": aie.version(),
        "emulated": aie.emulated(),
    }, {}


def decisive(arrays, *, library: str) -> tuple:
    """What decides the bits of a pass here, and whether the NPU is emulated."""
    aie.load_operators(library)
    emulated = aie.emulated()  # binds the runtime: its code is part of the identity
    return {"emulated": emulated, "identity": identity.identity()}, {}


def describe(arrays, *, path: str, library: str) -> tuple:
    """Load the file in this torch and take the census of its graph."""
    aie.load_operators(library)
    return archive.describe(archive.load(path)), {}


def open_model(
    arrays, *, backend: str, path: str, library: str, shape: list, options: dict
) -> tuple:
    """Make a runner ready for one input shape; compiles where the backend is `aie`.

    An opened one only becomes the last that would be closed again.
    """
    key = (backend, path, tuple(shape))
    runner, info = _runners.pop(key, None) or _opened(backend, path, library, shape, options)
    while len(_runners) >= KEPT:
        _runners.pop(next(iter(_runners)))
    _runners[key] = runner, info
    return info, {}


def _opened(backend: str, path: str, library: str, shape: list, options: dict) -> tuple:
    """A runner, and what there is to tell of it."""
    aie.load_operators(library)
    if backend == "reference":
        return aie.Reference(archive.load(path)), {}
    compiled, unknown, told = aie.compile_module(archive.load(path), [shape], options)
    left = aie.left_in_torch(compiled)
    info = {"left_in_torch": left, "options_not_known": unknown, "options": told}
    return aie.Engine(compiled), info


def run(arrays, *, backend: str, path: str, shape: list, strided: bool = False) -> tuple:
    """One prepared image (1, 3, S, S) through an opened model.

    Args:
        strided: hand it over as a view whose memory is laid out NHWC.
    """
    image = torch.from_numpy(arrays["image"])
    if strided:
        image = image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    return {}, _runner(backend, path, shape).step(image)[0]


def hold_outputs(arrays, *, path: str, shape: list) -> tuple:
    """Keep one image's outputs on the device while others run: as they were, and as they are then.

    Returns:
        before_0, before_1, ...: copied at once; after_0, ...: read after three more images.
    """
    compiled = _runner("aie", path, shape).compiled
    image = torch.from_numpy(arrays["image"])
    stream = aie.bind().npu.Stream(aie.DEVICE)

    def forward(one) -> list:
        outputs = archive.tensors(compiled.forward(one.to(aie.DEVICE)))
        stream.synchronize()  # that a copy waits by itself is documented nowhere
        return outputs

    with torch.no_grad(), aie.bind().npu.stream(stream):
        held = forward(image)
        before = [o.to("cpu").clone().numpy() for o in held]
        for other in (image.flip(3), image * 0, image.flip(2)):
            [o.to("cpu") for o in forward(other)]
        after = [o.to("cpu").clone().numpy() for o in held]
    return {}, {
        **{f"before_{i}": a for i, a in enumerate(before)},
        **{f"after_{i}": a for i, a in enumerate(after)},
    }


def save_compiled(arrays, *, path: str, shape: list, out: str) -> tuple:
    """Write the compiled module to a file of its own, atomically."""
    partial = f"{out}.{os.getpid()}"
    _runner("aie", path, shape).compiled.save(partial)
    os.replace(partial, out)
    return {}, {}


def run_compiled(arrays, *, path: str, library: str) -> tuple:
    """Load a compiled module from its file and run one prepared image."""
    aie.load_operators(library)
    aie.bind()
    engine = aie.Engine(torch.jit.load(path).eval())
    return {}, engine.step(torch.from_numpy(arrays["image"]))[0]


def prepare(arrays, *, path: str, preprocess: dict) -> tuple:
    """The model's input for one image file, and its geometry."""
    tensor, geometry = images.prepare(path, **preprocess)
    return {"geometry": list(geometry)}, {"image": tensor[None]}


def stream(arrays, *, paths: list, preprocess: dict) -> tuple:
    """Inputs (n, 3, S, S) of many image files as `detect` meets them: each is looked at late."""
    tensors = []
    for tensor, _ in images.stream(paths, **preprocess):
        time.sleep(LATE_S)  # a model takes its time, and the reader is ahead meanwhile
        tensors.append(tensor.copy())
    return {}, {"images": np.array(tensors)}


def restore(arrays, *, geometry: list) -> tuple:
    """Boxes (n, 4) in pixels of the input, back to pixels of the image."""
    return {}, {"boxes": images.restore(arrays["boxes"], images.Geometry(*geometry))}


def categories(arrays, *, category_ids: list) -> tuple:
    """Contiguous labels to category ids."""
    return {}, {"categories": images.labels_to_category(arrays["labels"], category_ids)}


def detect(
    arrays,
    *,
    backend: str,
    path: str,
    shape: list,
    paths: list,
    preprocess: dict,
    results: str = "",
) -> tuple:
    """Stream image files through an opened model.

    Args:
        results: a new or empty folder for the source's .bin triples, one per image; "" for none.
    Returns:
        boxes (n, M, 4) in pixels of each image (float64), labels (n, M), scores (n, M), geometry
        (n, 4) and seconds (n, 3), in the order of `paths`.
    """
    runner = _runner(backend, path, shape)
    if results:
        result_files.create(results)
    rows: dict = {k: [] for k in ("boxes", "labels", "scores", "geometry", "seconds")}
    for tensor, geometry in images.stream(paths, **preprocess):
        outputs, seconds = runner.step(torch.from_numpy(tensor[None]))
        boxes, labels, scores = (outputs[f"output_{i}"] for i in range(3))
        if labels.dtype == np.int32:  # a device may; the source's script widens them too
            labels = labels.astype(np.int64)
        if results:
            stem = Path(paths[len(rows["boxes"])]).stem
            result_files.write(results, stem, boxes, labels, scores)
        rows["boxes"].append(images.restore(boxes, geometry))
        rows["labels"].append(labels.reshape(-1))
        rows["scores"].append(scores.reshape(-1))
        rows["geometry"].append(geometry)
        rows["seconds"].append(seconds)
    return {}, {k: np.array(v) for k, v in rows.items()}


def read_results(arrays, *, folder: str, stems: list) -> tuple:
    """A complete result folder read back: boxes (n, M, 4), labels (n, M, 1), scores (n, M)."""
    result_files.complete(folder, stems)
    triples = [result_files.read(folder, stem) for stem in stems]
    names = ("boxes", "labels", "scores")
    return {}, {name: np.array([t[i] for t in triples]) for i, name in enumerate(names)}


def hold(arrays, *, paths: list, preprocess: dict) -> tuple:
    """Prepare the images that timed steps will take turns with."""
    _prepared["images"] = [
        torch.from_numpy(images.prepare(p, **preprocess)[0][None]) for p in paths
    ]
    return {}, {}


def step(arrays, *, backend: str, path: str, shape: list, turn: int) -> tuple:
    """One timed step on a held image: seconds of copy in, compute and copy out; and what it was.

    Returns:
        beside the seconds: the number of the held image, and how many detections it gave.
    """
    held = _prepared["images"]
    image = turn % len(held)
    found, seconds = _runner(backend, path, shape).step(held[image])
    detections = int((found["output_2"] > 0).sum()) if "output_2" in found else 0
    return {"seconds": seconds, "image": image, "detections": detections}, {}


def _runner(backend: str, path: str, shape: list):
    try:
        return _runners[(backend, path, tuple(shape))][0]
    except KeyError:
        raise Refusal(
            f"{path}: not opened for {backend} at {shape} in this worker; open it first"
        ) from None


OPERATIONS = {
    "versions": versions,
    "identity": decisive,
    "describe": describe,
    "open": open_model,
    "run": run,
    "hold_outputs": hold_outputs,
    "save_compiled": save_compiled,
    "run_compiled": run_compiled,
    "prepare": prepare,
    "stream": stream,
    "restore": restore,
    "categories": categories,
    "detect": detect,
    "read_results": read_results,
    "hold": hold,
    "step": step,
}
