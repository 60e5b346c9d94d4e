"""What the emulator does, seen from inside an interpreter that has torch and torch_aie.

    python emulator_scenarios.py NAME [ARGUMENT ...]

runs one scenario and prints what it returns as JSON; `everything` runs all that take no argument,
one after the other in one process, which is itself a test: none of them may spoil the next.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
import warnings

import torch
import torch_aie
from emulator_model import detector, image
from torch_aie._emulator import device

warnings.simplefilter("ignore")
FP16 = torch_aie.PrecisionPolicy.FP16
INPUTS = [torch_aie.Input([1, 3, 64, 64], dtype=torch.float)]


def compiled(module=None, inputs=None, policy=FP16, **options):
    return torch_aie.compile(module or detector(), inputs or INPUTS, policy, **options)


def ready(outputs) -> list:
    """Outputs on the host, flattened from whatever nesting."""
    if isinstance(outputs, torch.Tensor):
        return [outputs.to("cpu")]
    return [leaf for output in outputs for leaf in ready(output)]


def same(left, right) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ready(left), ready(right)))


def raised(call) -> str:
    """The message of the RuntimeError that a call raises; "" when it raises none."""
    try:
        call()
    except RuntimeError as error:
        return str(error) or "(no message)"
    return ""


class switched:
    """One of the emulator's switches, for the length of a with block."""

    def __init__(self, name: str, value: str) -> None:
        self.variable, self.value = f"TORCH_AIE_EMULATOR_{name}", value

    def __enter__(self) -> None:
        os.environ[self.variable] = self.value

    def __exit__(self, *exc: object) -> None:
        del os.environ[self.variable]


class busy:
    """A device that works on something else for the length of a with block."""

    def __enter__(self) -> None:
        self.free = threading.Event()
        device.state.device.submit(self.free.wait)

    def __exit__(self, *exc: object) -> None:
        self.free.set()


def straight(forward, *inputs) -> torch.jit.ScriptModule:
    """A traced module made of one function."""
    module = torch.nn.Module()
    module.forward = forward
    return torch.jit.trace(module, inputs, check_trace=False)


def published_sample():
    torch_aie.set_device(0)
    model = torch_aie.compile(
        detector(nms=True), inputs=INPUTS,
        precision_policy=torch_aie._enums.PrecisionPolicy.FP16, soc_version="Ascend310P3",
        optimization_level=0, truncate_long_and_double=True, require_full_compilation=True,
        allow_tensor_replace_int=True, min_block_size=3, torch_executed_ops=[],
    )
    stream = torch_aie.npu.Stream("npu:0")
    with torch_aie.npu.stream(stream):
        outputs = model.eval().forward(image().to("npu:0"))
        stream.synchronize()
    arrays = [output.detach().to("cpu").numpy() for output in outputs]
    return {
        "version": torch_aie.__version__, "emulated": torch_aie.EMULATED,
        "script": isinstance(model, torch.jit.ScriptModule),
        "event": hasattr(torch_aie.npu, "Event"), "container": type(outputs).__name__,
        "shapes": [list(a.shape) for a in arrays], "dtypes": [a.dtype.name for a in arrays],
    }


def exactness():
    module = detector()
    with switched("ROUNDING", "off"):
        outputs = compiled(module)(image())
        equal = [torch.equal(a, b) for a, b in zip(ready(module(image())), ready(outputs))]
    return {"equal": equal, "nested": isinstance(outputs[1], tuple)}


def fp16_values():
    x = torch.randn(1, 3, 16, 16)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Sigmoid())
    module = torch.jit.trace(module.eval(), x)
    inputs = [torch_aie.Input(x.shape)]
    outputs = {p.name: ready(compiled(module, inputs, p)(x))[0] for p in torch_aie.PrecisionPolicy}
    with torch.no_grad():
        expected = module(x)
        worst = {name: float((y - expected).abs().max()) for name, y in outputs.items()}
    binary16 = {name: torch.equal(y, y.half().float()) for name, y in outputs.items()}
    return {"binary16": binary16, "worst": worst}


def batch_norm_with_a_huge_variance():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8))
    module.eval()
    module[0].weight.data.mul_(3000)
    module[1].running_var.fill_(2.2e6)
    x = torch.randn(1, 3, 16, 16)
    script = torch.jit.trace(module, x)
    with torch.no_grad():
        exact = module(x)
        ours = ready(compiled(script, [torch_aie.Input(x.shape)])(x))[0]
        for tensor in module.state_dict().values():
            tensor.copy_(tensor.half())
        naive = module(x)
    return {"exact": float(exact.std()), "naive": float(naive.std()),
            "worst": float((ours - exact).abs().max())}


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
    return {"unfilled": unfilled, "filled": torch.equal(early, expected),
            "copy": torch.equal(view.to("cpu"), expected[:, :1])}


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
    with switched("CPU_INPUT", "refuse"), switched("STRIDED_INPUT", "refuse"):
        refused = {name: raised(calls[name]) for name in ("host", "strided")}
    return {"messages": messages, "refused": refused, "survived": same(model(x), expected)}


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


