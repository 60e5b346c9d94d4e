"""Faults on the way back: from the model's boxes and labels to those of the image."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

images = partial(seed, "plugins/workers/images.py")
BOXES = "pipeline.boxes"
SCALED = "/ (across, down, across, down)"

BACK = [
    images(
        SCALED,
        "/ (down, across, down, across)",
        "scales_swapped",
        "width and height are swapped on the way back",
        BOXES,
        "width and height are swapped",
        kin=("EV3",),
        quick=True,
    ),
    images(
        SCALED,
        "/ (down, down, down, down)",
        "one_scale_for_both",
        "both axes go back with the height's scale",
        BOXES,
        "x is restored with the height's",
        kin=("EV3",),
    ),
    images(
        "    return np.asarray(boxes, np.float64).reshape(-1, 4) / (across, down, across, down)\n",
        "    whole = np.asarray(boxes, np.float64).reshape(-1, 4) / (across, down, across, down)\n"
        "    return whole.round()\n",
        "boxes_back_in_whole_pixels",
        "boxes are rounded to whole pixels of the image",
        BOXES,
        "do not lead back",
    ),
    images(
        "    return ids[labels]\n",
        "    return ids[labels - 1]\n",
        "categories_shifted",
        "label 0 is the background",
        "pipeline.labels",
        "wrong categories",
        kin=("EV2",),
    ),
    images(
        "    return ids[labels]\n",
        "    return labels + 1\n",
        "categories_without_gaps",
        "category ids are taken to be contiguous",
        "pipeline.labels",
        "wrong categories",
        kin=("EV2",),
    ),
]
