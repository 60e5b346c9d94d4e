"""What the emulator does, seen from inside an interpreter that has torch and torch_aie.

    python emulator_scenarios.py NAME [ARGUMENT ...]

`everything` runs all scenarios without arguments, one after the other in one process, which is
itself a test: none of them may spoil the next.
"""

from __future__ import annotations

import emulator_arithmetic  # noqa: F401  (registers its scenarios)
import torch
import torch_aie
from emulator_model import detector, image
from emulator_stage import (
    INPUTS,
    busy,
    compiled,
    raised,
    ready,
    same,
    scenario,
    serve,
    straight,
    switched,
)


@scenario
def published_sample():
    torch_aie.set_device(0)
    model = torch_aie.compile(
        detector(nms=True),
        inputs=INPUTS,
        precision_policy=torch_aie._enums.PrecisionPolicy.FP16,
        soc_version="Ascend310P3",
        optimization_level=0,
        truncate_long_and_double=True,
        require_full_compilation=True,
        allow_tensor_replace_int=True,
        min_block_size=3,
        torch_executed_ops=[],
    )
    stream = torch_aie.npu.Stream("npu:0")
    with torch_aie.npu.stream(stream):
        outputs = model.eval().forward(image().to("npu:0"))
        stream.synchronize()
    arrays = [output.detach().to("cpu").numpy() for output in outputs]
    return {
        "version": torch_aie.__version__,
        "emulated": torch_aie.EMULATED,
        "script": isinstance(model, torch.jit.ScriptModule),
        "event": hasattr(torch_aie.npu, "Event"),
        "container": type(outputs).__name__,
        "shapes": [list(a.shape) for a in arrays],
        "dtypes": [a.dtype.name for a in arrays],
    }


@scenario
def asynchronous():
    model, x, stream = compiled(), image().to("npu:0"), torch_aie.npu.Stream("npu:0")
    expected = ready(model(x))[0]
    with busy(), torch_aie.npu.stream(stream):
        early = model(x)[0]
        unfilled = bool(early.isnan().all())
    stream.synchronize()
    with busy():
        copied = model(x)[0]
        view = copied.detach()[:, :1]
    return {
        "unfilled": unfilled,
        "filled": torch.equal(early, expected),
        "copy": torch.equal(view.to("cpu"), expected[:, :1]),
    }


@scenario
def bad_inputs():
    model, x = compiled(), image().to("npu:0")
    expected = model(x)
    calls = {
        "shape": lambda: model(torch.zeros(1, 3, 60, 60)),
        "dtype": lambda: model(image().double()),
        "device": lambda: model(image().to("npu:1")),
        "strided": lambda: model(image().permute(0, 1, 3, 2)),
        "host": lambda: model(image()),
    }
    messages = {name: raised(call) for name, call in calls.items()}
    with switched("CPU_INPUT", "refuse"):
        refused = {"host": raised(calls["host"])}
    with switched("STRIDED_INPUT", "refuse"):
        refused["strided"] = raised(calls["strided"])
    return {"messages": messages, "refused": refused, "survived": same(model(x), expected)}


@scenario
def held_outputs():
    model = compiled()
    first = ready(model(image(1).to("npu:0")))
    held = model(image(1).to("npu:0"))
    model(image(2).to("npu:0"))
    kept = same(held, first)
    with switched("OUTPUT_MEMORY", "reuse"):
        held = model(image(1).to("npu:0"))
        ready(held)
        ready(model(image(2).to("npu:0")))
        return {"kept": kept, "overwritten": not same(held, first)}


@scenario
def left_in_torch():
    library = torch.library.Library("strange", "DEF")
    library.define("third(Tensor x) -> Tensor")
    library.impl("third", lambda x: x / 3, "CompositeExplicitAutograd")
    x = torch.ones(1, 4)
    inputs = [torch_aie.Input([1, 4])]
    module = straight(lambda x: torch.ops.strange.third(x + 1).relu(), x)
    model = compiled(module, inputs)
    third = straight(lambda x: (x / 3).relu(), x)
    by_name = compiled(third, inputs, torch_executed_ops=["aten::div"])

    def census(script):
        nodes = script.graph.findAllNodes("torch_aie_emulator::left_in_torch")
        return [next(node.inputs()).toIValue() for node in nodes]

    kinds = {node.kind() for node in compiled().inlined_graph.nodes()}
    return {
        "foreign": sorted(k for k in kinds if not k.startswith(("prim::", "torch_aie_emulator::"))),
        "census": census(model),
        "by_name": census(by_name),
        "whole": census(compiled()),
        "value": float(ready(model(x))[0][0, 0]),
        "named": float(ready(by_name(x))[0][0, 0]),
        "refused": raised(lambda: compiled(module, inputs, require_full_compilation=True)),
    }


