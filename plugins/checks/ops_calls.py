"""Calls of the operators that say something about their interface: schemas, shapes, refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from plugins.checks.ops import NmsResult, RoiOptions
from plugins.failure import CheckFailure


@dataclass(frozen=True)
class BadCall:
    """A call of aie::batch_nms with one thing wrong; `says` must all stand in the refusal."""

    name: str
    says: tuple[str, ...]
    boxes: tuple[int, ...] = (1, 5, 3, 4)
    scores: tuple[int, ...] = (1, 5, 3)
    dtypes: tuple[str, str] = ("float32", "float32")
    arguments: dict = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors of the call."""
        return {
            "bbox": np.ones(self.boxes, self.dtypes[0]),
            "scores": np.ones(self.scores, self.dtypes[1]),
        }


def bad_calls() -> list[BadCall]:
    """One call for each way to be wrong that a port meets."""
    return [
        BadCall("boxes_without_batch", ("bbox", "[5, 3, 4]"), boxes=(5, 3, 4)),
        BadCall("five_coordinates", ("bbox", "[1, 5, 3, 5]"), boxes=(1, 5, 3, 5)),
        BadCall("other_classes", ("scores", "[1, 5, 4]"), scores=(1, 5, 4)),
        BadCall("integer_boxes", ("bbox", "Long"), dtypes=("int64", "float32")),
        BadCall("mixed_dtypes", ("scores", "Half"), dtypes=("float32", "float16")),
        BadCall(
            "threshold_above_one", ("score_threshold", "1.5"), arguments={"score_threshold": 1.5}
        ),
        BadCall("iou_nan", ("iou_threshold", "nan"), arguments={"iou_threshold": float("nan")}),
        BadCall("no_room", ("max_total_size", "0"), arguments={"max_total_size": 0}),
    ]


@dataclass(frozen=True)
class RoiCase:
    """Seeded features of some levels and regions inside, across and beyond them."""

    name: str
    levels: int
    options: RoiOptions

    def arrays(self, dtype: str) -> tuple[list[np.ndarray], np.ndarray]:
        """feats [(2, 3, H, W)] and rois (K, 5) = image, x1, y1, x2, y2 in px."""
        random = np.random.RandomState(56)
        feats = [
            random.standard_normal((2, 3, 24 >> i, 32 >> i)).astype(dtype)
            for i in range(self.levels)
        ]
        corner = random.randint(-16, 96, size=(12, 2))
        size = random.randint(0, 128, size=(12, 2))
        image = random.randint(0, 2, size=(12, 1))
        return feats, np.concatenate([image, corner, corner + size], 1).astype(dtype)


def roi_cases() -> list[RoiCase]:
    """The settings of the detectors that carry the operator, and the corners of its arguments."""
    scales = (0.25, 0.125, 0.0625, 0.03125)
    return [
        RoiCase("mask_rcnn", 4, RoiOptions(scales, aligned=False)),
        RoiCase("cascade_rcnn", 4, RoiOptions(scales, aligned=True)),
        RoiCase("one_level", 1, RoiOptions(scales[:1], sample_num=2)),
        RoiCase("enlarged", 2, RoiOptions(scales[:2], roi_scale_factor=2, ph=3, pw=5)),
    ]


def check_schema(actual: str, declared: str) -> None:
    """The registered schema takes the declared types in the declared order; names may differ.

    Exported models call by position, so that argument names carry no meaning.
    """
    if _types(actual) != _types(declared):
        raise CheckFailure(
            "an operator has another schema",
            expected=declared,
            actual=actual,
        )


def _types(schema: str) -> list[str]:
    """Operator name, then the types of arguments and results, in order."""
    name, _, rest = schema.partition("(")
    return [name] + re.findall(r"(?:^|[(,>]\s*)\s*([A-Za-z]+(?:\[\])?)", rest)


def check_described(described: dict, wanted: NmsResult) -> None:
    """Shapes and dtypes of meta tensors are those of the computed result."""
    for name in ("boxes", "scores", "classes", "num"):
        array = getattr(wanted, name)
        real = {"shape": list(array.shape), "dtype": array.dtype.name}
        if described[name] != real:
            raise CheckFailure(
                f"the Meta kernel describes another '{name}'",
                expected=str(real),
                actual=str(described[name]),
            )


def check_refused(sentence: str, bad: BadCall) -> None:
    """A bad call is refused with the operator, the argument and what was given."""
    missing = [word for word in ("aie::batch_nms", "expected", *bad.says) if word not in sentence]
    if missing:
        raise CheckFailure(
            "bad input is accepted" if not sentence else "a refusal does not say what is wrong",
            expected=f"a refusal that names aie::batch_nms and {', '.join(bad.says)}",
            actual=sentence or "the call returned",
        )
