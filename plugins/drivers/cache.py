"""Files that are expensive to make, kept by what they were made from; safe for two runs at once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from plugins.drivers.process import WORKERS
from plugins.failure import LabError

Arrays = dict[str, np.ndarray]
DIGEST = "sha256 of the others"  # the array in a file that says what the others were


class Cache:
    """A folder of results, content-addressed by their inputs.

    Args:
        folder: where results live; may be deleted at any time, they are only made again.
        tell: is given a line where a damaged result is made again.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.tell = Path(folder), tell

    def file(self, kind: str, name: str, key: Any, make: Callable[[Path], None]) -> Path:
        """The file `name` made from `key` (JSON-able): `make(path)` writes it if nobody has yet."""
        return self._entry(kind, key, name, make)

    def tree(self, kind: str, key: Any, make: Callable[[Path], None]) -> Path:
        """As `file`, for a folder of files."""
        return self._entry(kind, key, "tree", make)

    def arrays(self, kind: str, key: Any, make: Callable[[], Arrays]) -> tuple[Arrays, bool]:
        """The arrays that `make` returns for `key`, and whether somebody had made them before.

        They are kept with their digest: what cannot be read, or is not what was written, is told,
        removed and made again.
        """
        made: list[Arrays] = []

        def write(path: Path) -> None:
            made.append(make())
            with open(path, "wb") as file:
                np.savez(file, **made[0], **{DIGEST: np.array(_seal(made[0]))})

        path = self.file(kind, "arrays.npz", key, write)
        known = None if made else _whole(path)
        if not made and known is None:
            self.tell(f"{path} is damaged and is made again")
            path.unlink(missing_ok=True)
            self.file(kind, "arrays.npz", key, write)
            known = None if made else _whole(path)
        if not made and known is None:
            raise LabError(f"{path} is damaged as often as it is made; look at that disk")
        return (made[0], False) if made else (known, True)

    def _entry(self, kind: str, key: Any, name: str, make: Callable[[Path], None]) -> Path:
        path = self.folder / kind / digest(key)[:20] / name
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _make(path, make)
        except OSError as error:
            raise LabError(
                f"{path}: cannot be made: {error.strerror or error}; make room there and the "
                "folder writable, or name another folder by --artifacts"
            ) from None
        return path


def _make(path: Path, make: Callable[[Path], None]) -> None:
    """Let `make` write `path`, whole or not at all; the second of two runs waits for the first."""
    with open(path.with_name("lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        _remove_partial(path.parent)  # left behind by a run that was killed
        try:
            partial = path.with_name(f"partial-{os.getpid()}")
            make(partial)
            os.replace(partial, path)
        finally:
            _remove_partial(path.parent)


def _seal(arrays: Arrays) -> str:
    """One digest over names and contents."""
    names = sorted(arrays)
    return digest([names, arrays_digest(arrays[name] for name in names)])


def _whole(path: Path) -> Optional[Arrays]:
    """The arrays of a file, if they are those that were written."""
    try:
        with open(path, "rb") as file, np.load(file) as content:
            arrays = {name: content[name] for name in content.files}
    except Exception:  # whatever a damaged file makes zipfile and NumPy say
        return None
    seal = arrays.pop(DIGEST, None)
    return arrays if seal is not None and str(seal) == _seal(arrays) else None


def digest(key: Any) -> str:
    """SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            sha.update(block)
    return sha.hexdigest()


def arrays_digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of some arrays: their dtypes, shapes and values."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def sources(*modules: str) -> str:
    """One digest over worker modules: what they make is only valid for the code that made it."""
    return digest([file_digest(WORKERS / f"{name}.py") for name in modules])


def _remove_partial(place: Path) -> None:
    """Delete what is unfinished there: whoever holds the lock is the only one to make anything."""
    for path in place.glob("partial-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
