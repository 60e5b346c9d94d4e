"""Weights for a RetinaNet of full size without training: seeded kernels, measured statistics.

A trained network does not amplify rounding noise; a random one does (reference: half a grey level
of noise moves its boxes). Three things make this one calm: kernels are smooth in space, residual
branches are weak, and every convolution is normalised by statistics measured once on the
photographs of fixtures/data. The class scores ignore what padding looks like, so that padding
cannot win. The measured part is golden/<subject>/calibration.npz; everything else follows from the
seed through NumPy's RandomState, whose streams never change.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

BRANCH_GAIN = 0.05
ROUGHNESS = 0.2
MANTISSA_BITS = 17
LEVEL_STD = (1.0, 1.0, 1.0, 1.5, 2.0)
BOX_STD = 0.1
# Calibration of the class scores: so many candidates per image above the threshold's logit, and the
# third best of each image at this logit (a score of 0.90), both in the average of the images.
CANDIDATES, THRESHOLD_LOGIT, TOP_LOGIT = 4000, -2.944439, 2.2


def draw(network: nn.Module, seed: int) -> None:
    """Fill every tensor from the seed; statistics and scales stay neutral."""
    random = np.random.RandomState(seed)
    state = network.state_dict()
    for name, value in state.items():
        if value.dim() == 4:
            drawn = _kernel(random, tuple(value.shape))
            if f"{name[:-6]}norm.weight" in state:
                # Channels of very unlike size, as trained nets have: running_var then spans six
                # decades, and rounding it to fp16 before folding loses the network.
                drawn = drawn * np.exp(random.uniform(-2.0, 3.5, (value.shape[0], 1, 1, 1)))
        elif name.endswith("norm.weight"):
            gain = BRANCH_GAIN if ".conv3." in name else 1.0
            drawn = gain * random.uniform(0.8, 1.2, value.shape)
        elif name.endswith("norm.bias"):
            drawn = random.uniform(-0.2, 0.2, value.shape) * (".conv3." not in name)
        elif name.endswith(".bias"):
            drawn = np.zeros(value.shape)
        else:
            continue
        value.copy_(_tensor(drawn))


def _kernel(random, shape: tuple) -> np.ndarray:
    outputs, inputs, size, _ = shape
    offset = np.arange(size) - (size - 1) / 2
    bell = np.exp(-(offset**2) / (2 * (size / 3.0) ** 2))
    bell = np.outer(bell, bell)
    kernel = random.standard_normal((outputs, inputs, 1, 1)) * bell / np.sqrt((bell**2).sum())
    if size > 1:
        rough = random.standard_normal(shape) / size
        kernel = np.sqrt(1 - ROUGHNESS**2) * kernel + ROUGHNESS * rough
    return kernel * np.sqrt(2.0 / inputs)


def _tensor(values) -> torch.Tensor:
    """Float32, rounded to 17 bits, so that no machine's last digits reach the weights."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    rounded = np.ldexp(np.round(mantissa * 2**MANTISSA_BITS) / 2**MANTISSA_BITS, exponent)
    return torch.from_numpy(np.asarray(rounded, np.float32))


