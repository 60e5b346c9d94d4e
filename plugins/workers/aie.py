"""The real torch_aie / mindietorch seen through one narrow door; without them, our emulator.

Source: reference documentation of torch_aie (CANN 7.0.RC1) and mindietorch. Defaults differ between
releases and languages, so every option is passed by name; what a release does not know is left out
and reported.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import time
from pathlib import Path

import archive
import ops
import torch
from protocol import Unfit

REAL = ("mindietorch", "torch_aie")
EMULATOR = Path(__file__).resolve().parent / "emulator"
NUMBER = int(os.environ.get("CONFORMANCE_NPU", "0"))  # of the card that this worker has
DEVICE = f"npu:{NUMBER}"
ENGINE_NODES = ("torch_aie_emulator::execute", "aie::execute", "mindietorch::execute")
LEFT_IN_TORCH = "torch_aie_emulator::left_in_torch"
UNKNOWN = "unknown"
_bound: list = []


def load_operators(library: str) -> None:
    """Load mmdet_ops at its place in the only order that works.

    A real runtime registers aie::* itself and ends the process where ours are there already, so it
    comes first; the emulator registers stand-ins unless ours are there, so it comes after.
    """
    if _real():
        bind()
    ops.load_library(library)


def bind():
    """Import the runtime once: a real one wherever it is installed, else the emulator.

    Raises:
        Unfit: a real one is installed but broken; that must never turn into an emulated run.
    """
    if _bound:
        return _bound[0]
    name = _real()
    if not name:
        sys.path.insert(0, str(EMULATOR))
        name = "torch_aie"
    try:
        runtime = importlib.import_module(name)
        runtime.set_device(NUMBER)
    except Exception as error:
        raise Unfit(
            f"{name} is installed but does not work: {str(error).strip() or repr(error)}; source "
            "CANN's set_env.sh and use the torch that it was built for"
        ) from None
    _bound.append(runtime)
    return runtime


def _real() -> str:
    """The name of the real runtime that is installed, or nothing."""
    return next((n for n in REAL if importlib.util.find_spec(n) and not _ours(n)), "")


def _ours(name: str) -> bool:
    """Whether a name leads to the emulator, because it is bound already."""
    origin = importlib.util.find_spec(name).origin
    return origin is not None and EMULATOR in Path(origin).resolve().parents


def emulated() -> bool:
    """Whether what `bind` returned is ours; a real module has no such mark."""
    return bool(getattr(bind(), "EMULATED", False))


def version() -> str:
    """Name and version of the bound runtime."""
    runtime = bind()
    known = getattr(runtime, "__version__", None)
    if known is None:
        try:
            known = importlib.metadata.version(runtime.__name__)
        except importlib.metadata.PackageNotFoundError:
            known = "of unknown version"
    return f"{runtime.__name__} {known}"


def compile_module(module, shapes: list, options: dict):
    """Compile a ScriptModule for static float32 inputs; options are the contract's [compile].

    Returns:
        the compiled module, the options that this release does not know, and what it was told, as text.
    """
    runtime = bind()
    options = dict(options)
    policies = getattr(runtime, "_enums", runtime).PrecisionPolicy
    arguments = {
        "inputs": [runtime.Input(shape, dtype=torch.float) for shape in shapes],
        "precision_policy": getattr(policies, options.pop("precision_policy")),
        **options,
    }
    accepted, others = _accepted(runtime.compile)
    if "ir" in accepted:
        arguments["ir"] = "ts"
    known = {k: v for k, v in arguments.items() if others or k in accepted}
    told = {name: getattr(value, "name", None) or str(value) for name, value in known.items()}
    told["inputs"] = ", ".join(map(_static_shape, known["inputs"]))
    return runtime.compile(module, **known), sorted(set(arguments) - set(known)), told


def _static_shape(one) -> str:
    """The one shape that an Input promises, as text; its members are documented, but not certain."""
    shape = getattr(one, "shape", UNKNOWN)
    return shape if shape is UNKNOWN else str(list(shape) if shape else "a range")


def _accepted(function) -> tuple[set, bool]:
    """Names of the arguments of a function, and whether it takes others too or does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set(), True
    return {p.name for p in parameters}, any(p.kind is p.VAR_KEYWORD for p in parameters)


def left_in_torch(compiled) -> dict:
    """Operators that the compiled module still runs in torch: name -> count."""
    found: dict = {}
    for node in archive.walk(compiled.inlined_graph):
        kind = node.kind()
        if kind == LEFT_IN_TORCH:
            kind = next(v.toIValue() for v in node.inputs() if isinstance(v.toIValue(), str))
        elif kind.startswith("prim::") or kind in ENGINE_NODES or "ngine" in kind:
            continue
        found[kind] = found.get(kind, 0) + 1
    return found


class Engine:
    """A compiled model on the device, driven as the source's inference script drives it."""

    def __init__(self, compiled) -> None:
        self.compiled = compiled

    def step(self, *inputs: torch.Tensor) -> tuple[dict, list]:
        """One pass; inputs are float32 tensors on the host, for a detector one (1, 3, S, S).

        Returns:
            outputs as arrays; seconds of copy in, compute, copy out. The stream is synchronised at
            each border, so that no border moves work into its neighbour.
        """
        npu = bind().npu
        stream = npu.Stream(DEVICE)
        with npu.stream(stream):
            marks = [time.perf_counter()]
            on_device = [tensor.to(DEVICE) for tensor in inputs]
            stream.synchronize()
            marks.append(time.perf_counter())
            outputs = self.compiled.forward(*on_device)
            stream.synchronize()
            marks.append(time.perf_counter())
            found = archive.arrays(outputs)
            marks.append(time.perf_counter())
        # Outputs may live in a pool that the next forward reuses: hand out copies only.
        found = {k: v.copy() for k, v in found.items()}
        return found, [b - a for a, b in zip(marks, marks[1:])]


class Reference:
    """The same file run by TorchScript on the CPU: no device, no copies.

    As the graph is written: the optimiser profiles the first pass and fuses what follows, so that in
    torch 2.0 the second pass of one input has other bits than the first.
    """

    def __init__(self, module) -> None:
        self.module = module

    def step(self, *inputs: torch.Tensor) -> tuple[dict, list]:
        """As Engine.step; the copies take no time because there are none."""
        with torch.no_grad(), torch.jit.optimized_execution(False):
            start = time.perf_counter()
            outputs = self.module(*inputs)
            seconds = time.perf_counter() - start
        return archive.arrays(outputs), [0.0, seconds, 0.0]
