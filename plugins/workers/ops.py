"""Role `ops`: the operators of mmdet_ops, in the torch of this interpreter.

`load` comes first; it may be called again. `batch_nms` takes the arrays bbox and scores,
`roi_extractor` feats0, feats1, ... and rois; both take the schema's other arguments by name, and
with meta=True answer from shapes and dtypes alone. Also runs under torch 1.10.1.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path

import numpy as np
import torch
from protocol import Refusal

OPERATORS = ("batch_nms", "roi_extractor")
NMS_OUTPUTS = ("boxes", "scores", "classes", "num")
MARKER = re.compile(rb"mmdet_ops built for torch ([^\0 ]+) from sources")


def load_library(path: str) -> None:
    """Load libmmdet_ops.so into this process.

    Raises:
        Refusal: it is missing, made for another torch, or another library holds the same operators
        with other types.
    """
    cure = f"run: python -m plugins.drivers.ops_library --python {sys.executable}"
    if not os.path.isfile(path):
        raise Refusal(f"{path}: no such file; {cure}")
    _check_made_for_this_torch(path, cure)
    try:
        torch.ops.load_library(path)
        report = ctypes.CDLL(path).mmdet_ops_load_error
    except OSError as error:
        reason = f"torch {torch.__version__} cannot load it ({str(error).splitlines()[0]})"
        raise Refusal(f"{path}: {reason}; {cure}") from None
    except AttributeError:
        raise Refusal(f"{path}: not the mmdet_ops of this project; {cure}") from None
    report.restype = ctypes.c_char_p
    problem = report().decode()
    if problem:
        raise Refusal(f"{path}: {problem}")


def _check_made_for_this_torch(path, cure):
    """Read the library's own mark: the loader's word for a library of another torch is a C++ name."""
    marker = MARKER.search(Path(path).read_bytes())
    if not marker:
        raise Refusal(f"{path}: not the mmdet_ops of this project (it bears no mark); {cure}")
    found = marker.group(1).decode()
    if found != torch.__version__:
        here = f"{sys.executable} has torch {torch.__version__}"
        raise Refusal(f"{path}: built for torch {found}, but {here}; {cure}")


def load(arrays, path):
    """Load the library at `path`; the result names this torch."""
    load_library(path)
    return {"torch": torch.__version__}, {}


def schema(arrays):
    """The registered schemas, operator -> text."""
    return {name: str(_schema(name)) for name in OPERATORS}, {}


def batch_nms(
    arrays,
    score_threshold,
    iou_threshold,
    max_size_per_class,
    max_total_size,
    meta=False,
):
    """aie::batch_nms -> boxes (B, M, 4), scores (B, M), classes (B*M,), num (B,)."""
    inputs = [_tensor(arrays[name], meta) for name in ("bbox", "scores")]
    limits = (score_threshold, iou_threshold, max_size_per_class, max_total_size)
    return _answer(NMS_OUTPUTS, _call("batch_nms", *inputs, *limits), meta)


def roi_extractor(
    arrays,
    aligned,
    finest_scale,
    ph,
    pw,
    pool_mode,
    roi_scale_factor,
    sample_num,
    spatial_scale,
    meta=False,
):
    """aie::roi_extractor -> features (K, C, ph, pw)."""
    levels = sum(name.startswith("feats") for name in arrays)
    feats = [_tensor(arrays[f"feats{i}"], meta) for i in range(levels)]
    options = (aligned, finest_scale, ph, pw, pool_mode, roi_scale_factor, sample_num)
    out = _call("roi_extractor", feats, _tensor(arrays["rois"], meta), *options, spatial_scale)
    return _answer(("features",), (out,), meta)


def _schema(name):
    found = torch._C._jit_get_schemas_for_operator(f"aie::{name}")
    if not found:
        raise Refusal(f"aie::{name} is not registered; call load with the path of libmmdet_ops.so")
    return found[0]


def _call(name, *args):
    _schema(name)
    try:
        with torch.no_grad():
            return getattr(torch.ops.aie, name)(*args)
    except RuntimeError as error:  # torch appends its C++ frames to the sentence
        raise Refusal(str(error).splitlines()[0]) from None


def _tensor(array, meta):
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") if meta else tensor


def _answer(names, tensors, meta):
    described = {
        name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)[len("torch.") :]}
        for name, tensor in zip(names, tensors)
    }
    return described, {} if meta else {n: t.numpy() for n, t in zip(names, tensors)}


OPERATIONS = {
    "load": load,
    "schema": schema,
    "batch_nms": batch_nms,
    "roi_extractor": roi_extractor,
}
