"""Rows of the model file: its rewrite, its input or its weights are wrong.

The fault of each name is built by tests/faulty_models.py.
"""

from __future__ import annotations

from tests.bite.fault import Fault

RECIPE = "export.recipe"
NUMERICS = "numerics.recipe"
OTHERWISE = "candidates are chosen otherwise"
BOXES = "scores and classes are right"
FAR = "image, weights or network differ"


def another(name: str, what: str, attribute: str, *kin: str, quick: bool = False) -> Fault:
    """A fault of an attribute of the NMS operator."""
    return Fault(name, what, RECIPE, f"aie::batch_nms has another {attribute}", kin, quick=quick)


REWRITE = [
    Fault("no_sigmoid", "scores are logits", NUMERICS, "the sigmoid is missing", ("DE6",)),
    Fault("sigmoid_twice", "sigmoid of sigmoid", NUMERICS, "through the sigmoid twice", ("DE6",)),
    Fault("softmax", "softmax over the classes in place of sigmoid", NUMERICS, "", ("DE6",)),
    another(
        "threshold_high",
        "scores below 0.3 are dropped, not 0.05",
        "score_threshold",
        *("NM3", "EV8"),
    ),
    another("threshold_low", "scores above 0.01 are kept, not 0.05", "score_threshold", "NM3"),
    another("iou_high", "NMS at IoU 0.7, not 0.5", "iou_threshold", "NM2", "NM13", quick=True),
    another("iou_low", "NMS at IoU 0.3, not 0.5", "iou_threshold", "NM2", "NM13"),
    another("per_class_5", "five detections of a class, not 200", "max_size_per_class", "NM7"),
    another("total_50", "50 detections, not 100", "max_total_size", "NM7", "EV5"),
    Fault(
        "class_agnostic",
        "other classes are suppressed too, behind the operator",
        NUMERICS,
        "detections are missing",
        ("NM4",),
    ),
    Fault("no_nms", "the best 100 scores without NMS", RECIPE, "aie::batch_nms 0 times", ("EX1",)),
    Fault("topk_20", "20 candidates a class and level, not 200", RECIPE, OTHERWISE, ("DE5",)),
    Fault(
        "topk_wrong_axis",
        "the flat scores are cut by class at the wrong axis",
        NUMERICS,
        "",
        ("DE5",),
    ),
    Fault(
        "topk_of_anchors",
        "the best anchors are chosen, not the best of each class",
        NUMERICS,
        "detections are missing",
        ("DE5",),
    ),
    Fault("last_level_dropped", "no candidates of the coarsest level", RECIPE, OTHERWISE, ("DE3",)),
    Fault("first_level_dropped", "no candidates of the finest level", RECIPE, OTHERWISE, ("DE3",)),
    Fault("half_a_stride", "anchors are moved by half a stride", NUMERICS, BOXES, ("DE1",)),
    Fault("anchors_double", "anchors are twice as large", NUMERICS, BOXES),
    Fault("anchors_whole", "anchors are rounded to pixels", NUMERICS, BOXES),
    Fault("anchors_truncated", "anchors are cut to whole pixels", NUMERICS, BOXES),
    Fault("anchor_levels_reversed", "anchors of levels in reverse", NUMERICS, BOXES, ("DE3",)),
    Fault("anchor_ratios_reversed", "anchors have x and y swapped", NUMERICS, BOXES),
    Fault(
        "clamp_missing",
        "the exponent of box sizes has no limit",
        RECIPE,
        "exponent of box sizes",
        ("DE9",),
    ),
    Fault("clamp_low", "the exponent is limited to 0.1", RECIPE, "exponent of box sizes", ("PR7",)),
    Fault("deltas_scaled", "deltas are divided by 10 10 5 5", NUMERICS, BOXES),
    Fault("deltas_swapped", "deltas have x and y swapped", NUMERICS, BOXES),
    Fault("plus_one", "widths count pixels inclusively", NUMERICS, BOXES),
    Fault("clipped", "boxes are clipped to the image", NUMERICS, "clipped", ("DE8",)),
    Fault(
        "baked_anchors",
        "anchors of the traced size are constants",
        "export.size",
        "depends on the size",
        ("EX3",),
        quick=True,
    ),
    Fault("half_candidates", "boxes are decoded in float16", NUMERICS, "", ("PR1", "PR2")),
]
INPUT = [
    Fault("rgb", "red and blue are swapped", NUMERICS, FAR, ("PP1",), quick=True),
    Fault("mean_again", "the mean is subtracted twice", NUMERICS, FAR, ("PP2",)),
    Fault("by_255", "the image is divided by 255", NUMERICS, "", ("PP2",)),
    Fault("mirrored", "the image is mirrored", NUMERICS, FAR),
    Fault("rows_as_columns", "the image is transposed", NUMERICS, FAR, ("LY4",)),
    Fault(
        "nhwc",
        "the model wants NHWC",
        "outputs.runs",
        "the model does not run",
        ("LY4",),
        quick=True,
    ),
    Fault("nhwc_buffer", "the buffer is read as NHWC", NUMERICS, FAR, ("LY4", "LY6")),
    Fault("uint8", "the image is cut to whole numbers", NUMERICS, "", ("PP2",)),
]
WEIGHTS = [
    Fault("bn_eps", "batch norm with epsilon 0.001, not 0.00001", NUMERICS, ""),
    Fault("bn_lost", "statistics of batch norm are as new", "export.weights", "declared weights"),
    Fault("conv_zero", "one convolution of the FPN is zero", "export.weights", "fpn_output4"),
    Fault("conv_sign", "one convolution has the other sign", "export.weights", "res3.0.conv2"),
    Fault(
        "part_loaded",
        "biases of the FPN are as new, the rest is trained further",
        "export.weights",
        "only a part of the weights was loaded",
        ("EX9",),
        quick=True,
    ),
    Fault(
        "bias_lost",
        "the bias of the class head is zero",
        "export.weights",
        "head.cls_score.bias does not hold",
        ("EX9",),
        quick=True,
    ),
    Fault("head_initial", "the head is untrained", "export.weights", "head is untrained", ("EX9",)),
    Fault("backbone_random", "the backbone is new", "export.weights", "declared", ("EX9",)),
    Fault(
        "nan_weight",
        "a bias is NaN",
        "export.constants",
        "tensors of the file are broken",
        ("EX2",),
        quick=True,
    ),
    Fault("bfloat16", "weights are bfloat16", "export.weights", "rounded to bfloat16", ("PR1",)),
    Fault(
        "levels_exchanged",
        "two levels of the FPN have each other's weights",
        "export.weights",
        "4 tensors do not hold the declared weights",
        ("EX9",),
    ),
    Fault("training_mode", "norms use the statistics of the image", NUMERICS, "", ("TR4",)),
    Fault(
        "int8", "weights are rounded to 255 levels", "export.weights", "declared", ("PR1", "PR8")
    ),
    Fault("other_seed", "weights of another model", "export.weights", "", ("ST2",)),
    Fault(
        "frozen_other_weights",
        "other weights, written into the graph",
        NUMERICS,
        FAR,
        ("ST2",),
    ),
    Fault(
        "one_tensor_fine_tuned",
        "one tensor was trained further",
        "export.weights",
        "head.cls_score.weight does not hold",
        ("PR8",),
    ),
]
NETWORKS = [*REWRITE, *INPUT, *WEIGHTS]
