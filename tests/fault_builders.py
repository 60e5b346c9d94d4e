"""How a faulty model is made: the network, its weights, the rewrite or its outputs are changed."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import fault_modules as modules
import model
import recipe as rewrite
import torch
import torchvision
import weights as sources

ABSENT = object()


class Bench:
    """Builds exports of one subject; arguments as those of the export worker's `export`."""

    def __init__(self, spec: dict, recipe: dict, weights: dict, sizes: list) -> None:
        self.spec, self.recipe, self.weights, self.sizes = spec, recipe, weights, sizes

    def network(self) -> model.RetinaNet:
        """The declared network with the declared weights."""
        network = model.RetinaNet(self.spec).eval()
        sources.fill(network, self.weights)
        return network.requires_grad_(False)

    def trace(
        self, network=None, before=None, after=None, size=None, shape=None, decode=None, **recipe
    ):
        """A traced export; `before` changes the image, `after` the outputs."""
        inner = rewrite.Recipe(
            network or self.network(), {**self.recipe, **recipe}, decode or rewrite.decode
        )
        size = size or self.sizes[0]
        image = torch.zeros(shape or (1, 3, size, size))
        whole = modules.Whole(inner, before, after).eval()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.trace(whole, (image,), check_trace=False)


def image(change):
    """The image is changed inside the model."""
    return lambda bench: bench.trace(before=change)


def outputs(change):
    """The outputs (boxes, labels, scores, size) are changed inside the model."""
    return lambda bench: bench.trace(after=change)


def boxes(change):
    """Only the boxes are changed."""
    return outputs(lambda b, c, s, z: (change(b), c, s, z))


def labels(change):
    """Only the labels are changed."""
    return outputs(lambda b, c, s, z: (b, change(c), s, z))


def attribute(**values):
    """The NMS operator or the topk is called with other attributes."""
    return lambda bench: bench.trace(**values)


def network(change):
    """The network or its weights are changed."""

    def build(bench: Bench):
        changed = bench.network()
        with torch.no_grad():
            changed = change(changed) or changed
        return bench.trace(changed)

    return build


def code(module, **names):
    """The export's code has a bug: `names` stand in for those of the module while it is traced."""

    def build(bench: Bench):
        with replaced(module, **names):
            return bench.trace()

    return build


@contextmanager
def replaced(module, **names):
    """Names of a module that are others for a while."""
    # As stored, not as looked up: a static method is to be put back as one.
    kept = {name: vars(module).get(name, ABSENT) for name in names}
    try:
        for name, value in names.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in kept.items():
            delattr(module, name) if value is ABSENT else setattr(module, name, value)


def candidates(score=torch.sigmoid, choose=None, levels=slice(None)):
    """The rewrite's candidates with another activation, choice of rows or set of levels."""

    def build(logits, deltas, anchors, topk, decode):
        boxes, scores = [], []
        for x, d, a in list(zip(logits, deltas, anchors))[levels]:
            best, rows = (choose or _best)(score(x), topk)
            boxes.append(decode(d[rows.flatten()], a[rows.flatten()]))
            scores.append(best)
        boxes = [b.reshape(-1, s.shape[1], 4) for b, s in zip(boxes, scores)]
        return torch.cat(boxes), torch.cat(scores)

    return code(rewrite, candidates=build)


def _best(scores, topk):
    return torch.topk(scores, topk, dim=0)


def wrong_axis(scores, topk):
    best, rows = torch.topk(scores.reshape(scores.shape[1], -1), topk, dim=1)
    return best.t(), rows.t()


def best_anchors(scores, topk):
    rows = torch.topk(scores.max(1).values, topk).indices
    return scores[rows], rows[:, None].expand(-1, scores.shape[1])


def unordered(scores, topk):
    best, rows = torch.topk(scores, topk, dim=0)
    return best.flip(0), rows.flip(0)


def decode(deltas=lambda d: d, anchors=lambda a: a, extra=0.0):
    """Decoding with changed deltas or anchors, or pixels counted inclusively."""

    def changed(d, a):
        grown = a + a.new_tensor([0.0, 0.0, extra, extra])
        moved = rewrite.decode(deltas(d), anchors(grown))
        return moved - d.new_tensor([0.0, 0.0, extra, extra])

    return lambda bench: bench.trace(decode=changed)


def cells(change):
    """The base anchors of each level are changed: change(list of (A, 4)) -> list."""

    def apply(net):
        generator = net.anchor_generator
        names = [f"cell_anchors_{i}" for i in range(len(generator.strides))]
        for name, cell in zip(names, change([getattr(generator, n) for n in names])):
            setattr(generator, name, cell)

    return network(apply)


def half_a_stride(x, cell, stride, plain=model.AnchorGenerator._level):
    return plain(x, cell, stride) + stride / 2


def baked(bench: Bench):
    net = bench.network()
    side = bench.sizes[0]
    net.anchor_generator = modules.Baked(net(torch.zeros(1, 3, side, side))[2])
    return bench.trace(net)


def each(change, only=lambda name, value: True):
    def apply(net):
        torch.manual_seed(2)
        for name, value in net.state_dict().items():
            if only(name, value):
                value.copy_(change(value))

    return network(apply)


def one(name: str, change):
    return each(change, lambda key, value: key == name)


def decode_in_half(deltas, anchors):
    """All of the decoding in float16."""
    return rewrite.decode(deltas.half(), anchors.half()).float()


def scripted(wrapper):
    """A scripted module around the traced one."""
    return lambda bench: torch.jit.script(wrapper(bench.trace()).eval())


def unknown_operator(bench: Bench):
    if not hasattr(torch.ops.elsewhere, "identity"):
        library = torch.library.Library("elsewhere", "DEF")
        library.define("identity(Tensor x) -> Tensor")
        library.impl("identity", lambda x: x.clone(), "CPU")
        bench.__class__.library = library
    return bench.trace(before=lambda x: torch.ops.elsewhere.identity(x))


def without_nms(bench: Bench):
    """The best 100 scores, whatever they overlap."""

    class Best(rewrite.Recipe):
        def forward(self, image):
            logits, deltas, anchors = self.model(image)
            rows = [[x[0] for x in logits], [x[0] for x in deltas], anchors]
            b, s = rewrite.candidates(*rows, self.recipe["topk_per_class"])
            best, at = s.flatten().topk(100)
            return (
                b.reshape(-1, 4)[at],
                (at % s.shape[1]).reshape(-1, 1),
                best,
                torch.zeros(2).long(),
            )

    with replaced(rewrite, Recipe=Best):
        return bench.trace()


def float32_nms(bench: Bench):
    with replaced(torch.Tensor, half=torch.Tensor.float):
        return bench.trace()


def inlined(bench: Bench):
    traced = bench.trace()
    torch._C._jit_pass_inline(traced.graph)
    torch._C._jit_pass_cse(traced.graph)
    return traced


def frozen(bench: Bench):
    return torch.jit.freeze(bench.trace().eval())


def frozen_other_weights(bench: Bench):
    net = bench.network()
    for value in net.state_dict().values():
        value.mul_(1.02)
    return torch.jit.freeze(bench.trace(net).eval())


def function(bench: Bench):
    def scale(image: torch.Tensor) -> torch.Tensor:
        return image * 0.5 + 1.0

    return torch.jit.trace(scale, (torch.zeros(1, 3, 8, 8),))


def classifier(bench: Bench):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(torchvision.models.resnet18().eval(), torch.zeros(1, 3, 64, 64))
