"""Faults of the C++ operators: a changed kernel, really compiled."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

KERNEL = "mmdet_ops/cpu/batch_nms_kernel.cpp"
kernel = partial(seed, KERNEL)
NMS, ROI = "ops.batch_nms", "ops.roi_extractor"

OPERATORS = [
    seed(
        "mmdet_ops/cpu/survivors.h",
        "hits |= inter / (b.area + o.area[k] - inter) > iou_floor;",
        "hits |= inter / (b.area + o.area[k] - inter) >= iou_floor;",
        "kernel_iou_at_threshold",
        "an overlap of exactly the threshold suppresses",
        NMS,
        "num differ from the reference",
        kin=("NM2",),
    ),
    kernel(
        "const T floor = round_down<T>(options.score_threshold);",
        "const T floor = T(options.score_threshold);",
        "kernel_threshold_rounded",
        "the score threshold is rounded to fp16 before it is compared",
        NMS,
        "num differ from the reference",
        kin=("NM3",),
    ),
    kernel(
        "std::get<0>(out).data_ptr<T>() + i * room * 4,",
        "std::get<0>(out).data_ptr<T>(),",
        "kernel_images_share_rows",
        "the boxes of all images of a batch go to the first",
        NMS,
        "boxes differ from the reference",
        kin=("NM11",),
    ),
    kernel(
        "  std::get<0>(out).zero_();\n",
        "",
        "kernel_tail_not_cleared",
        "rows past the last detection hold what was in memory",
        NMS,
        "boxes differ from the reference",
        kin=("NM8",),
    ),
    kernel(
        "static_cast<float>(result.size);",
        "static_cast<float>(result.room);",
        "kernel_count_is_the_cap",
        "the number of detections is always the cap",
        NMS,
        "num differ from the reference",
        kin=("NM9",),
    ),
    kernel(
        "if (has_nan(b) || rivals.suppress(b, iou_floor)) continue;",
        "if (rivals.suppress(b, iou_floor)) continue;",
        "kernel_keeps_nan_boxes",
        "a box that is no box is a detection",
        NMS,
        "differ from the reference",
        kin=("NM14",),
    ),
    seed(
        "mmdet_ops/schema.cpp",
        '"int max_size_per_class, int max_total_size) -> (Tensor, Tensor, Tensor, Tensor)",',
        '"int max_total_size, float max_size_per_class) -> (Tensor, Tensor, Tensor, Tensor)",',
        "kernel_of_another_schema",
        "an argument has another type than exported models carry",
        "ops.schema",
        "another schema",
        kin=("EX12",),
    ),
    seed(
        "mmdet_ops/cpu/sampling.h",
        "start + b * size + (s + A(0.5)) * size / samples",
        "start + b * size + s * size / samples",
        "kernel_samples_at_the_edge",
        "samples lie at the edge of their cell and not in its middle",
        ROI,
        "the features differ from the reference",
    ),
]
