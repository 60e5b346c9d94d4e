"""RetinaNet as detectron2 builds it, with detectron2's state-dict names, at any width.

Source of the structure: detectron2 60fd4885, configs/COCO-Detection/retinanet_R_50_FPN_3x.yaml:
stride in the 1x1 (MSRA weights), frozen batch norm, P6 from res5, head shared by the levels,
anchors centred on the cell corner (offset 0). Runs under torch 1.10.1 to 2.11.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

BATCH_NORM_EPS = 1e-5


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with fixed statistics, kept as one `aten::batch_norm` node in the graph.

    torchvision's class of this name expands to five element-wise nodes instead, which a compiler
    would have to recognise before it could fold them into the convolution.
    """

    # detectron2's class of this name takes 1e-5 off the variances of files older than version 3.
    _version = 3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels) - BATCH_NORM_EPS)

    def forward(self, x):
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            False,
            0.1,
            BATCH_NORM_EPS,
        )


class NormedConv2d(nn.Conv2d):
    """A convolution without bias, followed by its norm, named `norm` as in detectron2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, norm) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, x):
        return self.norm(super().forward(x))


class Bottleneck(nn.Module):
    """1x1 (strided), 3x3, 1x1 with a shortcut, which is projected where the shape changes."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, norm) -> None:
        super().__init__()
        self.shortcut = (
            NormedConv2d(inputs, outputs, 1, stride, norm) if inputs != outputs else None
        )
        self.conv1 = NormedConv2d(inputs, width, 1, stride, norm)
        self.conv2 = NormedConv2d(width, width, 3, 1, norm)
        self.conv3 = NormedConv2d(width, outputs, 1, 1, norm)

    def forward(self, x):
        out = F.relu_(self.conv1(x))
        out = F.relu_(self.conv2(out))
        out = self.conv3(out)
        out += self.shortcut(x) if self.shortcut is not None else x
        return F.relu_(out)


class Stem(nn.Module):
    """7x7 stride 2, then max pooling with stride 2."""

    def __init__(self, outputs: int, norm) -> None:
        super().__init__()
        self.conv1 = NormedConv2d(3, outputs, 7, 2, norm)

    def forward(self, x):
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class ResNet(nn.Module):
    """res2 to res5; returns the outputs of res3, res4 and res5 (strides 8, 16, 32)."""

    def __init__(self, spec: dict, norm) -> None:
        super().__init__()
        self.stem = Stem(spec["stem"], norm)
        inputs = spec["stem"]
        for number, (blocks, width, outputs) in enumerate(
            zip(spec["blocks"], spec["widths"], spec["outputs"]), start=2
        ):
            strides = [1 if number == 2 else 2] + [1] * (blocks - 1)
            stage = []
            for stride in strides:
                stage.append(Bottleneck(inputs, width, outputs, stride, norm))
                inputs = outputs
            setattr(self, f"res{number}", nn.Sequential(*stage))

    def forward(self, x):
        x = self.res2(self.stem(x))
        features = []
        for stage in (self.res3, self.res4, self.res5):
            x = stage(x)
            features.append(x)
        return features


