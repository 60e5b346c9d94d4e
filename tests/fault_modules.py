"""Modules around an exported model, each of which spoils it (or changes nothing that matters)."""

from __future__ import annotations

import torch
from torch import nn


class Whole(nn.Module):
    """The rewrite with something before or after it."""

    def __init__(self, inner: nn.Module, before, after) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, image):
        found = self.inner(image if self.before is None else self.before(image))
        return found if self.after is None else self.after(*found)


class Baked(nn.Module):
    """Anchors computed once, for one size."""

    def __init__(self, anchors) -> None:
        super().__init__()
        self.anchors = anchors

    def forward(self, features):
        return self.anchors


class Agnostic(nn.Module):
    """Suppresses what other classes overlap, after the NMS per class."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image):
        b, c, s, z = self.inner(image)
        keep = torch.ops.torchvision.nms(b, s, 0.5)
        keep = keep[s[keep] > 0]
        n = keep.shape[0]
        boxes, labels, scores = torch.zeros_like(b), torch.zeros_like(c), torch.zeros_like(s)
        boxes[:n], labels[:n], scores[:n] = b[keep], c[keep], s[keep]
        return boxes, labels, scores, z


class Cached(nn.Module):
    """Answers every call with the first call's result."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner
        self.known: bool = False
        self.boxes, self.labels = torch.zeros(1), torch.zeros(1)
        self.scores, self.size = torch.zeros(1), torch.zeros(1)

    def forward(self, image):
        if not self.known:
            self.boxes, self.labels, self.scores, self.size = self.inner(image)
            self.known = True
        return self.boxes, self.labels, self.scores, self.size


class Named(nn.Module):
    """Returns a dictionary, as detectron2's own models do."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image):
        boxes, labels, scores, size = self.inner(image)
        return {"pred_boxes": boxes, "scores": scores, "pred_classes": labels}


class Plain(nn.Module):
    """A scripted head around the traced model, without any control flow."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image):
        boxes, labels, scores, size = self.inner(image)
        return boxes, labels.int().long(), scores, size
