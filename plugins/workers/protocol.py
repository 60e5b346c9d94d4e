"""The wire between pytest and a worker: a JSON header, then the raw bytes of each array.

A frame is the magic, the header's length (little-endian uint32), the header (UTF-8 JSON), and the
arrays' C-ordered little-endian bytes in the order in which the header lists them. No pickle: a
frame can carry numbers and text, never code. This module knows NumPy and nothing of ours, so that
both sides use the same file.
"""

from __future__ import annotations

import json
import struct
from typing import BinaryIO

import numpy as np

MAGIC = b"RNW1"
DTYPES = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64")
HEADER_LIMIT = 64 * 2**20


class ProtocolError(Exception):
    """The stream does not hold a frame: closed, cut short, or written by something else."""


class Refusal(Exception):
    """A worker refuses its input: one sentence with the file, the field and the cure."""


def send(stream: BinaryIO, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write one frame; `header` must be JSON-able, `arrays` of the dtypes in DTYPES."""
    listed, payload = [], []
    for name, array in arrays.items():
        shape = list(np.shape(array))
        array = np.ascontiguousarray(array)
        if array.dtype.name not in DTYPES:
            raise ProtocolError(
                f"array '{name}' has dtype {array.dtype}; one of {DTYPES} can be sent"
            )
        listed.append({"name": name, "dtype": array.dtype.name, "shape": shape})
        payload.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
    text = json.dumps({**header, "arrays": listed}, allow_nan=True).encode()
    stream.write(MAGIC + struct.pack("<I", len(text)) + text)
    for array in payload:
        stream.write(memoryview(array).cast("B") if array.size else b"")
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict, dict[str, np.ndarray]]:
    """Read one frame.

    Returns:
        header (without its array list) and the arrays by name, writable.
    Raises:
        ProtocolError: the stream ended or holds something else; EOFError: it ended between frames.
    """
    start = stream.read(len(MAGIC) + 4)
    if not start:
        raise EOFError("the other side closed the stream")
    if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
        raise ProtocolError(f"not a frame: it begins with {start[:8]!r}")
    (length,) = struct.unpack("<I", start[len(MAGIC) :])
    if length > HEADER_LIMIT:
        raise ProtocolError(f"a header of {length} bytes is beyond the limit of {HEADER_LIMIT}")
    header = json.loads(_exactly(stream, length))
    arrays = {spec["name"]: _array(stream, spec) for spec in header.pop("arrays")}
    return header, arrays


def _array(stream: BinaryIO, spec: dict) -> np.ndarray:
    if spec["dtype"] not in DTYPES:
        raise ProtocolError(f"array '{spec['name']}' has the unknown dtype {spec['dtype']}")
    dtype = np.dtype(spec["dtype"]).newbyteorder("<")
    count = int(np.prod(spec["shape"], dtype=np.int64))
    data = _exactly(stream, count * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(spec["shape"])


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = stream.readinto(view[filled:])
        if not count:
            raise ProtocolError(f"the stream ended {size - filled} bytes early")
        filled += count
    return data
