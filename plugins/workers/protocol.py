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


class Unsendable(Exception):
    """What is to be sent fits no frame; nothing of it has been written."""


class Refusal(Exception):
    """A worker refuses its input: one sentence with the file, the field and the cure."""


class Unfit(Refusal):
    """The machine, not the input, is what the worker cannot work with; a sentence with the cure."""


def send(stream: BinaryIO, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write one frame; `header` must be JSON-able, `arrays` of the dtypes in DTYPES.

    Raises:
        Unsendable: they are not; the stream is as it was.
    """
    listed, payload = [], []
    for name, array in arrays.items():
        shape = list(np.shape(array))
        array = np.ascontiguousarray(array)
        if array.dtype.name not in DTYPES:
            raise Unsendable(
                f"array '{name}' has dtype {array.dtype}; one of {', '.join(DTYPES)} can be sent"
            )
        listed.append({"name": name, "dtype": array.dtype.name, "shape": shape})
        payload.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
    try:
        text = json.dumps({**header, "arrays": listed}).encode()
    except (TypeError, ValueError) as error:
        raise Unsendable(f"the header cannot be written as JSON: {error}") from None
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
    text = _exactly(stream, length)
    try:
        header = json.loads(text)
        listed = [(s["name"], s["dtype"], s["shape"]) for s in header.pop("arrays")]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ProtocolError(f"not a frame: its header is {bytes(text[:40])!r}") from None
    return header, {name: _array(stream, *spec) for name, *spec in listed}


def _array(stream: BinaryIO, name: str, shape: list) -> np.ndarray:
    if name not in DTYPES:
        raise ProtocolError(f"not a frame: it lists an array of the unknown dtype {name}")
    dtype = np.dtype(name).newbyteorder("<")
    count = int(np.prod(shape, dtype=np.int64))
    data = _exactly(stream, count * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = stream.readinto(view[filled:])
        if not count:
            raise ProtocolError(f"the stream ended {size - filled} bytes early")
        filled += count
    return data
