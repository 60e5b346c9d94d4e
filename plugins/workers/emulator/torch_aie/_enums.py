"""The enumerations of torch_aie, with the members and values that its documentation lists.

Sources: MindIE Torch pages 0121 (PrecisionPolicy), 0122 (dtype), 0126 (ShapeMode). TensorFormat
holds only what the published samples use (ND, NCHW, NHWC); its numeric values are ours.
"""

from __future__ import annotations

import enum


class PrecisionPolicy(enum.IntEnum):
    """What the compiler may compute in; PREF_FP16 came with a later release and is absent here."""

    PREF_FP32 = 0
    FP16 = 1
    FP32 = 2


class dtype(enum.IntEnum):  # noqa: N801  (the name of the real one)
    """Element types of an `Input`; only the order of the names is documented, not the values."""

    FLOAT = 0
    FLOAT16 = 1
    INT8 = 2
    INT32 = 3
    UINT8 = 4
    INT16 = 5
    UINT16 = 6
    UINT32 = 7
    INT64 = 8
    UINT64 = 9
    DOUBLE = 10
    BOOL = 11
    STRING = 12
    UNKNOWN = 13


class TensorFormat(enum.IntEnum):
    """Memory formats of an `Input`."""

    NCHW = 0
    NHWC = 1
    ND = 2


class ShapeMode(enum.IntEnum):
    """Whether an `Input` has one shape or a range of shapes."""

    STATIC = 0
    DYNAMIC = 1
