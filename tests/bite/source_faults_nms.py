"""Faults of the device's NMS: the emulated kernel decides otherwise than the operator promises."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

nms = partial(seed, "plugins/workers/emulator/torch_aie/_emulator/nms_310p.py")
DEVICE = "ops.device_nms"
OTHERWISE = "the device decides otherwise"
VALID = "    valid = scores > _fp16(torch.tensor(score_threshold))\n"
AGNOSTIC = """\
    for k in range(len(scores)):
        low = torch.maximum(corners[k, :2], corners[k + 1 :, :2])
        high = torch.minimum(corners[k, 2:], corners[k + 1 :, 2:])
        both = (high - low + 1).clamp(min=0).prod(-1)
        area = (corners[:, 2:] - corners[:, :2] + 1).prod(-1)
        over = both > 0.5 * (area[k] + area[k + 1 :] - both)
        scores[k + 1 :] = scores[k + 1 :].masked_fill(over & (scores[k] > 0), float("-inf"))
    order = torch.sort(scores, descending=True, stable=True)[1]
    scores, classes, corners = scores[order], classes[order], corners[order]
"""

NMS = [
    nms(
        "SCALE_DOWN = float(torch.tensor(0.1).half())",
        "SCALE_DOWN = float(torch.tensor(1.0).half())",
        "area_overflows",
        "coordinates are not scaled down, so that areas beyond 256 x 256 px overflow in fp16",
        DEVICE,
        OTHERWISE,
        kin=("NM1",),
        also=[
            (
                "plugins/workers/emulator/torch_aie/_emulator/nms_310p.py",
                "kept = _fp16(corners * 10)",
                "kept = _fp16(corners * 1)",
            )
        ],
    ),
    nms(
        "        return inter > _fp16(",
        "        return inter >= _fp16(",
        "iou_at_threshold_suppresses",
        "an overlap of exactly the threshold suppresses",
        DEVICE,
        OTHERWISE,
        kin=("NM2",),
    ),
    nms(
        VALID,
        VALID.replace(">", ">="),
        "score_at_threshold_kept",
        "a score of exactly the threshold is a detection",
        DEVICE,
        OTHERWISE,
        kin=("NM3",),
        quick=True,
    ),
    nms(
        VALID,
        AGNOSTIC + VALID,
        "classes_suppress_each_other",
        "suppression goes across classes",
        DEVICE,
        OTHERWISE,
        kin=("NM4",),
    ),
    nms(
        "labels = torch.arange(len(scores))[:, None]",
        "labels = 1 + torch.arange(len(scores))[:, None]",
        "labels_from_one",
        "label 0 is the background",
        DEVICE,
        "other classes survive",
        kin=("NM5",),
    ),
    nms(
        "order = torch.sort(pool[0], descending=True, stable=True)[1][:",
        "order = torch.arange(len(pool[0]))[:",
        "cap_in_order_of_classes",
        "the total cap keeps what comes first, not what scores best",
        DEVICE,
        "other scores survive",
        kin=("NM7",),
    ),
    nms(
        "SORT_QUEUE = 4080",
        "SORT_QUEUE = 64",
        "queue_too_short",
        "candidates are cut off before anything is suppressed",
        DEVICE,
        "64 detections instead of 100",
        kin=("NM7",),
    ),
    nms(
        "kept = _fp16(corners * 10).where(valid[:, None], torch.zeros(()))",
        "kept = _fp16(corners * 10)",
        "stale_boxes_in_the_tail",
        "rows past the last detection keep the boxes of candidates below the threshold",
        "outputs.padding",
        "padding rows hold leftovers",
        kin=("NM8",),
    ),
    nms(
        "return kept, scores.where(valid, torch.zeros(())), classes, valid.sum()",
        "return kept, scores, classes, valid.sum()",
        "stale_scores_in_the_tail",
        "rows past the last detection keep their scores",
        "outputs.values",
        "scores are out of range",
        kin=("NM8",),
    ),
    nms(
        "torch.stack(counts).float(),",
        "torch.stack(counts).float() * 8,",
        "count_of_another_stride",
        "the number of detections is wrong",
        "",
        "",
        kin=("NM9",),
        missed="the model does not return the count, and rows past it are empty; the operator on"
        " the CPU is asked for it (kernel_count_is_the_cap)",
    ),
    nms(
        "threshold = _fp16(torch.tensor(iou_threshold / (1 + iou_threshold)))",
        "threshold = _fp16(torch.tensor(0.5 / 1.5))",
        "iou_threshold_has_no_effect",
        "the kernel was built for one IoU threshold",
        DEVICE,
        OTHERWISE,
        kin=("NM13",),
    ),
    nms(
        VALID,
        VALID.replace("score_threshold", "0.05"),
        "score_threshold_has_no_effect",
        "the kernel was built for one score threshold",
        DEVICE,
        OTHERWISE,
        kin=("NM13",),
    ),
    nms(
        "sides = _fp16(_fp16(high - low) + 1).clamp(min=0)",
        "sides = _fp16(_fp16(high - low) + 1)",
        "negative_sides_multiply",
        "two negative sides make a positive area, so that distant boxes overlap",
        DEVICE,
        OTHERWISE,
        kin=("NM14",),
    ),
    nms(
        "    corners[..., 2:] = _fp16(corners[..., 2:] + 1)\n",
        "",
        "one_is_not_given_back",
        "the 1 that is taken off the far corner is not put back",
        DEVICE,
        "the device decides otherwise: box",
    ),
    nms(
        "kept = _fp16(corners * 10)",
        "kept = _fp16(corners * torch.where(corners.abs() > 5000, 5.0, 10.0))",
        "huge_coordinates_halved",
        "coordinates beyond 50000 px are halved, where the device is known to decide otherwise in any case",
        DEVICE,
        "is no candidate that is left",
        kin=("NM1",),
    ),
    nms(
        "limit = min(max_size_per_class, _blocks(max_total_size))",
        "limit = _blocks(max_total_size)",
        "cap_per_class_ignored",
        "a class keeps more than its cap",
        DEVICE,
        OTHERWISE,
    ),
    nms(
        "for t in (scores, labels, corners)]",
        "for t in (scores, labels - start, corners)]",
        "labels_start_again_in_each_chunk",
        "classes are merged nine at a time, and each nine are numbered from 0",
        DEVICE,
        "other classes survive",
    ),
    nms(
        "scores = scores.half().float().transpose(1, 2)",
        "scores = scores.half().float().transpose(1, 2)\n"
        "    scores = scores.where(scores >= 2.0**-14, torch.zeros(()))",
        "denormal_scores_flushed",
        "scores below 6e-5 are flushed to zero",
        DEVICE,
        OTHERWISE,
        kin=("PR4",),
    ),
]
