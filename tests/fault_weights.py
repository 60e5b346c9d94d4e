"""Weights that are lost, exchanged, rounded or only a little other: changes of a network in place."""

from __future__ import annotations

import torch
from torch import nn


def random_backbone(net):
    torch.manual_seed(1)
    for module in net.backbone.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()


def initial_head(net):
    torch.manual_seed(1)
    for module in net.head.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.normal_(std=0.01)
            module.bias.zero_()
    net.head.cls_score.bias.fill_(-4.59512)


def lose_statistics(net):
    for name, value in net.state_dict().items():
        if "running" in name:
            value.fill_(1.0 if name.endswith("var") else 0.0)


def exchange_levels(net):
    state = net.state_dict()
    for kind in ("weight", "bias"):
        one, other = (state[f"backbone.fpn_output{level}.{kind}"] for level in (3, 4))
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)


def norm_of_the_image(x, mean, var, weight, bias, training, momentum, eps):
    return torch.batch_norm(x, weight, bias, mean, var, True, 0.0, eps, False)


def nudged(value):
    """A little training: each number moves by a per mille."""
    return value * (1 + 1e-3 * torch.randn(value.shape))


def load_a_part(net):
    """Trained further, but the FPN's biases are as a new network has them."""
    for name, value in net.state_dict().items():
        value.copy_(value * 0 if "fpn" in name and "bias" in name else nudged(value))


def eight_bits(value):
    """Rounded to 255 levels per tensor."""
    step = value.abs().max() / 127
    return (value / step).round() * step
