"""What one forward executes: folded steps, rounded constants, and the rounding that follows a step.

FP16: weights, inputs and every computed value are binary16. PREF_FP32 and FP32: only what enters a
convolution or a matrix product is, because the 310P cube takes no float32 (its documentation casts
such inputs); everything else stays float32.
"""

from __future__ import annotations

import torch

from .._enums import PrecisionPolicy
from . import nms_310p
from .folding import CONVOLUTIONS, fold_batch_norm, fold_constants
from .rounding import FLOATS, round_, rounded
from .walk import Step, read


def _aten(names: str) -> set[str]:
    return {f"aten::{name}" for name in names.split()}


CUBE = CONVOLUTIONS | _aten("conv_transpose2d linear matmul mm bmm addmm baddbmm addbmm")

# These only move, select or clip at zero: from binary16 values they give binary16 values.
EXACT = _aten(
    """relu relu_ neg abs max min maximum minimum max_pool2d upsample_nearest2d dropout topk sort
    reshape view flatten permute transpose t contiguous detach clone alias slice select narrow
    unsqueeze squeeze expand expand_as broadcast_tensors meshgrid cat stack split chunk unbind
    index index_select gather repeat roll flip unfold zeros ones zeros_like ones_like"""
)

# Their output's shape depends on the values, so a caller has to wait for it.
DATA_DEPENDENT = _aten(
    """nonzero nonzero_numpy masked_select unique _unique2 unique_consecutive unique_dim
    repeat_interleave bincount item"""
)

KERNELS = {"aie::batch_nms": nms_310p.batch_nms}


class Program:
    """An executable plan of one module.

    Args:
        module: a straight-line ScriptModule on the CPU.
        policy: what is rounded; None rounds and folds nothing (bit-equal to the module).
        torch_executed_ops: operators to leave in torch, as "aten::add" or "aten::add.Tensor".
    Raises:
        RuntimeError: control flow, an output that is no tensor, an aie operator without a kernel.
    """

    def __init__(self, module, policy: PrecisionPolicy | None, torch_executed_ops=()):
        self.policy, self.executed_in_torch = policy, frozenset(torch_executed_ops)
        self.graph = graph = read(module)
        self.left_in_torch = [step.kind for step in graph.steps if self._left(step)]
        for step in graph.steps:
            self._bind(step)
        if policy is not None:
            fold_constants(graph, self._left)
            fold_batch_norm(graph, self._left)
            self._round_constants()
        self.static = not self.left_in_torch and not any(
            step.kind in DATA_DEPENDENT for step in graph.steps
        )
        self._plan = self._planned()

    def __call__(self, inputs: list) -> list:
        """Run on CPU tensors (never written to); returns the output tensors in graph order."""
        registers = [None] * self.graph.size
        for register, value in self.graph.constants.items():
            registers[register] = value
        for register, value in zip(self.graph.inputs, inputs):
            registers[register] = self._entering(value)
        with torch.no_grad():
            for step, rounds, finished in self._plan:
                step(registers)
                if rounds:
                    round_([registers[i] for i in step.outputs])
                for register in finished:
                    registers[register] = None
        return [registers[i] for i in self.graph.outputs]

    def _entering(self, value):
        if self.policy is PrecisionPolicy.FP16:
            return rounded(value.float()) if value.dtype in (torch.half, *FLOATS) else value.clone()
        return value.clone()

    def _left(self, step: Step) -> bool:
        full = f"{step.kind}.{step.overload}"
        if step.kind in self.executed_in_torch or full in self.executed_in_torch:
            return True
        return step.kind.split("::")[0] not in ("aten", "prim", "aie")

    def _bind(self, step: Step) -> None:
        """Give device operators their device kernel, and the cube its narrow inputs."""
        if self._left(step):
            return
        if step.kind.startswith("aie::"):
            if step.kind not in KERNELS:
                raise RuntimeError(f"{step.kind} is not emulated; only {', '.join(KERNELS)} is")
            step.call = KERNELS[step.kind]
        if step.kind in CUBE and self.policy in (PrecisionPolicy.PREF_FP32, PrecisionPolicy.FP32):
            step.call = _narrow(step)

    def _round_constants(self) -> None:
        """Point compiled steps at rounded weights; what is left in torch keeps the originals."""
        copies: dict[int, int] = {}
        for step in self.graph.steps:
            if self._left(step) or not self._rounds_weights(step):
                continue
            for place, register in enumerate(step.inputs):
                value = self.graph.constants.get(register)
                if isinstance(value, torch.Tensor) and value.dtype in FLOATS:
                    if register not in copies:
                        copies[register] = self.graph.register(rounded(value))
                    step.inputs[place] = copies[register]
        used = {i for step in self.graph.steps for i in step.inputs} | set(self.graph.outputs)
        self.graph.constants = {i: v for i, v in self.graph.constants.items() if i in used}

    def _rounds_weights(self, step: Step) -> bool:
        # An unfolded BatchNorm keeps float32 statistics: they are scale and shift, not weights.
        return self.policy is PrecisionPolicy.FP16 and step.kind != "aten::batch_norm"

    def _planned(self) -> list:
        """(step, round its outputs, registers that nobody reads afterwards) in order."""
        kept = set(self.graph.outputs) | set(self.graph.constants)
        plan: list = []
        for step in reversed(self.graph.steps):
            finished = [i for i in {*step.inputs, *step.outputs} if i not in kept]
            kept.update(finished)
            plan.append((step, self._rounds(step), finished))
        return plan[::-1]

    def _rounds(self, step: Step) -> bool:
        compiled = step.kind.startswith("aten::") and not self._left(step)
        return self.policy is PrecisionPolicy.FP16 and compiled and step.kind not in EXACT


def _narrow(step: Step):
    """A cube operator with binary16 inputs and float32 results; a bias stays float32."""
    call, wide = step.call, {i for i, name in enumerate(step.names) if name == "bias"}

    def narrowed(*values):
        return call(*(v if i in wide else rounded(v) for i, v in enumerate(values)))

    return narrowed
