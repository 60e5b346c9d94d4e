"""Props for the scenarios that self-tests of the emulator run in a child interpreter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import warnings

import torch
import torch_aie
from emulator_model import detector
from torch_aie._emulator import device

warnings.simplefilter("ignore")
FP16 = torch_aie.PrecisionPolicy.FP16
INPUTS = [torch_aie.Input([1, 3, 64, 64], dtype=torch.float)]
SCENARIOS: dict = {}


def scenario(function):
    """Register a function by its name; it returns what the test wants to see, JSON-able."""
    SCENARIOS[function.__name__] = function
    return function


def serve() -> None:
    """Run the scenario that the command line names, or all that take no argument; print JSON."""
    name, *arguments = sys.argv[1:]
    if name == "everything":
        plain = {n: f for n, f in SCENARIOS.items() if not f.__code__.co_argcount}
        print(json.dumps({n: f() for n, f in plain.items()}))
    else:
        print(json.dumps(SCENARIOS[name](*arguments)))


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
    """The message of the RuntimeError that a call raises, and what it logged; "" without one."""
    log = io.StringIO()
    try:
        with contextlib.redirect_stderr(log):
            call()
    except RuntimeError as error:
        return f"{error} {log.getvalue()}"
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
