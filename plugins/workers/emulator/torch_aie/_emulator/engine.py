"""Payload, cache, and the TorchScript operators through which a compiled module runs.

A compiled module is an ordinary ScriptModule: a uint8 buffer with the engine's payload and a
generated forward that hands it to `torch_aie_emulator::execute`. So save, load, eval and forward
work by themselves, in any process that imported torch_aie. An operator left in torch shows in that
forward as a node `torch_aie_emulator::left_in_torch` with its name.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys

import torch

from .. import npu
from .._enums import PrecisionPolicy
from . import behaviour, device
from .program import Program
from .spec import Input

NAMESPACE = "torch_aie_emulator"
MAGIC = b"AIEEMU1\n"


def pack(model: bytes, options: dict) -> bytes:
    """Model bytes and options as one payload: magic, header length, JSON, model."""
    header = json.dumps(options, sort_keys=True).encode()
    return MAGIC + struct.pack("<I", len(header)) + header + model


def unpack(payload: bytes) -> tuple[bytes, dict]:
    """The model bytes and the options; RuntimeError for anything that pack did not write."""
    if payload[: len(MAGIC)] != MAGIC:
        raise RuntimeError("the compiled module holds no emulator payload")
    (length,) = struct.unpack_from("<I", payload, len(MAGIC))
    start = len(MAGIC) + 4
    return payload[start + length :], json.loads(payload[start : start + length])


class Engine:
    """A program with its promises about inputs and the memory for its outputs."""

    def __init__(self, payload: bytes):
        model, options = unpack(payload)
        self.gears = [[Input.from_json(i) for i in gear] for gear in options["inputs"]]
        policy = PrecisionPolicy(options["precision_policy"])
        module = torch.jit.load(io.BytesIO(model), map_location="cpu").eval()
        self.program = Program(
            module,
            policy if behaviour.choice("ROUNDING") == "on" else None,
            options["torch_executed_ops"],
        )
        expected = len(self.program.graph.inputs)
        if len(self.gears[0]) != expected:
            raise RuntimeError(f"the module takes {expected} inputs, {len(self.gears[0])} given")
        self._layouts: dict[tuple, list] = {}  # input shapes -> (shape, dtype) of the outputs
        self._pool: dict[tuple, list] = {}

    def submit(self, inputs: list) -> list:
        """Queue one forward and return its outputs, unfilled where their shapes are known."""
        self._check(inputs)
        key = tuple(tuple(t.shape) for t in inputs)
        resident = [t if device.block(t) else device.upload(t, device.state.index) for t in inputs]
        if key in self._layouts and self.program.static:
            outputs = self._memory(key)
            self._queue(lambda: self._fill(outputs, self.program(resident)), outputs)
            return outputs
        results: list = []
        device.state.device.submit(lambda: results.extend(self.program(resident))).wait()
        self._layouts[key] = [(t.shape, _delivered(t.dtype)) for t in results]
        outputs = self._memory(key)
        self._fill(outputs, results)
        return outputs

    def _queue(self, work, outputs: list) -> None:
        job = device.state.device.submit(work)
        for output in outputs:
            device.block(output).job = job
        npu._current()._append(job)

    def _memory(self, key: tuple) -> list:
        if behaviour.choice("OUTPUT_MEMORY") == "reuse" and key in self._pool:
            return self._pool[key]
        index = device.state.index
        outputs = [device.allocate(s, d, index) for s, d in self._layouts[key]]
        if behaviour.choice("OUTPUT_MEMORY") == "reuse":
            self._pool[key] = outputs
        return outputs

    @staticmethod
    def _fill(outputs: list, results: list) -> None:
        for output, result in zip(outputs, results):
            if output.shape != result.shape:
                raise RuntimeError(
                    f"an output changed shape: {list(output.shape)} before, "
                    f"{list(result.shape)} now"
                )
            output.copy_(result)

    def _check(self, inputs: list) -> None:
        if not any(
            len(gear) == len(inputs) and all(i.accepts(t) for i, t in zip(gear, inputs))
            for gear in self.gears
        ):
            given = ", ".join(f"{list(t.shape)} {t.dtype}" for t in inputs)
            wanted = " or ".join(str(gear) for gear in self.gears)
            raise RuntimeError(f"input is {given}; compiled for {wanted}")
        for tensor in inputs:
            owner = device.block(tensor)
            if owner is None and behaviour.choice("CPU_INPUT") == "refuse":
                raise RuntimeError('input lies in host memory; move it with .to("npu:0")')
            if owner is not None and owner.index != device.state.index:
                raise RuntimeError(
                    f"input lies on npu:{owner.index}, the engine on npu:{device.state.index}"
                )
            if not tensor.is_contiguous() and behaviour.choice("STRIDED_INPUT") == "refuse":
                raise RuntimeError("input is not contiguous; call .contiguous() first")


def _delivered(dtype: torch.dtype) -> torch.dtype:
    truncate = dtype is torch.int64 and behaviour.choice("INT64_OUTPUT") == "truncate"
    return torch.int32 if truncate else dtype


_engines: dict[tuple, Engine] = {}


def engine(payload: torch.Tensor, digest: str) -> Engine:
    """The engine of a payload, built once per process; RuntimeError when the digest disagrees."""
    key = (digest, behaviour.choice("ROUNDING"))
    if key not in _engines:
        data = payload.numpy().tobytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise RuntimeError(
                "the engine's payload is not the one that was compiled: "
                "the saved module was altered; compile it again"
            )
        _engines[key] = Engine(data)
    return _engines[key]


def forget() -> None:
    """Drop all engines; a later forward builds its own anew."""
    _engines.clear()


def compiled_module(payload: bytes) -> torch.jit.ScriptModule:
    """A ScriptModule that runs the payload; outputs nested as in the module it came from."""
    # A class of its own: torch.jit shares one type, hence one forward, among modules of a class.
    module = type("CompiledModule", (torch.nn.Module,), {})()
    module.register_buffer("payload", torch.frombuffer(bytearray(payload), dtype=torch.uint8))
    digest = hashlib.sha256(payload).hexdigest()
    program = engine(module.payload, digest).program
    names = [f"x{i}" for i in range(len(program.graph.inputs))]
    leaves = "".join(f"y{i}, " for i in range(len(program.graph.outputs)))
    lines = [
        f"def forward(self, {', '.join(names)}):",
        f'    y = torch.ops.{NAMESPACE}.execute("{digest}", self.payload, [{", ".join(names)}])',
        *(
            f'    y = torch.ops.{NAMESPACE}.left_in_torch("{kind}", y)'
            for kind in program.left_in_torch
        ),
        f"    {leaves}= y",
        f"    return {program.graph.container}",
    ]
    scripted = torch.jit.script(module)
    scripted.define("\n".join(lines) + "\n")
    return scripted.eval()


def _execute(digest: str, payload: torch.Tensor, inputs: list) -> list:
    try:
        return engine(payload, digest).submit(inputs)
    except Exception as error:
        # torch 2.0 loses the text of an exception that crosses the interpreter; the log keeps it.
        print(f"torch_aie emulator: {error}", file=sys.stderr)
        raise RuntimeError(str(error) or type(error).__name__) from error


def _no_kernel(*_):
    raise RuntimeError(
        "aie operators run inside a compiled module only; to run the TorchScript "
        "on the CPU, load a library that implements them before torch_aie"
    )


_libraries: list = []  # an operator lives as long as its library object

AIE_SCHEMAS = {
    "batch_nms": "(Tensor bbox, Tensor scores, float score_threshold, float iou_threshold, "
    "int max_size_per_class, int max_total_size) -> (Tensor, Tensor, Tensor, Tensor)",
    "roi_extractor": "(Tensor[] feats, Tensor rois, bool aligned, int finest_scale, int ph, "
    "int pw, str pool_mode, int roi_scale_factor, int sample_num, float[] spatial_scale) -> Tensor",
}


def register_operators() -> None:
    """Register the emulator's operators, and the aie ones unless another library has them."""
    own = torch.library.Library(NAMESPACE, "DEF")
    own.define("execute(str digest, Tensor payload, Tensor[] inputs) -> Tensor[]")
    own.impl("execute", _execute, "CompositeExplicitAutograd")
    own.define("left_in_torch(str operator, Tensor(a)[] y) -> Tensor(a)[]")
    own.impl("left_in_torch", lambda operator, y: y, "CompositeExplicitAutograd")
    _libraries.append(own)
    if torch._C._jit_get_schemas_for_operator("aie::batch_nms"):
        return
    aie = torch.library.Library("aie", "DEF")
    for name, schema in AIE_SCHEMAS.items():
        aie.define(name + schema)
        aie.impl(name, _no_kernel, "CompositeExplicitAutograd")
    _libraries.append(aie)
