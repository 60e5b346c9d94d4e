"""Models that a gate meets: broken in one way each, or unusual and good; really built, as .ts.

A worker role for self-tests: Worker("faulty_models", env={"PYTHONPATH": <this folder>}). No check
is touched: each entry of BAD and GOOD changes the network, its weights, the rewrite or the file.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import fault_builders as make
import fault_modules as modules
import fault_weights as spoil
import model
import ops
import recipe as rewrite
import seeded
import torch

KEPT = torch.zeros(100, 4)
MEAN = torch.tensor([103.53, 116.28, 123.675]).view(1, 3, 1, 1)

STUBS = {
    "all_ones": make.outputs(lambda b, c, s, z: (b * 0 + 1, c * 0 + 1, s * 0 + 1, z)),
    "constant": make.outputs(
        lambda b, c, s, z: (
            torch.arange(400.0).view(100, 4) + b * 0,
            (torch.arange(100).view(100, 1) % 6) + c * 0,
            torch.linspace(0.9, 0.06, 100) + s * 0,
            z,
        )
    ),
    "ignores_the_image": make.image(lambda x: x * 0),
    "cached": make.scripted(modules.Cached),
    "noise": make.boxes(lambda b: b + torch.randn_like(b)),
    "little_noise": make.boxes(lambda b: b + 1e-3 * torch.randn_like(b) * (b != 0)),
}

FORMATS = {
    "boxes_scores_swapped": make.outputs(lambda b, c, s, z: (s, c, b, z)),
    "labels_scores_swapped": make.outputs(lambda b, c, s, z: (b, s, c, z)),
    "labels_scores_swapped_in_shape": make.outputs(
        lambda b, c, s, z: (b, s.reshape(-1, 1), c.reshape(-1), z)
    ),
    "boxes_labels_swapped": make.outputs(lambda b, c, s, z: (c, b, s, z)),
    "transposed": make.boxes(lambda b: b.t().contiguous()),
    "transposed_in_shape": make.boxes(lambda b: b.t().reshape(100, 4)),
    "x1x2y1y2": make.boxes(lambda b: b[:, [0, 2, 1, 3]]),
    "yxyx": make.boxes(lambda b: b[:, [1, 0, 3, 2]]),
    "xywh": make.boxes(lambda b: torch.cat([b[:, :2], b[:, 2:] - b[:, :2]], 1)),
    "centre_wh": make.boxes(
        lambda b: torch.cat([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1)
    ),
    "normalised": make.boxes(lambda b: b / 256),
    "flat_boxes": make.boxes(lambda b: b.reshape(-1)),
    "float16_outputs": make.outputs(lambda b, c, s, z: (b.half(), c, s.half(), z)),
    "float64_outputs": make.outputs(lambda b, c, s, z: (b.double(), c, s.double(), z)),
    "labels_float": make.labels(lambda c: c.float()),
    "labels_int32": make.labels(lambda c: c.int()),
    "labels_plus_one": make.labels(lambda c: c + 1),
    "labels_rotated": make.labels(lambda c: (c + 1) % 6),
    "percent": make.outputs(lambda b, c, s, z: (b, c, s * 100, z)),
    "padding_garbage": make.outputs(
        lambda b, c, s, z: (torch.where(s[:, None] > 0, b, b + 7), c, s, z)
    ),
    "padding_labels": make.outputs(
        lambda b, c, s, z: (b, torch.where(s[:, None] > 0, c, c + 3), s, z)
    ),
    "padding_scores": make.outputs(lambda b, c, s, z: (b, c, torch.where(s > 0, s, s - 1), z)),
    "unsorted": make.outputs(lambda b, c, s, z: (b[_swapped()], c[_swapped()], s[_swapped()], z)),
    "duplicates": make.outputs(lambda b, c, s, z: (b[_twice()], c[_twice()], s[_twice()], z)),
    "image_size_wrong": make.outputs(lambda b, c, s, z: (b, c, s, torch.cat([z, z, z[:1]]))),
    "reuses_its_buffer": make.outputs(lambda b, c, s, z: (KEPT.copy_(b), c, s, z)),
    "changes_its_input": make.image(lambda x: x.sub_(1.0) + 1.0),
    "two_outputs": make.outputs(lambda b, c, s, z: (b, c)),
    "five_outputs": make.outputs(lambda b, c, s, z: (b, c, s, z, s)),
    "one_tensor": make.outputs(lambda b, c, s, z: torch.cat([b, c.float(), s[:, None]], 1)),
    "dictionary": lambda bench: torch.jit.script(modules.Named(bench.trace())),
}

RECIPE = {
    "no_sigmoid": make.candidates(score=lambda x: x),
    "sigmoid_twice": make.candidates(score=lambda x: x.sigmoid().sigmoid()),
    "softmax": make.candidates(score=lambda x: x.softmax(1)),
    "threshold_high": make.attribute(score_threshold=0.3),
    "threshold_low": make.attribute(score_threshold=0.01),
    "iou_high": make.attribute(iou_threshold=0.7),
    "iou_low": make.attribute(iou_threshold=0.3),
    "per_class_5": make.attribute(max_size_per_class=5),
    "total_50": make.attribute(max_total_size=50),
    "class_agnostic": make.scripted(modules.Agnostic),
    "no_nms": make.without_nms,
    "topk_20": make.attribute(topk_per_class=20),
    "topk_wrong_axis": make.candidates(choose=make.wrong_axis),
    "topk_of_anchors": make.candidates(choose=make.best_anchors),
    "last_level_dropped": make.candidates(levels=slice(0, -1)),
    "first_level_dropped": make.candidates(levels=slice(1, None)),
    "half_a_stride": make.code(model.AnchorGenerator, _level=staticmethod(make.half_a_stride)),
    "anchors_double": make.cells(lambda cells: [c * 2 for c in cells]),
    "anchors_whole": make.cells(lambda cells: [c.round() for c in cells]),
    "anchors_truncated": make.cells(lambda cells: [c.trunc() for c in cells]),
    "anchor_levels_reversed": make.cells(lambda cells: cells[::-1]),
    "anchor_ratios_reversed": make.cells(lambda cells: [c[:, [1, 0, 3, 2]] for c in cells]),
    "clamp_missing": make.code(rewrite, SCALE_CLAMP=math.inf),
    "clamp_low": make.code(rewrite, SCALE_CLAMP=0.1),
    "deltas_scaled": make.decode(deltas=lambda d: d / d.new_tensor([10.0, 10.0, 5.0, 5.0])),
    "deltas_swapped": make.decode(deltas=lambda d: d[:, [1, 0, 3, 2]]),
    "plus_one": make.decode(extra=1.0),
    "clipped": make.boxes(lambda b: b.clamp(0, 256)),
    "baked_anchors": make.baked,
    "half_candidates": lambda bench: bench.trace(decode=make.decode_in_half),
}

INPUT = {
    "rgb": make.image(lambda x: x[:, [2, 1, 0]]),
    "mean_again": make.image(lambda x: x - MEAN),
    "by_255": make.image(lambda x: x / 255),
    "mirrored": make.image(lambda x: x.flip(3)),
    "rows_as_columns": make.image(lambda x: x.transpose(2, 3)),
    "nhwc": lambda bench: bench.trace(
        before=lambda x: x.permute(0, 3, 1, 2), shape=(1, bench.sizes[0], bench.sizes[0], 3)
    ),
    "nhwc_buffer": make.image(
        lambda x: x.reshape(1, x.shape[2], x.shape[3], 3).permute(0, 3, 1, 2)
    ),
    "uint8": make.image(lambda x: x.to(torch.uint8).float()),
}

WEIGHTS = {
    "bn_eps": make.code(model, BATCH_NORM_EPS=1e-3),
    "bn_lost": make.network(spoil.lose_statistics),
    "conv_zero": make.one("backbone.fpn_output4.weight", lambda v: v * 0),
    "conv_sign": make.one("backbone.bottom_up.res3.0.conv2.weight", lambda v: -v),
    "part_loaded": make.network(spoil.load_a_part),
    "bias_lost": make.one("head.cls_score.bias", lambda v: v * 0),
    "head_initial": make.network(spoil.initial_head),
    "backbone_random": make.network(spoil.random_backbone),
    "nan_weight": make.one("head.bbox_pred.bias", lambda v: v.log()),
    "bfloat16": make.each(lambda v: v.bfloat16().float()),
    "int8": make.each(spoil.eight_bits, only=lambda k, v: v.dim() == 4),
    "levels_exchanged": make.network(spoil.exchange_levels),
    "training_mode": make.code(model.F, batch_norm=spoil.norm_of_the_image),
    "other_seed": make.network(lambda net: seeded.draw(net, 99)),
    "frozen_other_weights": make.frozen_other_weights,
    "one_tensor_fine_tuned": make.one("head.cls_score.weight", lambda v: v * 1.001),
}

FILES = {
    "unknown_operator": make.unknown_operator,
    "classifier": make.classifier,
    "function": make.function,
    "truncated": lambda bench, path: _cut(bench, path),
    "zip_of_text": lambda bench, path: _zip(path),
    "state_dict": lambda bench, path: torch.save(bench.network().state_dict(), path),
    "empty": lambda bench, path: path.write_bytes(b""),
    "text": lambda bench, path: path.write_text("version https://git-lfs.example/spec/v1\n"),
    "missing": lambda bench, path: None,
    "folder": lambda bench, path: path.mkdir(),
}

BAD = {**STUBS, **FORMATS, **RECIPE, **INPUT, **WEIGHTS, **FILES}

GOOD = {
    "own": lambda bench: bench.trace(),
    "three_outputs": make.outputs(lambda b, c, s, z: (b, c, s)),
    "traced_at_other_size": lambda bench: bench.trace(size=bench.sizes[1]),
    "inlined": make.inlined,
    "frozen": make.frozen,
    "float32_nms": make.float32_nms,
    "candidates_reordered": make.candidates(choose=make.unordered),
    "labels_by_int32": make.scripted(modules.Plain),
    "fine_tuned": make.each(spoil.nudged, only=lambda k, v: "norm" not in k),
    "head_fine_tuned": make.each(spoil.nudged, only=lambda k, v: k.startswith("head")),
    "slow": make.image(lambda x: x + 0 * _work(x)),
}


def _work(image):
    """About as much arithmetic as the whole small network needs."""
    weight = torch.full((3, 3, 25, 25), 1e-9)
    for _ in range(3):
        image = torch.nn.functional.conv2d(image, weight, padding=12)
    return image


def _swapped():
    return torch.arange(100).view(50, 2).flip(1).flatten()


def _twice():
    return torch.arange(100) // 2


def _cut(bench, path: Path) -> None:
    torch.jit.save(bench.trace(), str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a model, they said")


def build(arrays, *, names: list, folder: str, library: str, **subject) -> tuple:
    """Write <name>.ts for each name into a folder; `subject`: spec, recipe, weights and sizes."""
    ops.load({}, path=library)
    bench = make.Bench(**subject)
    for name in names:
        path = Path(folder) / f"{name}.ts"
        maker = {**BAD, **GOOD}[name]
        if name in FILES and maker.__code__.co_argcount == 2:
            maker(bench, path)
        else:
            torch.jit.save(maker(bench), str(path))
    return {}, {}


OPERATIONS = {"build": build}
