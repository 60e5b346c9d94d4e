"""What an exported model.ts is made of: its weights, its graph, its constants."""

from __future__ import annotations

import hashlib
import math
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from protocol import Refusal

NMS = "aie::batch_nms"
# What may limit an exponential's argument, and which of its inputs is the limit (None: a tensor).
LIMITS = {"aten::clamp": 2, "aten::clamp_max": 1, "aten::hardtanh": 2, "aten::minimum": None}
NMS_ATTRIBUTES = ("score_threshold", "iou_threshold", "max_size_per_class", "max_total_size")


def load(path) -> torch.jit.ScriptModule:
    """Read a TorchScript file on the CPU; Refusal with the cure when it is not one."""
    path = Path(path)
    if not path.is_file():
        raise Refusal(f"{path}: no such file; export the model first or correct --model-ts")
    if not zipfile.is_zipfile(path):
        raise Refusal(f"{path}: truncated, or not a TorchScript archive; export or copy it again")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise Refusal(
            f"{path}: torch {torch.__version__} cannot load it: {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Unknown builtin op: aie::" in text or "aie::" in text and "operator" in text:
        return "the operators aie::* are not registered; build them with 'make ops'"
    if "constants.pkl" in text or "PytorchStreamReader" in text or "central directory" in text:
        return f"the archive is damaged or no TorchScript ({text[:120]}); export or copy it again"
    return text[:240]


def state(module: torch.jit.ScriptModule) -> dict:
    """The tensors by detectron2 name: what the exporter's wrapper put before them is cut off."""
    found = {k: v.detach().float().numpy() for k, v in module.state_dict().items()}
    anchor = next((k for k in found if k.endswith("backbone.bottom_up.stem.conv1.weight")), None)
    prefix = anchor[: anchor.index("backbone.")] if anchor else ""
    return {k[len(prefix) :]: v for k, v in found.items() if k.startswith(prefix)}


def describe(module: torch.jit.ScriptModule) -> dict:
    """Census of the inlined graph: operators, NMS attributes, devices, constants that are broken."""
    graph = module.inlined_graph
    nodes = walk(graph)
    operators = Counter(n.kind() for n in nodes if not n.kind().startswith("prim::"))
    return {
        "operators": dict(operators),
        "nms": [_attributes(n) for n in nodes if n.kind() == NMS],
        "topk": [list(n.inputs())[1].toIValue() for n in nodes if n.kind() == "aten::topk"],
        "exponent_limits": _limits(nodes),
        "devices": sorted({str(v) for v in _constants(nodes) if isinstance(v, torch.device)}),
        "broken": sorted(_broken(module, nodes)),
        "parameters": len(module.state_dict()),
        "weight_format": _format(module),
        "constants": [list(v.shape) for v in _constants(nodes) if isinstance(v, torch.Tensor)],
    }


def walk(block) -> list:
    """Every node of a graph, those inside branches and loops too."""
    found = []
    for node in block.nodes():
        found.append(node)
        for inner in node.blocks():
            found += walk(inner)
    return found


def fingerprint(module: torch.jit.ScriptModule) -> dict:
    """Hashes of the graph (without names, class names and source lines), constants and weights."""
    text = re.sub(r" *#.*|__torch__[\w.]*", "", str(module.inlined_graph))
    names: dict = {}
    text = re.sub(r"%[\w.]+", lambda m: names.setdefault(m.group(), f"%{len(names)}"), text)
    constants = hashlib.sha256()
    for value in _constants(walk(module.inlined_graph)):
        if isinstance(value, torch.Tensor):
            constants.update(value.contiguous().numpy().tobytes())
    weights = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        weights.update(name.encode() + value.contiguous().numpy().tobytes())
    return {
        "graph": hashlib.sha256(text.encode()).hexdigest(),
        "constants": constants.hexdigest(),
        "weights": weights.hexdigest(),
    }


def _attributes(node) -> dict:
    values = [value.toIValue() for value in list(node.inputs())[2:6]]
    return dict(zip(NMS_ATTRIBUTES, values))


def _limits(nodes) -> list:
    """Of each exponential what its input is clamped to, None if nothing; unknowns left out."""
    limits = []
    for source in [n.input().node() for n in nodes if n.kind() in ("aten::exp", "aten::exp_")]:
        kind = source.kind().rstrip("_")
        if kind not in LIMITS:
            limits.append(None)
        elif LIMITS[kind] is not None:
            limits.append(_finite(list(source.inputs())[LIMITS[kind]].toIValue()))
    return limits


def _finite(value):
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _constants(nodes) -> list:
    outputs = [n.output() for n in nodes if n.kind() == "prim::Constant"]
    return [o.toIValue() for o in outputs]


def _broken(module, nodes) -> list:
    """Names of tensors, and constants, that hold NaN or infinity."""
    names = [k for k, v in module.state_dict().items() if not torch.isfinite(v.float()).all()]
    for value in _constants(nodes):
        if isinstance(value, torch.Tensor) and not torch.isfinite(value.double()).all():
            names.append(f"a constant of shape {tuple(value.shape)}")
    return names


def _format(module) -> str:
    """The narrowest floating-point format in which every kernel is exact."""
    tensors = [v.float() for v in module.state_dict().values() if v.dim() == 4]
    for dtype in (torch.bfloat16, torch.float16):
        if all(v.to(dtype).float().equal(v) for v in tensors):
            return str(dtype).split(".")[1]
    return "float32"


def tensors(outputs) -> list:
    """The outputs in order, detached; Refusal if they are not a tensor or a flat tuple of tensors."""
    if isinstance(outputs, torch.Tensor):
        outputs = (outputs,)
    if not isinstance(outputs, (tuple, list)) or not all(
        isinstance(o, torch.Tensor) for o in outputs
    ):
        raise Refusal(f"the model returns {type(outputs).__name__}, not a tuple of tensors")
    return [o.detach() for o in outputs]


def arrays(outputs) -> dict:
    """Outputs as arrays named output_0, output_1, ... (the graph itself has no names)."""
    return {
        f"output_{i}": np.ascontiguousarray(o.to("cpu").numpy())
        for i, o in enumerate(tensors(outputs))
    }
