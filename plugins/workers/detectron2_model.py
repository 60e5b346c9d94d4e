"""detectron2's own RetinaNet, where detectron2 is installed: its config, its classes, our rewrite.

A stock installation is rewritten at run time: its modules stand behind the interface of
`model.RetinaNet`, and `recipe.Recipe` goes on from there with detectron2's own box decoding. A
source tree that carries the published rewrite already (Retinanet.diff with Retina_aie.diff) is
recognised by its `batch_nms_op` and traced as it is. Nothing here imports detectron2 before it is
asked to build.
"""

from __future__ import annotations

import importlib
import sys

import detectron2_install as install
import recipe as rewrite
import stages as parity
import torch
from model import rows
from protocol import Refusal
from torch import nn

CONFIG = "COCO-Detection/retinanet_R_50_FPN_3x.yaml"


def build(state: dict, library: str) -> nn.Module:
    """detectron2's RetinaNet with the weights of a state dict of ours, on the CPU.

    Raises:
        Refusal: detectron2 is absent, or its network has other tensors than ours.
    """
    if install.folder() is None:
        raise Refusal(f"{sys.executable} has no detectron2; install it there (interpreter_export)")
    with install.beside(library):
        zoo = importlib.import_module("detectron2.model_zoo")
        modeling = importlib.import_module("detectron2.modeling")
    config = zoo.get_config(CONFIG)
    config.MODEL.DEVICE = "cpu"
    built = modeling.build_model(config).eval().requires_grad_(False)
    _check_same_tensors(state, built.state_dict())
    # A plain dict of copies: detectron2 takes 1e-5 off every running_var, in place, of a state dict
    # whose metadata says that it comes from an older class than its FrozenBatchNorm2d of version 3.
    built.load_state_dict({k: v.clone() for k, v in state.items()})
    return built


def rewritten(state: dict, recipe: dict, library: str) -> nn.Module:
    """detectron2's RetinaNet as it is exported: one image to the four outputs of recipe.Recipe."""
    built = build(state, library)
    if install.patched():
        return Patched(built)
    network = Network(built)
    return rewrite.Recipe(network, recipe, network.decode)


def _check_same_tensors(ours: dict, theirs: dict) -> None:
    odd = [k for k in {**ours, **theirs} if k not in ours or k not in theirs]
    odd += [k for k in ours if k in theirs and ours[k].shape != theirs[k].shape]
    if odd:
        raise Refusal(
            f"detectron2 ({install.identity()}): {CONFIG} and the contract differ in {len(odd)} "
            f"tensors, such as {odd[0]}; install the revision that the contract names"
        )


def stages(state: dict, library: str, image, samples: int) -> dict:
    """detectron2's own stages and detections for one prepared image; see stages.sampled."""
    built = build(state, library)
    if install.patched():
        raise Refusal(
            f"detectron2 ({install.identity()}) has no stock detections; give an unpatched one"
        )
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
        found = self.detectron2.inference_single_image(
            [wrap(x.float()) for x in anchors],
            [x.float().clone() for x in logits],
            [x.float() for x in deltas],
            (side, side),
        )
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
