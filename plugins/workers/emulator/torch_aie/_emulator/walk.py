"""The inlined graph of a ScriptModule as a flat list of steps over numbered registers.

Walking the graph sees every node in every torch version; a dispatch mode sees what the executor's
optimiser left over, and never a catch-all C++ operator. Only straight-line graphs are taken, which
is what tracing gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

import torch


@dataclass
class Step:
    """One node: `call(*positional, **keywords)` over registers."""

    kind: str  # "aten::relu_"
    call: Callable
    names: list[str]  # schema names of the inputs; empty strings for prim nodes
    keywords: int  # how many of the last inputs are keyword-only
    inputs: list[int]
    outputs: list[int]
    mutates: bool = False
    overload: str = ""

    def argument(self, name: str) -> int:
        """The register of one named input."""
        return self.inputs[self.names.index(name)]

    def __call__(self, registers: list) -> None:
        values = [registers[i] for i in self.inputs]
        split = len(values) - self.keywords
        result = self.call(*values[:split], **dict(zip(self.names[split:], values[split:])))
        results = (result,) if len(self.outputs) == 1 else result
        for register, value in zip(self.outputs, results):
            registers[register] = value


@dataclass
class Graph:
    """Steps in order; `constants` maps registers that are known before the first step."""

    steps: list[Step] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)  # the tensors inside `container`, in order
    container: str = ""  # how the outputs are nested, as source: "(y0, [y1],)"
    size: int = 0  # number of registers

    def register(self, value: Any = None) -> int:
        """A new register; with a value, a constant one."""
        self.size += 1
        if value is not None:
            self.constants[self.size - 1] = value
        return self.size - 1


CONTAINERS = {
    "prim::ListConstruct": lambda *values: list(values),
    "prim::TupleConstruct": lambda *values: values,
    "prim::ListUnpack": lambda values: values if len(values) != 1 else values[0],
    "prim::TupleUnpack": lambda values: values if len(values) != 1 else values[0],
    "prim::NumToTensor": torch.tensor,
}


def read(module: torch.jit.ScriptModule) -> Graph:
    """Flatten `module.inlined_graph`; RuntimeError for control flow and calls left in it."""
    source, graph = module.inlined_graph, Graph()
    known: dict[str, int] = {}
    owner, *arguments = source.inputs()
    objects = {owner.debugName(): module}
    for value in arguments:
        known[value.debugName()] = graph.register()
        graph.inputs.append(known[value.debugName()])
    for node in source.nodes():
        _read_node(node, graph, known, objects)
    graph.container = _container(next(source.outputs()), graph, known)
    return graph


def _read_node(node, graph: Graph, known: dict, objects: dict) -> None:
    kind, outputs = node.kind(), list(node.outputs())
    if list(node.blocks()) or kind == "prim::CallMethod":
        raise RuntimeError(
            f"the graph holds {kind}: only straight-line graphs compile; export the "
            "model by tracing, or freeze it with torch.jit.freeze"
        )
    if kind == "prim::GetAttr":
        value = getattr(objects[node.input().debugName()], node.s("name"))
        objects[node.output().debugName()] = value
    elif kind == "prim::Constant":
        value = node.output().toIValue()
    else:
        for output in outputs:
            known[output.debugName()] = graph.register()
        graph.steps.append(_step(node, known))
        return
    if not isinstance(value, torch.nn.Module):
        known[node.output().debugName()] = register = graph.register()
        graph.constants[register] = value.detach() if isinstance(value, torch.Tensor) else value


def _step(node, known: dict) -> Step:
    kind = node.kind()
    inputs = [known[v.debugName()] for v in node.inputs()]
    outputs = [known[v.debugName()] for v in node.outputs()]
    if kind in CONTAINERS:
        return Step(kind, CONTAINERS[kind], [""] * len(inputs), 0, inputs, outputs)
    schema = torch._C.parse_schema(node.schema())
    arguments = schema.arguments[: len(inputs)]
    return Step(
        kind,
        _operator(schema),
        [a.name for a in arguments],
        sum(a.kwarg_only for a in arguments),
        inputs,
        outputs,
        mutates=_mutates(node.schema()),
        overload=schema.overload_name,
    )


def _operator(schema) -> Callable:
    """The torch.ops overload; a bare packet would re-resolve, and fails on aten::to."""
    namespace, name = schema.name.split("::")
    packet = getattr(getattr(torch.ops, namespace), name)
    return getattr(packet, schema.overload_name or "default")


def _mutates(schema: str) -> bool:
    """Whether the operator writes to an argument: "(a!)" in the part before the arrow."""
    return "!" in schema.split("->")[0]


def _container(value, graph: Graph, known: dict) -> str:
    kind = value.node().kind()
    if kind in ("prim::TupleConstruct", "prim::ListConstruct"):
        parts = [_container(v, graph, known) for v in value.node().inputs()]
        left, right = ("(", ",)") if kind == "prim::TupleConstruct" else ("[", "]")
        return left + ", ".join(parts) + right
    if not value.type().isSubtypeOf(torch._C.TensorType.get()):
        raise RuntimeError(
            f"an output of type {value.type()} does not compile; return tensors, "
            "or tuples and lists built from them"
        )
    graph.outputs.append(known[value.debugName()])
    return f"y{len(graph.outputs) - 1}"
