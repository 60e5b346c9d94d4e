"""Rows of the model file: what comes out of it is wrong, or in another form.

The fault of each name is built by tests/faulty_models.py.
"""

from __future__ import annotations

from tests.bite.fault import Fault

NO_BOXES = "the outputs are not n boxes, n labels and n scores"
STUBS = [
    Fault(
        "all_ones",
        "the operator is a stub that answers with ones",
        "outputs.order",
        "scores are all alike",
        ("EX1", "ST5"),
        quick=True,
    ),
    Fault(
        "constant",
        "the answer is the same plausible one for every image",
        "numerics.recipe",
        "are far from the recipe's",
        ("MS2",),
    ),
    Fault(
        "ignores_the_image",
        "the image is multiplied by zero",
        "outputs.vacuous",
        "the result is vacuous",
        ("MS2",),
    ),
    Fault(
        "cached",
        "the first answer is kept and given again",
        "outputs.runs",
        "only straight-line graphs compile",
        ("MS11",),
    ),
    Fault(
        "noise",
        "normal noise of 1 px is added to the boxes",
        "compile.repeatable",
        "two runs of one input differ",
        ("RT6",),
    ),
    Fault(
        "little_noise",
        "noise of 0.001 px is added to the boxes",
        "compile.repeatable",
        "two runs of one input differ",
        ("RT6",),
        quick=True,
    ),
]
SHAPES = [
    Fault(
        "boxes_scores_swapped",
        "boxes and scores change places",
        "outputs.order",
        "the outputs come as scores, labels, boxes",
        ("EX6", "LY5"),
    ),
    Fault(
        "labels_scores_swapped",
        "labels and scores change places",
        "outputs.order",
        "the outputs come as boxes, scores, labels",
        ("EX6", "LY5"),
        quick=True,
    ),
    Fault(
        "labels_scores_swapped_in_shape",
        "labels and scores change places, each in the other's shape",
        "outputs.order",
        "the outputs come as boxes, scores, labels",
        ("EX6", "LY5"),
    ),
    Fault(
        "boxes_labels_swapped",
        "boxes and labels change places",
        "outputs.order",
        "the outputs come as labels, boxes, scores",
        ("EX6", "LY5"),
    ),
    Fault(
        "transposed",
        "boxes are (4, 100)",
        "outputs.layout",
        "coordinate first",
        ("LY1",),
    ),
    Fault(
        "transposed_in_shape",
        "boxes are transposed and called (100, 4) again",
        "outputs.layout",
        "coordinate first",
        ("LY1", "LY6"),
        quick=True,
    ),
    Fault(
        "x1x2y1y2",
        "boxes are x1 x2 y1 y2",
        "outputs.layout",
        "detection first, x1 x2 y1 y2",
        ("LY1",),
    ),
    Fault(
        "yxyx",
        "boxes are y1 x1 y2 x2",
        "numerics.recipe",
        "boxes have x and y swapped",
        ("LY1",),
    ),
    Fault(
        "xywh",
        "boxes are corner, width and height",
        "outputs.layout",
        "with width and height",
        ("LY1",),
    ),
    Fault(
        "centre_wh",
        "boxes are centre, width and height",
        "numerics.recipe",
        "boxes are centre x y, width height",
        ("LY1",),
    ),
    Fault(
        "normalised",
        "boxes are fractions of the image",
        "outputs.order",
        "fractions of the image, not pixels",
    ),
    Fault("flat_boxes", "boxes are one row of 400", "outputs.shape", "boxes has another shape"),
    Fault(
        "float16_outputs",
        "boxes and scores stay float16",
        "outputs.dtype",
        "boxes is float16, not float32",
        ("LY3",),
    ),
    Fault(
        "float64_outputs",
        "boxes and scores are float64",
        "outputs.dtype",
        "boxes is float64, not float32",
    ),
    Fault(
        "labels_float",
        "labels are float32",
        "outputs.dtype",
        "labels is float32, not int64",
        ("LY8",),
    ),
    Fault("labels_int32", "labels are int32", "outputs.dtype", "labels is int32, not int64"),
    Fault(
        "two_outputs",
        "scores and image size are not returned",
        "outputs.shape",
        "the number of outputs is wrong",
        ("NM9",),
    ),
    Fault(
        "five_outputs",
        "scores are returned twice",
        "outputs.shape",
        "the number of outputs is wrong",
    ),
    Fault(
        "one_tensor",
        "boxes, labels and scores are one tensor of six columns",
        "outputs.shape",
        "the number of outputs is wrong",
    ),
    Fault(
        "image_size_wrong",
        "the image size that is returned is (3, 1344)",
        "outputs.shape",
        "image_size",
        ("EX4",),
    ),
    Fault(
        "dictionary",
        "a dictionary is returned",
        "outputs.runs",
        "returns dict, not a tuple of tensors",
    ),
]
LIVES = [
    Fault(
        "reuses_its_buffer",
        "boxes are returned in a buffer that the next call overwrites",
        "",
        "",
        ("NM8",),
        missed="harmless: what a backend hands out are copies of its own",
    ),
    Fault(
        "changes_its_input",
        "the image is left one grey level darker",
        "",
        "",
        ("RT8",),
        missed="each call gets a picture of its own; no clause promises that it is left as it was",
    ),
]
VALUES = [
    Fault(
        "labels_plus_one",
        "labels count from one, as with a background class",
        "numerics.recipe",
        "labels are shifted by +1",
        ("NM5", "EV2"),
    ),
    Fault(
        "labels_rotated",
        "each label is the next class, the last is the first",
        "numerics.recipe",
        "labels are shifted by +1",
        ("NM5", "EV2"),
    ),
    Fault(
        "percent",
        "scores are percentages",
        "outputs.values",
        "scores are out of range",
    ),
    Fault(
        "padding_garbage",
        "unused rows hold boxes",
        "outputs.padding",
        "padding rows hold leftovers",
        ("NM8",),
        quick=True,
    ),
    Fault(
        "padding_labels",
        "unused rows hold labels",
        "outputs.padding",
        "padding rows hold leftovers",
        ("NM8",),
    ),
    Fault(
        "padding_scores",
        "unused rows have negative scores",
        "outputs.values",
        "scores are out of range",
        ("NM9",),
    ),
    Fault(
        "unsorted",
        "neighbouring detections change places",
        "outputs.sorted",
        "not sorted by score",
        ("NM7",),
    ),
    Fault(
        "duplicates",
        "the better half of the detections comes twice",
        "numerics.recipe",
        "overlap beyond the NMS threshold",
    ),
]
FORMATS = [*STUBS, *SHAPES, *LIVES, *VALUES]