class TopBlock(nn.Module):
    """P6 from res5, P7 from P6."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(inputs, outputs, 3, 2, 1)
        self.p7 = nn.Conv2d(outputs, outputs, 3, 2, 1)

    def forward(self, x):
        p6 = self.p6(x)
        return [p6, self.p7(F.relu(p6))]


class Backbone(nn.Module):
    """ResNet and feature pyramid; returns P3 to P5 and, with a top block, P6 and P7."""

    def __init__(self, spec: dict, norm) -> None:
        super().__init__()
        self.bottom_up = ResNet(spec, norm)
        width = spec["fpn"]
        for level, inputs in zip((3, 4, 5), spec["outputs"][1:]):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(inputs, width, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(width, width, 3, 1, 1))
        self.top_block = TopBlock(spec["outputs"][-1], width) if len(spec["sizes"]) == 5 else None

    def forward(self, x):
        c3, c4, c5 = self.bottom_up(x)
        top5 = self.fpn_lateral5(c5)
        top4 = self.fpn_lateral4(c4) + F.interpolate(top5, scale_factor=2.0, mode="nearest")
        top3 = self.fpn_lateral3(c3) + F.interpolate(top4, scale_factor=2.0, mode="nearest")
        levels = [self.fpn_output3(top3), self.fpn_output4(top4), self.fpn_output5(top5)]
        return levels + (self.top_block(c5) if self.top_block is not None else [])


class Head(nn.Module):
    """Class and box towers, shared by the levels."""

    def __init__(self, spec: dict) -> None:
        super().__init__()
        width, anchors = spec["fpn"], len(spec["ratios"]) * len(spec["scales"])
        self.cls_subnet = self._tower(width, spec["head_convs"])
        self.bbox_subnet = self._tower(width, spec["head_convs"])
        self.cls_score = nn.Conv2d(width, anchors * spec["classes"], 3, 1, 1)
        self.bbox_pred = nn.Conv2d(width, anchors * 4, 3, 1, 1)

    @staticmethod
    def _tower(width: int, convolutions: int):
        layers = []
        for _ in range(convolutions):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, features):
        logits = [self.cls_score(self.cls_subnet(x)) for x in features]
        deltas = [self.bbox_pred(self.bbox_subnet(x)) for x in features]
        return logits, deltas


class AnchorGenerator(nn.Module):
    """Anchors of every cell, rebuilt from the size of each feature map (nothing is baked in)."""

    def __init__(self, spec: dict) -> None:
        super().__init__()
        self.strides = [8 * 2**i for i in range(len(spec["sizes"]))]
        for i, size in enumerate(spec["sizes"]):
            self.register_buffer(f"cell_anchors_{i}", _cell_anchors(size, spec), persistent=False)

    def forward(self, features):
        return [
            self._level(x, getattr(self, f"cell_anchors_{i}"), stride)
            for i, (x, stride) in enumerate(zip(features, self.strides))
        ]

    @staticmethod
    def _level(x, cell, stride: int):
        height, width = x.shape[-2:]
        ys = torch.arange(0, height * stride, step=stride, dtype=torch.float32, device=cell.device)
        xs = torch.arange(0, width * stride, step=stride, dtype=torch.float32, device=cell.device)
        ys, xs = ys.to(cell.dtype), xs.to(cell.dtype)
        rows = ys.view(-1, 1).expand(-1, xs.shape[0]).reshape(-1)
        columns = xs.view(1, -1).expand(ys.shape[0], -1).reshape(-1)
        shifts = torch.stack((columns, rows, columns, rows), dim=1)
        return (shifts.view(-1, 1, 4) + cell.view(1, -1, 4)).reshape(-1, 4)


def _cell_anchors(size: float, spec: dict):
    """(A, 4) boxes around the origin: for each scale, each aspect ratio (height / width)."""
    boxes = []
    for scale in spec["scales"]:
        area = (size * scale) ** 2
        for ratio in spec["ratios"]:
            width = math.sqrt(area / ratio)
            height = ratio * width
            boxes.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(boxes, dtype=torch.float64).to(torch.float32)


class RetinaNet(nn.Module):
    """Images (1, 3, H, W) to per-level logits (H*W*A, classes), deltas and anchors (H*W*A, 4)."""

    def __init__(self, spec: dict, norm=FrozenBatchNorm2d) -> None:
        super().__init__()
        self.classes = spec["classes"]
        self.backbone = Backbone(spec, norm)
        self.head = Head(spec)
        self.anchor_generator = AnchorGenerator(spec)

    def forward(self, images):
        features = self.backbone(images)
        logits, deltas = self.head(features)
        logits = [rows(x, self.classes) for x in logits]
        deltas = [rows(x, 4) for x in deltas]
        return logits, deltas, self.anchor_generator(features)


def rows(x, values: int):
    """(N, A*values, H, W) to (N, H*W*A, values)."""
    n, _, h, w = x.shape
    return x.view(n, -1, values, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, values)
