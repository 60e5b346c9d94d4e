"""An emulator of Huawei's torch_aie on the CPU: the published API, fp16 arithmetic, a lazy device.

It lets the same code run where no Ascend NPU is. Its numbers are the emulator's: nothing that comes
out of it may be called a measurement of a device. API as the ModelZoo samples of CANN 7.0.RC1 use
it and MindIE Torch 1.0.RC1 documents it; see _emulator/ for what stands behind.
"""

from __future__ import annotations

import io as _io

import torch as _torch

if int(_torch.__version__.split(".")[0]) < 2:
    raise ImportError(f"the torch_aie emulator needs torch 2.0 or newer, not {_torch.__version__}")

from . import _enums, npu
from ._emulator import device as _device
from ._emulator import engine as _engine
from ._emulator.spec import Input
from ._emulator.spec import gears as _gears
from ._enums import PrecisionPolicy, ShapeMode, TensorFormat, dtype

__version__ = "6.3.rc2+emulator"
EMULATED = True
__all__ = [
    "EMULATED",
    "Input",
    "PrecisionPolicy",
    "ShapeMode",
    "TensorFormat",
    "__version__",
    "_enums",
    "compile",
    "dtype",
    "finalize",
    "npu",
    "set_device",
]

SUPPORTED_SOC = "Ascend310P"
MAX_DEVICE = 1024


def set_device(npu_id: int) -> None:
    """Choose the device by number, 0..1024; may be called again, before or after a load."""
    if isinstance(npu_id, bool) or not isinstance(npu_id, int) or not 0 <= npu_id <= MAX_DEVICE:
        raise RuntimeError(f"set_device takes an int from 0 to {MAX_DEVICE}, not {npu_id!r}")
    _device.state.index = npu_id


def compile(
    module,
    inputs,
    precision_policy=PrecisionPolicy.PREF_FP32,
    *,
    truncate_long_and_double=True,
    require_full_compilation=False,
    allow_tensor_replace_int=False,
    min_block_size=3,
    torch_executed_ops=(),
    soc_version="Ascend310P3",
    optimization_level=0,
):
    """Compile a straight-line ScriptModule for the device.

    Args:
        module: torch.jit.ScriptModule, as torch.jit.load returns it.
        inputs: list of Input, or a list of such lists (gears).
        precision_policy: a PrecisionPolicy.
        require_full_compilation: refuse a module of which a part would be left in torch.
        torch_executed_ops: names of operators to leave in torch, as "aten::relu".
        soc_version: "Ascend310P..." only; the rest has no effect on the emulator.
    Returns:
        a torch.jit.ScriptModule with the same outputs in the same containers.
    Raises:
        RuntimeError: an illegal argument, control flow, or a part that cannot be compiled.
    """
    payload = _payload(module, inputs, precision_policy, torch_executed_ops, soc_version)
    compiled = _engine.compiled_module(payload)
    if require_full_compilation:
        _require_full(compiled)
    return compiled


def finalize() -> None:
    """Finish queued work and release the engines."""
    _device.state.device.drain()
    _engine.forget()


def _payload(module, inputs, precision_policy, torch_executed_ops, soc_version) -> bytes:
    if not isinstance(module, _torch.jit.ScriptModule):
        raise RuntimeError(
            f"compile takes a ScriptModule, not {type(module).__name__}; trace or load one first"
        )
    if not str(soc_version).startswith(SUPPORTED_SOC):
        raise RuntimeError(f"soc_version '{soc_version}' is not emulated; use Ascend310P3")
    model = _io.BytesIO()
    _torch.jit.save(module, model)
    return _engine.pack(
        model.getvalue(),
        {
            "inputs": [[i.to_json() for i in gear] for gear in _gears(inputs)],
            "precision_policy": int(PrecisionPolicy(precision_policy)),
            "torch_executed_ops": sorted(str(op) for op in torch_executed_ops),
            "soc_version": str(soc_version),
        },
    )


def _require_full(compiled) -> None:
    nodes = compiled.graph.findAllNodes(f"{_engine.NAMESPACE}::left_in_torch")
    if nodes:
        names = sorted({str(next(node.inputs()).toIValue()) for node in nodes})
        raise RuntimeError(f"not fully compiled: {', '.join(names)} would be left in torch")


_engine.register_operators()
_device.patch_tensor_to()
