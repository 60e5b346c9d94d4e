"""What the emulator computes: folding, rounding, containers; scenarios of emulator_scenarios.py."""

from __future__ import annotations

import torch
import torch_aie
from emulator_model import detector, image
from emulator_stage import compiled, ready, scenario, switched


@scenario
def exactness():
    module = detector()
    with switched("ROUNDING", "off"):
        outputs = compiled(module)(image())
        equal = [torch.equal(a, b) for a, b in zip(ready(module(image())), ready(outputs))]
    return {"equal": equal}


class Nest(torch.nn.Module):
    def forward(self, x):
        return (x, [x, x + 1]), x * 2


@scenario
def containers():
    outputs = compiled(torch.jit.script(Nest()), [torch_aie.Input([1])])(torch.ones(1))
    values = [leaf.item() for leaf in ready(outputs)]
    return {
        "types": [type(o).__name__ for o in (outputs, outputs[0], outputs[0][1])],
        "values": values,
    }


@scenario
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


def normalised(*layers, variance, size):
    """Signal and worst error of an fp16 engine, and the signal when BatchNorm is rounded as is."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(*layers, torch.nn.BatchNorm2d(8)).eval()
    module[-1].running_var.fill_(variance)
    x = torch.randn(1, *size) * variance**0.5
    script = torch.jit.trace(module, x)
    with torch.no_grad():
        exact = module(x)
        ours = ready(compiled(script, [torch_aie.Input(x.shape)])(x))[0]
        for tensor in module.state_dict().values():
            tensor.copy_(tensor.half())
        naive = module(x)
    spread, error = float(exact.std()), float((ours - exact).abs().max())
    return {"exact": spread, "naive": float(naive.std()), "worst": error}


@scenario
def batch_norm():
    conv, wide = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(3, 8, 3, bias=False)
    torch.nn.init.constant_(conv.bias, 3.0)
    wide.weight.data.mul_(100)  # its output passes 65504, and comes back only by the scale
    return {
        "after a convolution": normalised(wide, variance=2.2e6, size=(3, 16, 16)),
        "on its own": normalised(variance=2.2e6, size=(8, 4, 4)),
        "with a bias": normalised(conv, variance=4.0, size=(3, 16, 16)),
    }


@scenario
def written_constants():
    module = torch.nn.Module()
    module.register_buffer("start", torch.ones(4))
    module.forward = lambda x: (module.start * 2).add_(x)
    model = compiled(torch.jit.trace(module, torch.ones(4)), [torch_aie.Input([4])])
    return [ready(model(torch.ones(4)))[0].tolist() for _ in range(3)]
