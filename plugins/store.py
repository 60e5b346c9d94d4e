"""Golden data: what was measured, by whom, from what, and why it was accepted. Knows no pytest."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Union

import numpy as np

from plugins import machine, pinning
from plugins.failure import LabError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.9 and 3.10
    import tomli as tomllib

Arrays = Mapping[str, np.ndarray]
Content = Union[bytes, Arrays, Mapping[str, Any]]
MANIFEST = "manifest.toml"
EVIDENCE = "evidence/"  # measured about the suite itself; each file says by what and when
HOW = "review it, then run: make golden REASON='...'"
SUBJECTS = ("aie", "reference")
REAL_RUNTIMES = {"npu": ("Ascend310P",), "a100": ("NVIDIA",)}
EPOCH = (1980, 1, 1, 0, 0, 0)


class StoreError(LabError):
    """Golden data cannot be read or accepted: the file and the cure."""


@dataclass(frozen=True)
class Producer:
    """Who computed golden data.

    Args:
        backend: the implementation, e.g. "recipe-float64".
        runtime: what it ran on, e.g. "cpu" or "Ascend310P3 (torch_aie 6.3.rc2)".
        machine: the machine class that the numbers belong to.
        versions: package -> version.
        inputs: what it was computed from, name -> sha256.
        lane: "npu" or "a100" for a baseline (a measurement of the subject itself on that lane);
            empty for a truth, which the subject must not write.
    """

    backend: str
    runtime: str
    machine: str
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    lane: str = ""


class Store:
    """The folder golden/ and its manifest.

    `reason` opens it for writing; `rewritten` lists the names that this run changed.
    """

    def __init__(self, root: Path, *, reason: str | None = None, commit: str = "unknown") -> None:
        self.root = root
        self.reason = reason
        self.commit = commit
        self.rewritten: list[str] = []

    @property
    def updating(self) -> bool:
        """Whether `accept` may write."""
        return self.reason is not None

    def path(self, name: str) -> Path:
        """The file of a name such as "retinanet_shapes/bus/detections.csv"."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
            raise StoreError(f"{name}: is no golden name; write subject/.../file.csv")
        return self.root / pure

    def manifest(self) -> dict[str, dict[str, Any]]:
        """The provenance of every file, by name."""
        path = self.root / MANIFEST
        return read_toml(path).get("file", {}) if path.is_file() else {}

    def read(self, name: str) -> bytes:
        """The bytes of a file, verified against the manifest."""
        path, record = self.path(name), self.manifest().get(name)
        if not path.is_file():
            raise StoreError(f"{path}: there is no such golden file; {HOW}")
        content = path.read_bytes()
        if record is None:
            raise StoreError(f"{path}: is not in {MANIFEST}, so nobody accepted it; {HOW}")
        if hashlib.sha256(content).hexdigest() != record.get("sha256"):
            raise StoreError(
                f"{path}: has another sha256 than {MANIFEST} records; restore it with git, or {HOW}"
            )
        return content

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The columns of a .csv or the arrays of a .npz file."""
        return decoded(name, self.read(name))

    def table(self, name: str) -> dict[str, Any]:
        """The content of a .toml file."""
        return tomllib.loads(self.read(name).decode("utf-8"))

    def accept(
        self, name: str, content: Content, *, producer: Producer, allowed_drift: float = 0.0
    ) -> bool:
        """Write a file if it differs from what is recorded, with its provenance; say whether it did.

        The subject under test is refused as its own referee, a stand-in as the source of a baseline,
        and a baseline that drifted from its pin by more than `allowed_drift`, a share: see pinning.py.
        """
        if not self.reason:
            raise StoreError(f"{name}: golden data is written by --update-golden REASON alone")
        _check_referee(name, producer)
        path, new, records = self.path(name), encoded(name, content), self.manifest()
        digest = hashlib.sha256(new).hexdigest()
        same_file = path.is_file() and path.read_bytes() == new
        known = records.get(name, {})
        # The same content from other inputs is news too: the record has to say so.
        if same_file and known.get("sha256") == digest and known.get("inputs") == producer.inputs:
            return False
        pinned = pinning.pin(name, known, content, producer, str(self.reason), allowed_drift)
        write_atomically(path, new)
        records[name] = {"sha256": digest, **self._provenance(producer), **pinned}
        write_atomically(self.root / MANIFEST, manifest_text(records).encode("utf-8"))
        self.rewritten.append(name)
        return True

    def drift(self, name: str) -> str:
        """How far a baseline has moved since it was pinned, in words; empty for other files."""
        return pinning.drift_text(self.manifest().get(name, {}))

    def _provenance(self, producer: Producer) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "date": machine.today(),
            "suite": self.commit,
            "backend": producer.backend,
            "runtime": producer.runtime,
            "machine": producer.machine,
            "lane": producer.lane,
            "versions": dict(producer.versions),
            "inputs": dict(producer.inputs),
        }

    def faults(self) -> list[str]:
        """What is wrong with the folder: files that are missing, changed, or in no record."""
        records, faults = self.manifest(), []
        for name in records:
            try:
                self.read(name)
            except StoreError as error:
                faults.append(str(error))
        files = (path for path in self.root.rglob("*") if path.is_file())
        names = {path.relative_to(self.root).as_posix() for path in files}
        orphans = sorted(names - set(records) - {MANIFEST, "README.md"})
        orphans = [name for name in orphans if not name.startswith(EVIDENCE)]
        return faults + [f"{self.root / name}: is not in {MANIFEST}; {HOW}" for name in orphans]


def _check_referee(name: str, producer: Producer) -> None:
    if not producer.lane and producer.backend in SUBJECTS:
        raise StoreError(
            f"{name}: {producer.backend} is under test and cannot write its own truth;"
            " record it from the recipe in float64 or from detectron2"
        )
    real = REAL_RUNTIMES.get(producer.lane, ())
    if producer.lane and not producer.runtime.startswith(real):
        raise StoreError(
            f"{name}: {producer.runtime!r} cannot write a baseline of the {producer.lane} lane;"
            " record it on the hardware itself"
        )


def encoded(name: str, content: Content) -> bytes:
    """Content as the deterministic bytes of its format: .csv, .toml, .npz, or bytes as they are."""
    if isinstance(content, bytes):
        return content
    writers = {".csv": _csv_bytes, ".npz": _npz_bytes, ".toml": _toml_bytes}
    return writers[_format(name, writers)](content)


def decoded(name: str, content: bytes) -> dict[str, np.ndarray]:
    """The arrays in the bytes of a .csv or .npz file."""
    readers = {".csv": _csv_arrays, ".npz": _npz_arrays}
    return readers[_format(name, readers)](content)


def _format(name: str, known: Mapping[str, Any]) -> str:
    suffix = PurePosixPath(name).suffix
    if suffix not in known:
        raise StoreError(f"{name}: the format {suffix!r} is unknown; use {' or '.join(known)}")
    return suffix


def _csv_bytes(columns: Arrays) -> bytes:
    """One column per array, its dtype in the header; %.9g holds a float32 exactly."""
    columns = {name: np.asarray(column) for name, column in columns.items()}
    for name, column in columns.items():
        if column.ndim != 1 or column.dtype.str[1:] not in ("f2", "f4", "i4", "i8"):
            raise StoreError(f"column {name}: {column.dtype} {column.shape} does not fit in a CSV")
    if len({len(column) for column in columns.values()}) > 1:
        raise StoreError("the columns of a CSV file differ in length")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(f"{name}:{column.dtype}" for name, column in columns.items())
    writer.writerows(zip(*map(_csv_cells, columns.values())))
    return text.getvalue().encode("utf-8")


def _csv_cells(column: np.ndarray) -> list[str]:
    return [f"{x:.9g}" if column.dtype.kind == "f" else str(x) for x in column]


def _csv_arrays(content: bytes) -> dict[str, np.ndarray]:
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8")))
    columns = zip(*rows) if rows else [()] * len(header)
    named = (title.rpartition(":") for title in header)
    return {name: np.array(col, dtype=dtype) for (name, _, dtype), col in zip(named, columns)}


def _npz_bytes(arrays: Arrays) -> bytes:
    """Sorted, uncompressed and dated 1980: the same arrays give the same bytes everywhere."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            one, array = io.BytesIO(), np.asarray(arrays[name])
            np.lib.format.write_array(one, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), one.getvalue())
    return whole.getvalue()


def _npz_arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _toml_bytes(table: Mapping[str, Any]) -> bytes:
    return ("\n".join(_toml_lines(table, ())) + "\n").encode("utf-8")


def manifest_text(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The manifest as TOML, sorted by name so that a review shows what changed."""
    document = {"schema": 1, "file": {name: records[name] for name in sorted(records)}}
    return "# Written by --update-golden; never by hand.\n" + _toml_bytes(document).decode("utf-8")


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in plain.items()]
    if path and (lines or not table):
        lines = ["", f"[{'.'.join(map(_toml_key, path))}]", *lines]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml_lines(value, (*path, key))
    return lines


def _toml_key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    raise StoreError(f"{value!r} does not fit in a TOML file")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary; a StoreError names the file and the fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = "cannot be read" if isinstance(error, OSError) else "is not valid TOML"
        raise StoreError(f"{path}: {fault}: {getattr(error, 'strerror', error)}") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    os.replace(draft, path)
