"""fp32, amp and fp16, each of which really computes in what it says.

fp32 leaves everything alone (whether a card may use TF32 is a flag of the run). amp is autocast:
float16 with a gradient scaler on a card, bfloat16 on a CPU; parameters stay float32. fp16 keeps
parameters, activations and gradients of the network in half precision; losses, anchors and the
optimiser's own copy of the weights stay float32, because half precision cannot hold their range.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from refusal import Unfit
from torch import nn

LOSS_SCALE = 1024.0  # keeps the small gradients of fp16 off zero; the first choice of most recipes


class Full:
    """float32 throughout, and the interface of the others."""

    steps = skipped = 0

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network, self.device = network, device

    def weights(self) -> list[nn.Parameter]:
        """What the optimiser changes."""
        return [p for p in self.network.parameters() if p.requires_grad]

    def clear(self, optimiser: torch.optim.Optimizer) -> None:
        """Forget the gradients of the step before."""
        optimiser.zero_grad()

    def context(self) -> contextlib.AbstractContextManager:
        """What the forward pass runs in."""
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
        """Leave unscaled gradients."""
        loss.backward()

    def gradients(self) -> Iterator[tuple[str, torch.Tensor]]:
        """(name, gradient in float32) of every parameter that has one."""
        for name, parameter in self.network.named_parameters():
            if parameter.grad is not None:
                yield name, parameter.grad.detach().float()

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Change the weights, or skip the step where gradients overflowed."""
        optimiser.step()
        self.steps += 1

    def state(self) -> dict:
        """What a checkpoint must keep."""
        return {}

    def load(self, state: dict) -> None:
        """Take that back."""


class Mixed(Full):
    """Autocast; a GradScaler where float16 needs one."""

    taken = 0

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__(network, device)
        self.dtype = torch.float16 if device == "cuda" else torch.bfloat16
        # torch 2.3 moved it; the old place warns and will go.
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler
        # torch's own first scale, 65536, overflows and skips until it is small enough.
        self.scaler = scaler(init_scale=LOSS_SCALE, enabled=device == "cuda")

    def context(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device, dtype=self.dtype)

    def backward(self, loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimiser)

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        if not self.steps:  # the scaler's own count would have to be read from the device
            optimiser.register_step_post_hook(self._took)
        self.scaler.step(optimiser)
        self.scaler.update()
        self.steps += 1

    def _took(self, *unused: object) -> None:
        self.taken += 1

    @property
    def skipped(self) -> int:
        """Steps that the scaler left out."""
        return self.steps - self.taken

    def state(self) -> dict:
        return self.scaler.state_dict()

    def load(self, state: dict) -> None:
        self.scaler.load_state_dict(state)


class Half(Full):
    """Half-precision network, float32 master weights, a fixed loss scale."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__(network, device)
        _check_convolves(device)
        self.masters = [p.detach().clone().float() for p in super().weights()]
        network.backbone.half()
        network.head.half()
        network.backbone.register_forward_pre_hook(lambda module, inputs: (inputs[0].half(),))
        network.head.register_forward_hook(lambda module, inputs, out: _floated(out))
        # Anchors take their dtype from the maps, and half precision cannot place a pixel of 1333.
        network.anchor_generator.register_forward_pre_hook(
            lambda module, inputs: (inputs[0], [_outline(x) for x in inputs[1]])
        )

    def weights(self) -> list[torch.Tensor]:
        return self.masters

    def clear(self, optimiser: torch.optim.Optimizer) -> None:
        self.network.zero_grad()  # the optimiser only knows the masters' gradients

    def backward(self, loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
        (loss * LOSS_SCALE).backward()
        for master, parameter in zip(self.masters, super().weights()):
            master.grad = parameter.grad.float() / LOSS_SCALE

    def gradients(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, gradient in super().gradients():
            yield name, gradient / LOSS_SCALE

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        self.steps += 1
        finite = torch.stack([m.grad.isfinite().all() for m in self.masters]).all()
        if not finite:  # one look at the device an iteration: the price of not diverging in half
            self.skipped += 1
            return
        optimiser.step()
        with torch.no_grad():
            for master, parameter in zip(self.masters, super().weights()):
                parameter.copy_(master)

    def state(self) -> dict:
        return {"masters": self.masters}

    def load(self, state: dict) -> None:
        for mine, given in zip(self.masters, state["masters"]):
            mine.copy_(given)


def _check_convolves(device: str) -> None:
    try:
        nn.Conv2d(1, 1, 1).to(device).half()(torch.zeros(1, 1, 1, 1, device=device).half())
    except RuntimeError:
        raise Unfit(
            f"torch {torch.__version__} cannot convolve in half precision on this {device}; run fp16 "
            "on a card, or take a newer torch"
        ) from None


def _floated(outputs: dict) -> dict:
    return {name: value.float() for name, value in outputs.items()}


def _outline(features: torch.Tensor) -> torch.Tensor:
    """A map's shape in float32, without its values."""
    return features.new_empty(1, dtype=torch.float32).expand(features.shape)


KINDS = {"fp32": Full, "amp": Mixed, "fp16": Half}


def switch(plan: dict) -> None:
    """Set the flags that decide what a card computes in, and whether it repeats itself."""
    torch.backends.cudnn.allow_tf32 = plan["tf32"]["conv"]
    torch.backends.cuda.matmul.allow_tf32 = plan["tf32"]["matmul"]
    torch.backends.cudnn.deterministic = plan["deterministic"]
    torch.backends.cudnn.benchmark = not plan["deterministic"]
    torch.use_deterministic_algorithms(plan["deterministic"], warn_only=True)