def apply(network: nn.Module, calibration: dict) -> None:
    """Put the measured statistics (name -> float32 array) into a network filled by `draw`."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            _set(
                module, {k[len(name) + 1 :]: v for k, v in calibration.items() if _owner(k) == name}
            )


def _owner(key: str) -> str:
    return key.rsplit(".", 1)[0]


def _set(conv: nn.Conv2d, measured: dict) -> None:
    if "padding" in measured:
        # Remove from each tap what it would answer to the look of padding.
        basis = np.asarray(measured["padding"], np.float64)
        weight = conv.weight.detach().numpy().astype(np.float64)
        answer = np.einsum("oihw,ij->ojhw", weight, basis)
        conv.weight.data.copy_(_tensor(weight - np.einsum("ojhw,ij->oihw", answer, basis)))
    if "mean" in measured:
        conv.norm.running_mean.copy_(_tensor(measured["mean"]))
        conv.norm.running_var.copy_(_tensor(measured["var"]))
    if "scale" in measured:
        scale = np.asarray(measured["scale"], np.float64)[:, None, None, None]
        conv.weight.data.copy_(_tensor(conv.weight.detach().numpy() * scale))
        conv.bias.data.copy_(_tensor(measured["bias"]))


def calibrate(network: nn.Module, images: list) -> dict:
    """Measure the statistics on prepared images [(1, 3, S, S)], layer by layer, and apply them."""
    with torch.no_grad():
        return _Calibration(network).run(images)


class _Calibration:
    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.measured: dict = {}

    def run(self, images: list) -> dict:
        backbone = self.network.backbone
        features = self._bottom_up(backbone.bottom_up, images)
        pyramid = self._pyramid(backbone, features)
        padding = backbone(torch.zeros_like(images[0]))
        self._tower("bbox_subnet", pyramid, padding)
        self._tower("cls_subnet", pyramid, padding)
        return self.measured

    def _record(self, conv: nn.Conv2d, **values) -> None:
        values = {k: _tensor(v.double().numpy()).numpy() for k, v in values.items()}
        _set(conv, values)
        self.measured.update({f"{self.names[conv]}.{k}": v for k, v in values.items()})

    def _normed(self, conv, inputs: list) -> list:
        flat = _flat([nn.Conv2d.forward(conv, x) for x in inputs])
        self._record(conv, mean=flat.mean(1), var=flat.var(1))
        return [conv(x) for x in inputs]

    def _plain(self, conv, inputs: list, std: float = 1.0) -> list:
        flat = _flat([conv(x) for x in inputs])
        scale = std / flat.std(1)
        self._record(conv, scale=scale, bias=-flat.mean(1) * scale)
        return [conv(x) for x in inputs]

    def _bottom_up(self, resnet, x: list) -> list:
        x = [torch.relu(v) for v in self._normed(resnet.stem.conv1, x)]
        x = [torch.max_pool2d(v, 3, 2, 1) for v in x]
        features = []
        for stage in (resnet.res2, resnet.res3, resnet.res4, resnet.res5):
            for block in stage:
                out = [torch.relu(v) for v in self._normed(block.conv1, x)]
                out = [torch.relu(v) for v in self._normed(block.conv2, out)]
                out = self._normed(block.conv3, out)
                shortcut = self._normed(block.shortcut, x) if block.shortcut is not None else x
                x = [torch.relu(a + b) for a, b in zip(out, shortcut)]
            features.append(x)
        return features

    def _pyramid(self, backbone, features: list) -> list:
        _, c3, c4, c5 = features
        tops, above = {}, None
        for level, inputs in ((5, c5), (4, c4), (3, c3)):
            lateral = self._plain(getattr(backbone, f"fpn_lateral{level}"), inputs)
            above = lateral if above is None else [a + _double(b) for a, b in zip(lateral, above)]
            tops[level] = above
        levels = [
            self._plain(getattr(backbone, f"fpn_output{n}"), tops[n], LEVEL_STD[n - 3])
            for n in (3, 4, 5)
        ]
        p6 = self._plain(backbone.top_block.p6, c5, LEVEL_STD[3])
        p7 = self._plain(backbone.top_block.p7, [torch.relu(x) for x in p6], LEVEL_STD[4])
        return [x for level in [*levels, p6, p7] for x in level]

    def _tower(self, name: str, x: list, padding: list) -> None:
        head = self.network.head
        for layer in getattr(head, name):
            x = self._plain(layer, x) if isinstance(layer, nn.Conv2d) else [layer(v) for v in x]
            padding = [layer(v) for v in padding]
        if name == "bbox_subnet":
            self._plain(head.bbox_pred, x, BOX_STD)
            return
        look = torch.stack([v[0, :, v.shape[2] // 2, v.shape[3] // 2] for v in padding], dim=1)
        basis, _ = np.linalg.qr(look.double().numpy())
        self._record(head.cls_score, padding=torch.from_numpy(basis))
        self._scores(head.cls_score, x)

    def _scores(self, conv, x: list) -> None:
        """One gain per channel and one bias for all: few candidates, spread, in many classes."""
        conv.bias.data.zero_()
        outputs = [conv(v) for v in x]
        scale = 1.0 / _flat(outputs).std(1)
        best = torch.cat([(v * scale.view(1, -1, 1, 1)).flatten() for v in outputs])
        images = len(x) // len(LEVEL_STD)
        best = best.topk(CANDIDATES * images).values
        gain = (TOP_LOGIT - THRESHOLD_LOGIT) / (best[3 * images] - best[-1])
        bias = torch.full_like(scale, float(THRESHOLD_LOGIT - gain * best[-1]))
        self._record(conv, scale=scale * gain, bias=bias)


def _flat(outputs: list) -> torch.Tensor:
    """(1, C, H, W) each -> (C, every third position of all)."""
    return torch.cat([v[0].flatten(1)[:, ::3] for v in outputs], dim=1)


def _double(x):
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
