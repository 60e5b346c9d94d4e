"""From an image file to the model's input and back, as the source's scripts do it.

Pre-processing (Ascend ModelZoo-PyTorch, Retinanet_preprocess.py): decode to BGR with OpenCV, resize
bilinearly by the rule in `resized_size`, subtract the BGR mean, pad with zeros to the right and
below, lay out as CHW. Post-processing (Retinanet_postprocess.py): boxes back to the image's pixels,
contiguous labels to category ids.

The planes are written straight into a reused buffer: bit by bit what the plain form gives (copy,
subtract, pad, transpose), in about half its time.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from protocol import Refusal

MEAN = (103.53, 116.28, 123.675)  # grey levels, BGR
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
# In JPEG's coded data ff is followed by 00 (stuffing), d0-d7 (restart) or ff (fill).
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Geometry(NamedTuple):
    """Sizes in px of an image as decoded and as resized; what `restore` needs."""

    width: int
    height: int
    resized_width: int
    resized_height: int


def resized_size(width: int, height: int, *, shortest: int, longest: int) -> tuple[int, int]:
    """(width, height) in px after resizing, by the source's rule in the source's arithmetic.

    Both sides times shortest/min(width, height), rounded down; if the longer one then exceeds
    `longest`, both shrink to fit, rounded to nearest. Rounding down a double product makes the
    short side shortest - 1 now and then (305 px: 799); that is the source's, so it is ours.
    """
    scale = shortest / min(width, height)
    width, height = math.floor(width * scale), math.floor(height * scale)
    if max(width, height) > longest:
        scale = longest / max(width, height)
        width, height = int(width * scale + 0.5), int(height * scale + 0.5)
    return width, height


def read(path: Path | str) -> np.ndarray:
    """Decode to uint8 (height, width, 3) BGR, turned upright by its EXIF orientation.

    Raises Refusal for a file that is missing, empty, cut short, or no image. (OpenCV itself
    decodes a JPEG that was cut short, and fills the rest with grey.)
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Refusal(
            f"{path}: the image cannot be read ({error.strerror}); "
            "check the path and its permissions"
        ) from error
    if not data:
        raise Refusal(f"{path}: the image file is empty (0 bytes); copy it again")
    if not _ends(data):
        raise Refusal(f"{path}: the image file is cut short after {len(data)} bytes; copy it again")
    pixels = _decode(data)
    if pixels is None:
        raise Refusal(
            f"{path}: not an image that OpenCV {cv2.__version__} can decode "
            f"(it begins with {data[:8]!r}); give a JPEG or PNG file"
        )
    return pixels


def _decode(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def _ends(data: bytes) -> bool:
    """Whether a JPEG or PNG reaches its end marker; other formats are left to the decoder."""
    if data.startswith(JPEG):
        return _jpeg_ends(data)
    if data.startswith(PNG):
        return _png_ends(data)
    return True


def _jpeg_ends(data: bytes) -> bool:
    """Walk the segments: an embedded thumbnail has an end marker of its own, not to be found."""
    at = 2
    while True:
        marker = MARKER.search(data, at)
        if marker is None:
            return False
        if marker.group()[1] == 0xD9:
            return True
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")


def _png_ends(data: bytes) -> bool:
    at = len(PNG)
    while data[at + 4 : at + 8] != b"IEND" and at < len(data):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return at + 12 <= len(data)


def prepare(
    path: Path | str,
    *,
    shortest: int,
    longest: int,
    size: int,
    mean: Sequence[float] = MEAN,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, Geometry]:
    """The model's input for one image file.

    Args:
        shortest, longest, size: px, e.g. 800, 1333, 1344.
        mean: grey levels, BGR; the standard deviation is 1, as in the source.
        out: a float32 (3, size, size) array to write into; all of it is overwritten.
    Returns:
        float32 (3, size, size), BGR planes, and the sizes that lead back.
    Raises:
        Refusal: the file is no whole image, or the rule gives it a size that does not fit.
    """
    pixels = read(path)
    height, width = pixels.shape[:2]
    target = resized_size(width, height, shortest=shortest, longest=longest)
    if not (1 <= min(target) and max(target) <= size):
        raise Refusal(
            f"{path}: {width}x{height} px would become {target[0]}x{target[1]} px, which "
            f"does not fit 1..{size} px; leave this image out"
        )
    tensor = np.empty((3, size, size), np.float32) if out is None else out
    _fill(tensor, cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR), mean)
    return tensor, Geometry(width, height, *target)


def _fill(tensor: np.ndarray, pixels: np.ndarray, mean: Sequence[float]) -> None:
    height, width = pixels.shape[:2]
    tensor[:, height:] = 0
    tensor[:, :height, width:] = 0
    for plane, grey, level in zip(tensor, cv2.split(pixels), mean):
        # The dtype is named: NumPy 1 would compute uint8 minus a scalar in float16.
        np.subtract(grey, np.float32(level), out=plane[:height, :width], dtype=np.float32)


def stream(
    paths: Iterable[Path | str], *, slots: int = 4, **rule
) -> Iterator[tuple[np.ndarray, Geometry]]:
    """Prepare many files in order, one thread ahead of the consumer; `rule` as for `prepare`.

    An array is valid until the next one is asked for: `slots` buffers are used in turn. Every
    path gives one result or raises; nothing is left out. Errors name the file.
    """
    paths = iter(paths)
    shape = (3, rule["size"], rule["size"])
    pool, pending = ThreadPoolExecutor(1, thread_name_prefix="images"), deque()

    def prefetch(buffer: np.ndarray) -> None:
        for path in paths:
            pending.append((buffer, pool.submit(_prepare_by_name, path, out=buffer, **rule)))
            return

    try:
        for _ in range(slots):
            prefetch(np.zeros(shape, np.float32))
        while pending:
            buffer, future = pending.popleft()
            yield future.result()
            prefetch(buffer)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_by_name(path: Path | str, **rule) -> tuple[np.ndarray, Geometry]:
    try:
        return prepare(path, **rule)
    except Refusal:
        raise
    except Exception as error:
        raise RuntimeError(f"{path}: pre-processing failed: {error!r}") from error


def restore(boxes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Boxes (N, 4) xyxy in px of the input -> float64 (N, 4) xyxy in px of the image, not clipped to it.

    Each axis by its own scale. The source divides x by the *height*'s too, for its two scripts disagree
    on the order of width and height: that moves the far edge of sides of 200-640 px by 0.2 px (median),
    1.2 px at most.
    """
    across = geometry.resized_width / geometry.width
    down = geometry.resized_height / geometry.height
    return np.asarray(boxes, np.float64).reshape(-1, 4) / (across, down, across, down)


def labels_to_category(labels: np.ndarray, category_ids: Iterable[int]) -> np.ndarray:
    """Contiguous labels, integers (N,) or (N, 1) -> int64 (N,): label k is the k-th smallest id."""
    ids, labels = np.array(sorted(category_ids), np.int64), np.asarray(labels).reshape(-1)
    if labels.dtype.kind not in "iu":
        raise Refusal(f"labels have dtype {labels.dtype}; they must be integers")
    outside = (labels < 0) | (labels >= len(ids))
    if outside.any():
        raise Refusal(
            f"label {labels[outside][0]} is outside 0..{len(ids) - 1}; these labels "
            "belong to a model with other classes"
        )
    return ids[labels]
