"""What a compiler settles before anything is rounded: constant subgraphs and BatchNorm, in float32.

Rounding BatchNorm's statistics instead would turn a running variance above 65504 into infinity and
the layer's output into its bias: no error, no detection.
"""

from __future__ import annotations

from collections import Counter

import torch

from .walk import Graph, Step

CONVOLUTIONS = {"aten::_convolution", "aten::conv1d", "aten::conv2d", "aten::conv3d"}
RANDOM = {"aten::rand", "aten::randn", "aten::dropout", "aten::bernoulli", "aten::normal"}


def fold_constants(graph: Graph, left) -> None:
    """Evaluate steps that depend on weights alone; `left(step)` marks those to leave alone."""
    written, remaining = _written(graph), []
    for step in graph.steps:
        if left(step) or not _foldable(step, graph.constants) or written.intersection(step.outputs):
            remaining.append(step)
            continue
        registers = {i: graph.constants[i] for i in step.inputs}
        step(registers)
        graph.constants.update({i: registers[i] for i in step.outputs})
    graph.steps = remaining


def _foldable(step: Step, constants: dict) -> bool:
    if step.mutates or step.kind in RANDOM or any(i not in constants for i in step.inputs):
        return False
    if step.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
        return True
    return any(isinstance(constants[i], torch.Tensor) for i in step.inputs)


def _written(graph: Graph) -> set[int]:
    """Registers that some step writes to, directly or through a chain of views."""
    origin, written = {}, set()
    for step in graph.steps:
        if step.inputs:
            origin.update(dict.fromkeys(step.outputs, step.inputs[0]))
        register = step.inputs[0] if step.mutates else None
        while register is not None:
            written.add(register)
            register = origin.get(register)
    return written


def fold_batch_norm(graph: Graph, left) -> int:
    """Merge each inference BatchNorm into the convolution before it; returns how many."""
    producers = {step.outputs[0]: step for step in graph.steps if step.kind in CONVOLUTIONS}
    uses = Counter(i for step in graph.steps for i in step.inputs) + Counter(graph.outputs)
    folded = []
    for step in graph.steps:
        if step.kind != "aten::batch_norm" or left(step):
            continue
        convolution = producers.get(step.argument("input"))
        if convolution and uses[convolution.outputs[0]] == 1 and not left(convolution):
            if _merge(graph, convolution, step):
                folded.append(step)
    graph.steps = [step for step in graph.steps if not any(step is gone for gone in folded)]
    return len(folded)


def _merge(graph: Graph, convolution: Step, norm: Step) -> bool:
    """Rewrite one pair; False when a part is not a constant or not of the plain kind."""

    def constant(step, name):
        return graph.constants.get(step.argument(name)) if name in step.names else None

    weight, mean, variance = (
        constant(convolution, "weight"),
        constant(norm, "running_mean"),
        constant(norm, "running_var"),
    )
    if constant(norm, "training") or constant(convolution, "transposed") or weight is None:
        return False
    if (
        mean is None
        or variance is None
        or graph.constants.get(convolution.argument("bias"), False) is False
    ):
        return False
    scale = (variance.double() + constant(norm, "eps")).rsqrt()
    if constant(norm, "weight") is not None:
        scale = scale * constant(norm, "weight").double()
    bias = constant(convolution, "bias")
    shift = ((0 if bias is None else bias.double()) - mean.double()) * scale
    if constant(norm, "bias") is not None:
        shift = shift + constant(norm, "bias").double()
    _rewire(graph, convolution, norm, _scaled(weight, scale), shift.to(weight.dtype))
    return True


def _scaled(weight, scale):
    return (weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))).to(weight.dtype)


def _rewire(graph: Graph, convolution: Step, norm: Step, weight, bias) -> None:
    for name, value in (("weight", weight), ("bias", bias)):
        convolution.inputs[convolution.names.index(name)] = graph.register(value)
    convolution.outputs = norm.outputs
