"""binary16 values carried in float32 tensors.

A CPU multiplies float32 fast and binary16 slowly or not at all, so a value is "in fp16" here when
it is a float32 number that binary16 can represent: round to nearest even, overflow to infinity,
subnormals kept. Accumulation inside one operator stays in float32.
"""

from __future__ import annotations

import torch

CHUNK = 2**16  # elements; a chunk and its half copy stay in the second-level cache
FLOATS = (torch.float32, torch.float64)


def round_(value) -> None:
    """Round float32/float64 tensors to binary16 values in place; lists and tuples by element."""
    if isinstance(value, (list, tuple)):
        for element in value:
            round_(element)
    elif isinstance(value, torch.Tensor) and value.dtype in FLOATS and value.numel():
        pieces = value.view(-1).split(CHUNK) if value.is_contiguous() else (value,)
        for piece in pieces:
            piece.copy_(piece.half())


def rounded(value):
    """A rounded copy of a float tensor; anything else comes back as it is."""
    if not isinstance(value, torch.Tensor) or value.dtype not in FLOATS:
        return value
    return value.half().to(value.dtype)
