"""The result files that the source's scripts exchange: `<stem>_{0,1,2}.bin` of each image.

Raw little-endian numbers in C order, no header: nothing in a file says what it holds, so all that
its length and name can tell is checked here. (What the *values* can tell is the checks' business.)
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from protocol import Refusal

DETECTIONS = 100


class Part(NamedTuple):
    """One file of a result: what it holds, the end of its name, its dtype and trailing shape."""

    name: str
    suffix: str
    dtype: np.dtype
    trail: tuple[int, ...]

    def shape(self, detections: int) -> tuple[int, ...]:
        return (detections,) + self.trail

    def size(self, detections: int) -> int:
        """Length in bytes."""
        return self.dtype.itemsize * math.prod(self.shape(detections))


PARTS = (
    Part("boxes", "_0.bin", np.dtype("<f4"), (4,)),
    Part("labels", "_1.bin", np.dtype("<i8"), (1,)),
    Part("scores", "_2.bin", np.dtype("<f4"), ()),
)


def create(folder: Path | str) -> Path:
    """Make an empty result folder (mode 755; the source's decimal 640 locks its owner out).

    Raises Refusal if something lies in it already: an earlier run's files would be scored as new.
    """
    folder = Path(folder)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refusal(f"{folder}: the result folder is not empty; give a new one")
    return folder


def write(
    folder: Path | str,
    stem: str,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    detections: int = DETECTIONS,
) -> None:
    """Write one image's triple into an existing or new folder; each file appears whole or not.

    Args:
        boxes, labels, scores: float32 (D, 4) px, int64 (D, 1), float32 (D,); D = detections.
    Raises:
        Refusal: another dtype or shape (nothing is cast), or a stem that is no file name.
    """
    if not stem or Path(stem).name != stem:
        raise Refusal(f"stem {stem!r} is no plain file name; use the image's name without suffix")
    arrays = boxes, labels, scores
    for part, array in zip(PARTS, arrays):
        _conforms(f"{stem}: {part.name}", array, part.dtype, part.shape(detections))
    Path(folder).mkdir(mode=0o755, parents=True, exist_ok=True)
    for part, array in zip(PARTS, arrays):
        _commit(Path(folder) / (stem + part.suffix), array)


def read(
    folder: Path | str, stem: str, *, detections: int = DETECTIONS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes float32 (D, 4), labels int64 (D, 1), scores float32 (D,) of one image.

    Raises Refusal, which names the file and what its length suggests.
    """
    paths = [os.path.join(folder, stem + part.suffix) for part in PARTS]
    data = [_bytes(path) for path in paths]
    expected = [part.size(detections) for part in PARTS]
    sizes = [len(one) for one in data]
    if sizes != expected and sorted(sizes) == sorted(expected):
        raise Refusal(
            f"{Path(folder) / stem}_*.bin: the files are swapped: _0, _1, _2 have "
            f"{sizes} bytes, but boxes, labels, scores take {expected}; "
            "write them in that order"
        )
    for path, part, one in zip(paths, PARTS, data):
        _has_size(path, part.name, one, part.size(detections))
    boxes, labels, scores = (
        np.frombuffer(one, part.dtype).reshape(part.shape(detections))
        for part, one in zip(PARTS, data)
    )
    return boxes, labels, scores


def complete(folder: Path | str, stems: Iterable[str]) -> None:
    """Refuse a folder that does not hold exactly the triples of `stems`."""
    expected = {stem + part.suffix for stem in stems for part in PARTS}
    present = {path.name for path in Path(folder).iterdir()}
    missing, unknown = sorted(expected - present), sorted(present - expected)
    if missing:
        raise Refusal(
            f"{folder}: {len(missing)} of {len(expected)} result files are missing, "
            f"first {missing[0]}; run inference on all images again"
        )
    if unknown:
        raise Refusal(
            f"{folder}: {len(unknown)} files belong to no image of this run, first "
            f"{unknown[0]}; write results into a new folder"
        )


def _conforms(what: str, array: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise Refusal(
            f"{what}: got {array.dtype} {array.shape}, the file takes {dtype} {shape}; "
            "convert it where it is made, so that nothing is cast unseen"
        )


def _commit(path: Path, array: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(array.tobytes())
    os.replace(temporary, path)


def _bytes(path: Path | str) -> bytearray:
    try:
        with open(path, "rb") as file:
            return bytearray(file.read())
    except OSError as error:
        raise Refusal(
            f"{path}: the file cannot be read ({error.strerror}); run the step that writes it"
        ) from error


def _has_size(path: Path | str, what: str, data: bytearray, expected: int) -> None:
    if len(data) == expected:
        return
    if 2 * len(data) == expected:
        hint = "half of it: numbers of half the width (float16, int32)"
    elif len(data) == 2 * expected:
        hint = "twice that: numbers of double the width (float64)"
    else:
        hint = "cut short" if len(data) < expected else "too long"
    raise Refusal(
        f"{path}: {what} take {expected} bytes, the file has {len(data)} ({hint}); "
        "write it again with the contract's dtype and shape"
    )
