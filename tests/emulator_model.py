"""A detector in miniature for the emulator's self-tests; runs in a child interpreter with torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

SIDE, CLASSES, TOP = 64, 4, 20


class Detector(nn.Module):
    """Convolution, BatchNorm, two FPN levels, per-class topk, gather, decode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.deep = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32))
        self.lateral = nn.ModuleList([nn.Conv2d(16, 16, 1), nn.Conv2d(32, 16, 1)])
        self.scores = nn.Conv2d(16, 3 * CLASSES, 3, 1, 1)
        self.deltas = nn.Conv2d(16, 12, 3, 1, 1)
        cells = [[-4.0, -4, 4, 4], [-8, -4, 8, 4], [-4, -8, 4, 8]]
        self.register_buffer("cells", torch.tensor(cells))

    def anchors(self, height, width, stride):
        ys = torch.arange(0, height * stride, stride, dtype=torch.float32)
        xs = torch.arange(0, width * stride, stride, dtype=torch.float32)
        y, x = torch.meshgrid(ys, xs)
        shifts = torch.stack([x.reshape(-1), y.reshape(-1)] * 2, 1)
        return (shifts[:, None] + self.cells[None]).reshape(-1, 4)

    def level(self, features, stride):
        height, width = features.shape[-2:]
        logits, deltas = self.scores(features), self.deltas(features)
        logits = logits.view(1, 3, CLASSES, height, width).permute(0, 3, 4, 1, 2)
        deltas = deltas.view(1, 3, 4, height, width).permute(0, 3, 4, 1, 2).reshape(-1, 4)
        scores, index = logits.reshape(-1, CLASSES).sigmoid_().topk(TOP, dim=0)
        anchors, deltas = self.anchors(height, width, stride)[index], deltas[index]
        sizes = anchors[..., 2:] - anchors[..., :2]
        centres = anchors[..., :2] + 0.5 * sizes + deltas[..., :2] * sizes
        half = 0.5 * torch.exp(deltas[..., 2:].clamp(max=4.135)) * sizes
        return torch.cat([centres - half, centres + half], -1), scores

    def forward(self, image):
        fine = self.stem(image)
        coarse = self.lateral[1](functional.relu(self.deep(fine)))
        fine = self.lateral[0](fine) + functional.interpolate(coarse, scale_factor=2.0)
        levels = [self.level(fine, 2), self.level(coarse, 4)]
        boxes = torch.cat([b for b, _ in levels]).reshape(1, -1, CLASSES, 4).half()
        scores = torch.cat([s for _, s in levels]).reshape(1, -1, CLASSES).half()
        return boxes, (scores, torch.tensor([3, SIDE]))


class Suppressed(nn.Module):
    """A traced detector with NMS behind it, and the outputs of the RetinaNet that ships."""

    def __init__(self, core) -> None:
        super().__init__()
        self.core = core

    def forward(self, image):
        boxes, (scores, shape) = self.core(image)
        boxes, scores, labels, _ = torch.ops.aie.batch_nms(boxes, scores, 0.05, 0.5, 20, 10)
        return boxes.float()[0], labels.long().reshape(-1, 1), scores.float()[0], shape


def image(seed: int = 0) -> torch.Tensor:
    """A seeded input (1, 3, 64, 64) float32."""
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def detector(nms: bool = False) -> torch.jit.ScriptModule:
    """The traced detector with seeded weights and BatchNorm statistics far from 0 and 1."""
    torch.manual_seed(0)
    model = Detector().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 4)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    traced = torch.jit.trace(model, image(), check_trace=False)
    # Scripted, because without the operator library nothing can run this operator to trace it.
    return torch.jit.script(Suppressed(traced)).eval() if nms else traced
