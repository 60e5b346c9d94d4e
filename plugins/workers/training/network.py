"""The two networks of the training lane, with weights that depend on nothing but a seed.

`retinanet_resnet50_fpn` is torchvision's, as the source trains it: FrozenBatchNorm, stem and layer1
frozen, 91 outputs. `stand_in` is its small sibling for laptops: the same classes of torchvision, the
same losses, a quarter of a million parameters, GroupNorm (so that ranks and batch sizes compare).
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from refusal import Refusal
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.models.resnet import resnet50
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

PRIOR = float(-np.log((1 - 0.01) / 0.01))  # the class bias that RetinaNet starts from
HEAD_STD = 0.01  # torchvision's initial standard deviation of the heads' convolutions
RESIDUAL = 0.2  # scale of each residual branch: identity norms would let activations grow
SMALL_WIDTHS = (16, 16, 32, 32, 64, 64)  # stem, then five blocks
SMALL_STRIDES = (2, 2, 2, 1, 2, 2)
SMALL_FPN, SMALL_CONVS = 32, 2


def build(spec: dict, seed: int) -> RetinaNet:
    """The network of a plan, filled with seeded weights or with the backbone file that it names."""
    network = BUILDERS[spec["name"]](spec)
    fill(network, seed)
    if spec.get("backbone"):
        _load_backbone(network.backbone.body, Path(spec["backbone"]))
    return network


def _resnet(spec: dict) -> RetinaNet:
    # Composed by hand: torchvision's constructor without pretrained weights thaws every BatchNorm.
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = _resnet_fpn_extractor(
        body,
        spec["trainable_layers"],
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    return RetinaNet(
        backbone, spec["classes"], min_size=spec["min_size"], max_size=spec["max_size"]
    )


def _stand_in(spec: dict) -> RetinaNet:
    backbone = SmallBackbone()
    anchors = AnchorGenerator(((16, 20, 25), (32, 40, 50), (64, 80, 101)), ((0.5, 1.0, 2.0),) * 3)
    head = RetinaNetHead(SMALL_FPN, 9, spec["classes"], norm_layer=_group_norm)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:SMALL_CONVS]
    return RetinaNet(
        backbone,
        spec["classes"],
        min_size=spec["min_size"],
        max_size=spec["max_size"],
        anchor_generator=anchors,
        head=head,
    )


BUILDERS = {"retinanet_resnet50_fpn": _resnet, "stand_in": _stand_in}


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


class Block(nn.Module):
    """Two 3x3 convolutions with GroupNorm and a projected shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = _group_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = _group_norm(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(inner)) + self.shortcut(x)).relu()


class SmallBody(nn.Module):
    """A frozen stem and five blocks; hands out strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, SMALL_WIDTHS[0], 3, SMALL_STRIDES[0], 1, bias=False)
        self.stem.requires_grad_(False)
        widths = zip(SMALL_WIDTHS, SMALL_WIDTHS[1:], SMALL_STRIDES[1:])
        self.blocks = nn.ModuleList([Block(*one) for one in widths])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x, out = self.stem(x).relu(), []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        return [out[2], out[3], out[4]]


class SmallBackbone(nn.Module):
    """SmallBody and an FPN: maps "0", "1", "2" of SMALL_FPN channels."""

    out_channels = SMALL_FPN

    def __init__(self) -> None:
        super().__init__()
        self.body = SmallBody()
        self.fpn = FeaturePyramidNetwork([SMALL_WIDTHS[i] for i in (3, 4, 5)], SMALL_FPN)

    def forward(self, x: torch.Tensor) -> OrderedDict:
        return self.fpn(OrderedDict((str(i), y) for i, y in enumerate(self.body(x))))


def fill(network: nn.Module, seed: int) -> None:
    """Give every tensor of the state its seeded value.

    NumPy's frozen stream and the tensor's name decide, not torch's generator: the initial weights
    of one seed are the same under every torch and torchvision.
    """
    with torch.no_grad():
        for name, tensor in network.state_dict(keep_vars=True).items():
            random = np.random.RandomState([seed, zlib.crc32(name.encode())])
            values = _initial(name, tuple(tensor.shape), random)
            tensor.copy_(torch.from_numpy(np.asarray(values, np.float32)))


def _initial(name: str, shape: tuple, random: np.random.RandomState) -> np.ndarray:
    if len(shape) == 4:
        return random.standard_normal(shape) * _spread(name, shape)
    if name.endswith("cls_logits.bias"):
        return np.full(shape, PRIOR)
    if name.endswith(("running_var", "weight")):
        return np.full(shape, RESIDUAL if ".bn3." in name and name.endswith("weight") else 1.0)
    return np.zeros(shape)


def _spread(name: str, shape: tuple) -> float:
    if name.startswith("head."):
        return HEAD_STD
    gain = 1.0 if ".fpn." in name else 2.0
    return float(np.sqrt(gain / np.prod(shape[1:])))


def _load_backbone(body: nn.Module, path: Path) -> None:
    """ImageNet weights of ResNet-50 into the body; a Refusal unless they are exactly that."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(found, dict) and all(map(torch.is_tensor, found.values()))):
            raise TypeError("it holds no dictionary of tensors")
    except Exception as error:  # torch names neither the file nor the cure
        reason = (str(error).splitlines() or [""])[0][:120]
        raise Refusal(
            f"{path}: is no file of ResNet-50 weights ({type(error).__name__}: {reason}); give "
            "resnet50-0676ba61.pth by --backbone"
        ) from None
    wanted = body.state_dict()
    found = {k: v for k, v in found.items() if k in wanted or not k.endswith("num_batches_tracked")}
    missing = [k for k in wanted if k not in found]
    surplus = [k for k in found if k not in wanted and not k.startswith("fc.")]
    odd = [k for k in wanted if k in found and found[k].shape != wanted[k].shape]
    broken = [k for k in wanted if k in found and not torch.isfinite(found[k]).all()]
    for names, what in (
        (missing, "lacks"),
        (surplus, "has beside a ResNet-50"),
        (odd, "has in another shape"),
        (broken, "holds non-finite values in"),
    ):
        if names:
            raise Refusal(
                f"{path}: {what} {names[0]} (and {len(names) - 1} more); give the weights of "
                "torchvision's ResNet-50, resnet50-0676ba61.pth, by --backbone"
            )
    body.load_state_dict({k: found[k] for k in wanted})
