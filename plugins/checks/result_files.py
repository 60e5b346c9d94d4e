"""Does a result folder hold what the model returned? Read here byte by byte, on its own terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from plugins.failure import CheckFailure

PARTS = ("boxes", "labels", "scores")
DTYPES = {"boxes": "<f4", "labels": "<i8", "scores": "<f4"}


def check_folder(folder: Path | str, results: Mapping[str, Sequence[np.ndarray]]) -> None:
    """The folder holds exactly the triples of `results`, byte for byte; see check_triple.

    Args:
        results: by image stem, boxes float32 (D, 4), labels int64 (D, 1), scores float32 (D,).
    """
    folder = Path(folder)
    expected = {f"{stem}_{k}.bin" for stem in results for k in range(3)}
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if expected != present:
        lost, extra = sorted(expected - present), sorted(present - expected)
        raise CheckFailure(
            "the result folder does not hold the images of this run, each once",
            expected=f"{len(expected)} files",
            actual=f"{len(present)} files, {len(lost)} missing, {len(extra)} of no image",
            worst=[f"missing: {name}" for name in lost[:3]] + [f"extra: {name}" for name in extra],
            see={"results": str(folder)},
        )
    for stem, arrays in results.items():
        check_triple(folder, stem, *arrays)


def check_triple(
    folder: Path | str, stem: str, boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray
) -> None:
    """_0, _1, _2 hold boxes, labels, scores: C order, little-endian, nothing cast.

    The label of a row whose score is 0 is nobody's: the 310P's kernel leaves an earlier run's there.
    """
    arrays = dict(zip(PARTS, (boxes, _of_detections(labels, scores), scores)))
    for k, (name, array) in enumerate(arrays.items()):
        path = Path(folder) / f"{stem}_{k}.bin"
        data, wanted = path.read_bytes(), np.asarray(array).astype(DTYPES[name]).tobytes()
        if name == "labels" and len(data) == len(wanted):
            data = _of_detections(np.frombuffer(data, DTYPES[name]), scores).tobytes()
        if data != wanted:
            raise CheckFailure(
                f"{path.name} does not hold the {name}: {_diagnosis(data, name, arrays)}",
                expected=f"{len(wanted)} bytes, {DTYPES[name]} {np.shape(array)}",
                actual=f"{len(data)} bytes",
                worst=_first_difference(data, wanted, DTYPES[name]),
                see={"file": str(path)},
            )


def _of_detections(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Labels with 0 in every row that holds no detection."""
    return np.asarray(labels) * (np.reshape(scores, np.shape(labels)) != 0)


def _diagnosis(data: bytes, name: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Name what the file holds instead: the usual mistakes are tried in turn."""
    array = np.asarray(arrays[name])
    suspects = {
        f"it holds the {other}": np.asarray(arrays[other]).astype(DTYPES[other])
        for other in PARTS
        if other != name
    }
    suspects["it is big-endian"] = array.astype(DTYPES[name].replace("<", ">"))
    suspects["it is transposed (coordinate-first)"] = array.T.astype(DTYPES[name])
    for kind in ("<f2", "<f4", "<f8", "<i4", "<i8"):
        if kind != DTYPES[name]:
            suspects[f"it is written as {np.dtype(kind).name}"] = _cast(array, kind)
    for what, suspect in suspects.items():
        if suspect.tobytes() == data:
            return what
    wanted = array.astype(DTYPES[name]).tobytes()
    if len(data) == len(wanted):
        return "other values"
    if wanted.startswith(data):
        return "it is cut short"
    return "it goes on after them" if data.startswith(wanted) else "another length and other values"


def _cast(array: np.ndarray, kind: str) -> np.ndarray:
    with np.errstate(all="ignore"):  # a cast that cannot hold the values is a guess that fails
        return array.astype(kind)


def _first_difference(data: bytes, wanted: bytes, dtype: str) -> list[str]:
    if len(data) != len(wanted):
        return []
    one, other = (np.frombuffer(part, dtype) for part in (data, wanted))
    k = int(
        np.flatnonzero(
            one.view("u1").reshape(len(one), -1) != other.view("u1").reshape(len(one), -1)
        )[0]
        // one.itemsize
    )
    return [f"number {k}: {one[k]:.6g}, expected {other[k]:.6g}"]


def check_read_back(
    found: Mapping[str, np.ndarray], results: Mapping[str, Sequence[np.ndarray]]
) -> None:
    """boxes (n, D, 4), labels (n, D, 1), scores (n, D) as read are those of `results`, in order.

    As in check_triple, the label of a row whose score is 0 may be any.
    """
    for k, name in enumerate(PARTS):
        for row, (stem, arrays) in enumerate(results.items()):
            wanted, obtained = np.asarray(arrays[k]), np.asarray(found[name][row])
            same = wanted.shape == obtained.shape
            if same and name == "labels":
                wanted, obtained = (_of_detections(one, arrays[2]) for one in (wanted, obtained))
            if not same or not np.array_equal(wanted, obtained):
                raise CheckFailure(
                    f"the {name} of {stem} come back changed",
                    expected=f"{wanted.shape}, the same",
                    actual=f"{obtained.shape}, other values or another shape",
                )
