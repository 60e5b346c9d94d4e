"""Faults of network, losses and optimiser."""

from __future__ import annotations

import types

import network as networks
import optimiser as optimisers
import precision
import torch


def _built(change):
    """The network, changed after it was filled."""
    build = networks.build

    def fault(spec, seed):
        network = build(spec, seed)
        change(network)
        return network

    networks.build = fault


def _weighed(change):
    """The losses by name, changed: change(losses) -> losses."""

    def wrap(network):
        compute = network.compute_loss
        network.compute_loss = lambda *args: change(compute(*args))

    _built(wrap)


def _spec(**values):
    """The optimiser's part of the plan, changed where it is read; a function of the value, or one."""
    make = optimisers.make

    def fault(spec, weights):
        new = {k: v(spec[k]) if callable(v) else v for k, v in values.items()}
        return make({**spec, **new}, weights)

    optimisers.make = fault


def _without_gradient(value, share=0.0):
    """A value that is reported as it is, and of whose gradient a share is left."""
    return value.detach() + share * (value - value.detach())


# --- the network


def _logits(network):
    return network.head.classification_head.cls_logits


def prior_zero():
    _built(lambda n: torch.nn.init.zeros_(_logits(n).bias))


def anchors_double():
    def fault(network):
        cells = network.anchor_generator.cell_anchors
        network.anchor_generator.cell_anchors = [cell * 2 for cell in cells]

    _built(fault)


def frozen_stem_trains():
    _built(lambda n: n.backbone.body.stem.requires_grad_(True))


def backbone_frozen():
    _built(lambda n: n.backbone.body.requires_grad_(False))


def batch_norm_in_eval():
    """Statistics that were never gathered, in place of those of the batch."""
    _batch_norm(lambda norm: norm.eval())


def batch_norm():
    """Normalised by the batch of a rank, whose running statistics are its own."""
    _batch_norm(lambda norm: None)


def _batch_norm(then):
    class Norm(torch.nn.BatchNorm2d):
        def train(self, mode=True):
            super().train(mode)
            then(self) if mode else None
            return self

    networks._group_norm = Norm


def heads_share_a_seed():
    _built(
        lambda n: n.head.regression_head.conv.load_state_dict(
            n.head.classification_head.conv.state_dict()
        )
    )


def other_seed():
    build = networks.build
    networks.build = lambda spec, seed: build(spec, seed + 1)


def resized_otherwise():
    build = networks.build
    networks.build = lambda spec, seed: build({**spec, "min_size": spec["min_size"] - 8}, seed)


def not_normalised():
    _built(lambda n: setattr(n.transform, "normalize", lambda image: image))


# --- the losses: what is reported stays as it was


def box_loss_dropped():
    _weighed(lambda x: {**x, "bbox_regression": _without_gradient(x["bbox_regression"])})


def box_loss_tenfold():
    _weighed(lambda x: {**x, "bbox_regression": _without_gradient(x["bbox_regression"], 10.0)})


def loss_halved():
    _weighed(lambda x: {k: _without_gradient(v, 0.5) for k, v in x.items()})


def loss_halved_and_said():
    _weighed(lambda x: {k: v / 2 for k, v in x.items()})


# --- the optimiser


def lr_tenfold():
    _spec(lr=lambda v: v * 10)


def lr_double():
    _spec(lr=lambda v: v * 2)


def lr_half():
    _spec(lr=lambda v: v / 2)


def lr_tenth():
    _spec(lr=lambda v: v / 10)


def lr_double_unsaid():
    """The rate that is logged is the recipe's; the step takes twice of it."""
    _stepped(lambda optimiser, step: _scaled(optimiser, step, 2.0))


def _stepped(change):
    make = optimisers.make

    def fault(spec, weights):
        optimiser = make(spec, weights)
        step = optimiser.step
        optimiser.step = types.MethodType(lambda self: change(self, step), optimiser)
        return optimiser

    optimisers.make = fault


def _scaled(optimiser, step, factor):
    group = optimiser.param_groups[0]
    rate, group["lr"] = group["lr"], group["lr"] * factor
    step()
    group["lr"] = rate


def momentum_zero():
    _spec(momentum=0.0)


def nesterov():
    _grouped(nesterov=True)


def dampening():
    _grouped(dampening=0.9)


def _grouped(**values):
    make = optimisers.make

    def fault(spec, weights):
        optimiser = make(spec, weights)
        optimiser.param_groups[0].update(values)
        return optimiser

    optimisers.make = fault


def decay_zero():
    _spec(weight_decay=0.0)


def decay_hundredfold():
    _spec(weight_decay=lambda v: v * 100)


def decay_not_of_norms():
    """A custom of other recipes: tensors of one dimension are not decayed."""
    make = optimisers.make

    def fault(spec, weights):
        optimiser = make(spec, weights)
        flat = [p for p in weights if p.dim() == 1]
        group = optimiser.param_groups[0]
        group["params"] = [p for p in weights if p.dim() > 1]
        optimiser.add_param_group({**group, "params": flat, "weight_decay": 0.0})
        return optimiser

    optimisers.make = fault


def box_head_left_out():
    make = optimisers.make
    optimisers.make = lambda spec, weights: make(spec, weights[:-8])


def no_step():
    _stepped(lambda optimiser, step: None)


def gradients_kept():
    precision.Full.clear = lambda self, optimiser: None


def gradients_clipped():
    def fault(optimiser, step):
        torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 1.0)
        step()

    _stepped(fault)


def adam():
    optimisers.make = lambda spec, weights: torch.optim.AdamW(weights, lr=spec["lr"])
