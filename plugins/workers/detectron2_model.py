"""detectron2's own RetinaNet, where detectron2 is installed: its config, its classes, our rewrite.

A stock installation is rewritten at run time: its modules stand behind the interface of
`model.RetinaNet`, and `recipe.Recipe` goes on from there with detectron2's own box decoding. A
source tree that carries the published rewrite already (Retinanet.diff with Retina_aie.diff) is
recognised by its `batch_nms_op` and traced as it is. Nothing here imports detectron2 before it is
asked to build.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import recipe as rewrite
import stages as parity
import torch
from model import rows
from protocol import Refusal
from torch import nn

CONFIG = "COCO-Detection/retinanet_R_50_FPN_3x.yaml"
# The files that decide what the network computes, and the revisions whose content we know.
PARTS = (
    "layers/batch_norm.py",
    "layers/nms.py",
    "layers/wrappers.py",
    "modeling/anchor_generator.py",
    "modeling/backbone/fpn.py",
    "modeling/backbone/resnet.py",
    "modeling/box_regression.py",
    "modeling/meta_arch/retinanet.py",
    "structures/boxes.py",
)
KNOWN = {
    "260e55d16eb9cfc30200d78609f46dfaacd82bf5ce16cbfe2ac7e600cab8f18d": "60fd4885",
    "2b5907938c6e3fd478b4cbafb6bfa0f8c109c0f93c3ea28544631d5ff274f5b5": "60fd4885, rewritten",
}
# Where a patched tree looks for the operators when it is imported, relative to the working folder.
EXPECTED_LIBRARY = Path("mmdet_ops", "build", "libmmdet_ops.so")


def identity() -> str:
    """Version and revision of the installed detectron2, told by its files; empty if there is none."""
    folder = _folder()
    if folder is None:
        return ""
    try:
        version = f"version {importlib.metadata.version('detectron2')}"
    except importlib.metadata.PackageNotFoundError:
        version = "not installed by pip"
    sha = hashlib.sha256()
    for part in PARTS:
        sha.update((folder / part).read_bytes() if (folder / part).is_file() else b"absent")
    revision = KNOWN.get(sha.hexdigest(), f"unknown revision, sources {sha.hexdigest()[:12]}")
    return f"{revision}, {version}"


def _folder():
    spec = importlib.util.find_spec("detectron2")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def build(state: dict, library: str) -> nn.Module:
    """detectron2's RetinaNet with the weights of a state dict of ours, on the CPU.

    Raises:
        Refusal: detectron2 is absent, or its network has other tensors than ours.
    """
    if _folder() is None:
        raise Refusal(f"{sys.executable} has no detectron2; install it there (interpreter_export)")
    with _beside(library):
        zoo = importlib.import_module("detectron2.model_zoo")
        modeling = importlib.import_module("detectron2.modeling")
    config = zoo.get_config(CONFIG)
    config.MODEL.DEVICE = "cpu"
    built = modeling.build_model(config).eval().requires_grad_(False)
    _check_same_tensors(state, built.state_dict())
    built.load_state_dict(state)
    return built


def rewritten(state: dict, recipe: dict, library: str) -> nn.Module:
    """detectron2's RetinaNet as it is exported: one image to the four outputs of recipe.Recipe."""
    built = build(state, library)
    if patched():
        return Patched(built)
    network = Network(built)
    return rewrite.Recipe(network, recipe, network.decode)


def patched() -> bool:
    """Whether the imported detectron2 carries the published rewrite already."""
    return hasattr(importlib.import_module("detectron2.layers.nms"), "batch_nms_op")


@contextlib.contextmanager
def _beside(library: str):
    """A working folder in which a patched tree finds the operators of this torch."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, EXPECTED_LIBRARY)
        link.parent.mkdir(parents=True)
        link.symlink_to(os.path.abspath(library))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _check_same_tensors(ours: dict, theirs: dict) -> None:
    odd = [k for k in {**ours, **theirs} if k not in ours or k not in theirs]
    odd += [k for k in ours if k in theirs and ours[k].shape != theirs[k].shape]
    if odd:
        raise Refusal(
            f"detectron2 {identity()}: {CONFIG} has other tensors than the contract's architecture:"
            f" {len(odd)} differ, such as {odd[0]}; install the revision that the contract names"
        )


def stages(state: dict, library: str, image, samples: int) -> dict:
    """detectron2's own stages and detections for one prepared image; see stages.sampled."""
    built = build(state, library)
    if patched():
        raise Refusal(f"detectron2 {identity()} has no stock detections; give an unpatched one")
    network = Network(built.double())
    side = image.shape[-1]
    return parity.sampled(
        network, built, image, network.decode, lambda *head: network.stock(*head, side), samples
    )


class Network(nn.Module):
    """detectron2's modules behind the interface of model.RetinaNet."""

    def __init__(self, built: nn.Module) -> None:
        super().__init__()
        self.detectron2 = built

    def forward(self, images):
        built = self.detectron2
        features = built.backbone(images)
        features = [features[name] for name in built.head_in_features]
        logits, deltas = built.head(features)
        anchors = [boxes.tensor for boxes in built.anchor_generator(features)]
        logits = [rows(x, built.num_classes) for x in logits]
        return logits, [rows(x, 4) for x in deltas], anchors

    def decode(self, deltas, anchors):
        """detectron2's own decoding, which computes in float32 whatever it is given."""
        return self.detectron2.box2box_transform.apply_deltas(deltas, anchors)

    def stock(self, logits, deltas, anchors, side: int) -> dict:
        """detectron2's own detections from head outputs of one image, computed in float32."""
        wrap = importlib.import_module("detectron2.structures").Boxes
        found = self.detectron2.inference(
            [wrap(x.float()) for x in anchors],
            [x.float().clone() for x in logits],
            [x.float() for x in deltas],
            [(side, side)],
        )[0]
        boxes = found.pred_boxes.tensor
        return {"boxes": boxes, "scores": found.scores, "labels": found.pred_classes}


class Patched(nn.Module):
    """A network whose source was rewritten: it takes a prepared image and suppresses by itself."""

    def __init__(self, built: nn.Module) -> None:
        super().__init__()
        self.model = built

    def forward(self, image):
        found = self.model([{"image": image}])[0]
        size = torch.tensor([int(side) for side in found.image_size])
        return found.pred_boxes.tensor, found.pred_classes, found.scores, size