@scenario
def refusals():
    x, inputs = torch.ones(2), [torch_aie.Input([2])]

    class Loop(torch.nn.Module):
        def forward(self, x):
            for _ in range(int(x[0])):
                x = x + 1
            return x

    boxes, scores = torch.ones(1, 2, 1, 4).half(), torch.ones(1, 2, 1).half()
    number = torch.jit.trace(torch.nn.ReLU(), x)
    return {
        "control flow": raised(lambda: compiled(torch.jit.script(Loop()), inputs)),
        "eager": raised(lambda: compiled(torch.nn.ReLU(), inputs)),
        "soc": raised(lambda: compiled(number, inputs, soc_version="Ascend910B4")),
        "count": raised(lambda: compiled(number, inputs * 2)),
        "device id": raised(lambda: torch_aie.set_device(1025)),
        "nothing": raised(lambda: torch_aie.compile(number, [])),
        "host operator": raised(lambda: torch.ops.aie.batch_nms(boxes, scores, 0.05, 0.5, 2, 2)),
    }


@scenario
def input_forms():
    enum, make = torch_aie.dtype, torch_aie.Input
    return {
        "same": make((1, 3), dtype=torch.float).dtype == make([1, 3], dtype=enum.FLOAT).dtype,
        "default": make([1]).dtype.name,
        "mode": make(min_shape=[1], max_shape=[2]).shape_mode.name,
        "unbounded": make(min_shape=[-1, 2], max_shape=[-1, 4]).accepts(torch.ones(9, 3)),
        "refused": [
            raised(lambda f=f: make(**f))
            for f in (
                {"shape": [1] * 9},
                {"shape": [-1]},
                {"min_shape": [3], "max_shape": [2]},
                {"min_shape": [-1], "max_shape": [2]},
                {"min_shape": [1]},
                {},
                {"shape": [1], "dtype": torch.complex64},
            )
        ],
    }


@scenario
def gears():
    module = straight(lambda x: x * 2, torch.ones(1, 2))
    model = compiled(module, [[torch_aie.Input([1, 2])], [torch_aie.Input([1, 4])]])
    ranged = compiled(module, [torch_aie.Input(min_shape=[1, 2], max_shape=[1, 3])])
    sizes = {n: torch.ones(1, n) for n in (2, 3, 4)}
    return {
        "gears": [raised(lambda n=n: model(sizes[n])) == "" for n in sizes],
        "range": [raised(lambda n=n: ranged(sizes[n])) == "" for n in sizes],
    }


@scenario
def integer_outputs():
    model = compiled(straight(lambda x: x.argmax(1), torch.ones(1, 4)), [torch_aie.Input([1, 4])])
    kept = ready(model(torch.ones(1, 4)))[0].dtype
    with switched("INT64_OUTPUT", "truncate"):
        torch_aie.finalize()
        truncated = ready(model(torch.ones(1, 4)))[0].dtype
    torch_aie.finalize()
    return {"keep": str(kept), "truncate": str(truncated)}


@scenario
def failing_work():
    module = straight(lambda x: torch.arange(4.0)[x.long()], torch.zeros(2))
    model, stream = compiled(module, [torch_aie.Input([2])]), torch_aie.npu.Stream()
    model(torch.ones(2))
    with torch_aie.npu.stream(stream):
        accepted = raised(lambda: model(torch.full((2,), 9.0))) == ""
        message = raised(stream.synchronize)
        survived = model(torch.ones(2))
        stream.synchronize()
    return {"accepted": accepted, "message": message, "survived": survived.tolist()}


@scenario
def save(path):
    model = compiled(detector(nms=True))
    model.save(path)
    return {"outputs": [t.tolist() for t in ready(model(image(3)))]}


@scenario
def load(path):
    model = torch.jit.load(path)
    torch_aie.set_device(0)
    outputs = [t.tolist() for t in ready(model(image(3).to("npu:0")))]
    model.payload[-1] ^= 1
    torch_aie.finalize()
    return {"outputs": outputs, "altered": raised(lambda: model(image(3)))}


if __name__ == "__main__":
    serve()
