"""Operations on our own worker modules, for self-tests that need torch; served in a child."""

from __future__ import annotations

import collections
import importlib
import os
import sys

import aie
import model
import ops
import oracle
import seeded
import torch
import weights
from protocol import Refusal

PATH = list(sys.path)


class Shell:
    """What unpickles to a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


# ---- weights


def names(arrays, spec):
    network = model.RetinaNet(spec)
    return {
        "shapes": {k: list(v.shape) for k, v in network.state_dict().items()},
        "numbers": sum(v.numel() for v in network.parameters()),
    }, {}


def load(arrays, path, spec, kind="file"):
    """A network filled from a file: its state."""
    network = model.RetinaNet(spec)
    weights.fill(network, {"kind": kind, "path": path})
    return {}, {k: v.numpy() for k, v in network.state_dict().items()}


def facts(arrays):
    """What tells these weights from others."""
    return weights.facts(arrays, "model.pkl"), {}


def save_torch(arrays, path, form, version=None):
    """The arrays as a .pth of some form, or as an exported model."""
    state = collections.OrderedDict((k, torch.from_numpy(v)) for k, v in arrays.items())
    if version is not None:
        norms = [k[: -len(".weight")] for k in state if k.endswith("norm.weight")]
        state._metadata = collections.OrderedDict((k, {"version": version}) for k in norms)
    if form in ("exported", "frozen"):
        module = torch.jit.trace(torch.nn.Conv2d(1, 1, 1).eval(), torch.ones(1, 1, 1, 1))
        torch.jit.save(torch.jit.freeze(module) if form == "frozen" else module, path)
        return {}, {}
    torch.save(
        {
            "state": lambda: state,
            "model": lambda: {"model": state, "iteration": 7},
            "parameters": lambda: {k: torch.nn.Parameter(v) for k, v in state.items()},
            "half": lambda: {k: v.bfloat16() for k, v in state.items()},
            "list": lambda: list(state.values()),
            "numbers": lambda: {"a": 1},
            "shell": lambda: {"a": Shell(f"touch {path}.executed")},
        }[form](),
        path,
    )
    return {}, {}


def anchors(arrays, spec, side):
    """Anchors of every level for a square input."""
    network = model.RetinaNet(spec)
    sizes = [-(-side // stride) for stride in network.anchor_generator.strides]
    levels = network.anchor_generator([torch.zeros(1, 1, n, n) for n in sizes])
    return {}, {f"level{i}": level.numpy() for i, level in enumerate(levels)}


def draw(arrays, spec, seed):
    network = model.RetinaNet(spec)
    seeded.draw(network, seed)
    return {}, {k: v.numpy() for k, v in network.state_dict().items()}


# ---- oracle


def judge(arrays, levels, recipe, stock, band):
    """Both oracles on given head outputs."""
    heads = [[torch.from_numpy(arrays[f"{name}{i}"]) for i in range(levels)]
             for name in ("logits", "deltas", "anchors")]  # fmt: skip
    found = {f"stock_{k}": v.numpy() for k, v in oracle.stock_result(*heads, stock).items()}
    found.update({f"recipe_{k}": v for k, v in oracle._recipe(*heads, recipe, band).items()})
    return {}, found


# ---- the adapter to torch_aie


def bind(arrays, folders):
    """Bind with these folders to be found first, as in a fresh process; what that gives."""
    runtime = _bound(folders)
    return {
        "name": runtime.__name__,
        "version": aie.version(),
        "emulated": aie.emulated(),
        "calls": getattr(runtime, "CALLS", []),
    }, {}


def compile_module(arrays, folders, options):
    runtime = _bound(folders)
    compiled, unknown, _ = aie.compile_module("a module", [[1, 3, 8, 8], [1, 2]], options)
    return {"compiled": compiled, "unknown": unknown, "call": runtime.CALLS[-1]}, {}


def _bound(folders):
    sys.path[:] = [PATH[0], *folders, *PATH[1:]]
    for name in aie.REAL:
        sys.modules.pop(name, None)
    aie._bound.clear()
    importlib.invalidate_caches()
    return aie.bind()


def left_in_torch(arrays):
    """The census of a graph of an engine, an operator of torch, and one in each branch."""
    library = torch.library.Library("mindietorch", "DEF")
    library.define("execute(Tensor x) -> Tensor")
    library.impl("execute", lambda x: x, "CompositeExplicitAutograd")

    @torch.jit.script
    def compiled(x):
        x = torch.ops.mindietorch.execute(x).relu()
        if x.dim() == 1:
            x = x.exp().relu()
        return x

    return aie.left_in_torch(compiled), {}


def operators(arrays, library):
    """Our operators, then the emulator; whether it was there before them, and what they compute."""
    aie.load_operators(library)
    early = "torch_aie" in sys.modules
    emulated = aie.emulated()
    box = torch.tensor([0.0, 0.0, 8.0, 8.0]).expand(1, 2, 1, 4)
    found = torch.ops.aie.batch_nms(box, torch.tensor([[[0.9], [0.8]]]), 0.05, 0.5, 2, 3)
    return {"early": early, "emulated": emulated, "num": float(found[3])}, {}


def turns(arrays, order):
    """Models opened in this order: which were really made, and which are held in the end."""
    import infer

    made: list = []
    infer._opened = lambda backend, path, *rest: (made.append(path), {"path": path})
    for path in order:
        info, _ = infer.open_model({}, backend="b", path=path, library="", shape=[1], options={})
        if info != {"path": path}:
            raise Refusal(f"{path}: opened as {info}")
    return {"made": made, "held": [key[1] for key in infer._runners]}, {}


def optimised(arrays):
    """Whether TorchScript may rewrite the graph of the reference while it runs."""
    seen: list = []

    def module(image):
        seen.append(torch._C._get_graph_executor_optimize())
        return image

    aie.Reference(module).step(torch.zeros(1))
    return {"inside": seen, "afterwards": torch._C._get_graph_executor_optimize()}, {}


def versions(arrays):
    return {"torch": torch.__version__, "operators": list(ops.OPERATORS)}, {}


OPERATIONS = {
    function.__name__: function
    for function in (
        *(names, load, facts, save_torch, anchors, draw, judge),
        *(bind, compile_module, left_in_torch, operators, turns, versions, optimised),
    )
}