def left_in_torch():
    library = torch.library.Library("strange", "DEF")
    library.define("third(Tensor x) -> Tensor")
    library.impl("third", lambda x: x / 3, "CompositeExplicitAutograd")
    x = torch.ones(1, 4)
    inputs = [torch_aie.Input([1, 4])]
    module = straight(lambda x: torch.ops.strange.third(x + 1).relu(), x)
    model = compiled(module, inputs)
    by_name = compiled(straight(lambda x: (x / 3).relu(), x), inputs, torch_executed_ops=["aten::div"])

    def census(script):
        nodes = script.graph.findAllNodes("torch_aie_emulator::left_in_torch")
        return [next(node.inputs()).toIValue() for node in nodes]

    return {"census": census(model), "by_name": census(by_name), "whole": census(compiled()),
            "value": float(ready(model(x))[0][0, 0]), "named": float(ready(by_name(x))[0][0, 0]),
            "refused": raised(lambda: compiled(module, inputs, require_full_compilation=True))}


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
        "host operator": raised(
            lambda: torch.ops.aie.batch_nms(boxes, scores, 0.05, 0.5, 2, 2)),
    }


def input_forms():
    enum, make = torch_aie.dtype, torch_aie.Input
    return {
        "same": make((1, 3), dtype=torch.float).dtype == make([1, 3], dtype=enum.FLOAT).dtype,
        "default": make([1]).dtype.name, "mode": make(min_shape=[1], max_shape=[2]).shape_mode.name,
        "unbounded": make(min_shape=[-1, 2], max_shape=[-1, 4]).accepts(torch.ones(9, 3)),
        "refused": [raised(lambda f=f: make(**f)) for f in (
            {"shape": [1] * 9}, {"shape": [-1]}, {"min_shape": [3], "max_shape": [2]},
            {"min_shape": [-1], "max_shape": [2]}, {"min_shape": [1]}, {},
            {"shape": [1], "dtype": torch.complex64})],
    }


def gears():
    module = straight(lambda x: x * 2, torch.ones(1, 2))
    model = compiled(module, [[torch_aie.Input([1, 2])], [torch_aie.Input([1, 4])]])
    ranged = compiled(module, [torch_aie.Input(min_shape=[1, 2], max_shape=[1, 3])])
    sizes = {n: torch.ones(1, n) for n in (2, 3, 4)}
    return {"gears": [raised(lambda n=n: model(sizes[n])) == "" for n in sizes],
            "range": [raised(lambda n=n: ranged(sizes[n])) == "" for n in sizes]}


def integer_outputs():
    model = compiled(straight(lambda x: x.argmax(1), torch.ones(1, 4)), [torch_aie.Input([1, 4])])
    kept = ready(model(torch.ones(1, 4)))[0].dtype
    with switched("INT64_OUTPUT", "truncate"):
        torch_aie.finalize()
        truncated = ready(model(torch.ones(1, 4)))[0].dtype
    torch_aie.finalize()
    return {"keep": str(kept), "truncate": str(truncated)}


def failing_work():
    model = compiled(straight(lambda x: x.view(2, 2).sum(0), torch.ones(4)),
                     [torch_aie.Input(min_shape=[4], max_shape=[6])])
    stream = torch_aie.npu.Stream()
    with torch_aie.npu.stream(stream):
        ready(model(torch.ones(4)))
        first = raised(lambda: ready(model(torch.ones(5))))
        stream.synchronize()
    return {"message": first, "survived": ready(model(torch.ones(4)))[0].tolist()}


def save(path):
    model = compiled(detector(nms=True))
    model.save(path)
    return {"outputs": [t.tolist() for t in ready(model(image(3)))]}


def load(path):
    model = torch.jit.load(path)
    torch_aie.set_device(0)
    outputs = [t.tolist() for t in ready(model(image(3).to("npu:0")))]
    model.payload[-1] ^= 1
    torch_aie.finalize()
    return {"outputs": outputs, "altered": raised(lambda: model(image(3)))}


def everything():
    skipped = {"compiled", "ready", "same", "raised", "straight", "save", "load", "everything"}
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return {name: function() for name, function in functions
            if function.__module__ == __name__ and name not in skipped}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
