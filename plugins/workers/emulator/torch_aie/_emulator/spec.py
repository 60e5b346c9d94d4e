"""What a caller promises about one input: torch_aie.Input (MindIE Torch page 0127)."""

from __future__ import annotations

import torch

from .._enums import ShapeMode, TensorFormat, dtype

MAX_DIMS = 8
TORCH_DTYPES = {
    dtype.FLOAT: torch.float32,
    dtype.FLOAT16: torch.float16,
    dtype.DOUBLE: torch.float64,
    dtype.INT8: torch.int8,
    dtype.UINT8: torch.uint8,
    dtype.INT16: torch.int16,
    dtype.INT32: torch.int32,
    dtype.INT64: torch.int64,
    dtype.BOOL: torch.bool,
}
ENUM_DTYPES = {value: key for key, value in TORCH_DTYPES.items()}


class Input:
    """Shape (or range of shapes), element type and memory format of one input.

    Args:
        shape: sizes, each >= 0, at most 8; or `min_shape` and `max_shape` together, each >= -1,
            -1 in both for an unbounded axis, else 0 <= min <= max.
        dtype: a torch dtype or a torch_aie.dtype; FLOAT by default.
        format: a torch_aie.TensorFormat; NCHW by default.
    Raises:
        RuntimeError: neither or both ways of giving a shape, or sizes outside these rules.
    """

    def __init__(
        self,
        shape=None,
        *,
        min_shape=None,
        max_shape=None,
        dtype=dtype.FLOAT,
        format=TensorFormat.NCHW,
        name="",
    ):
        ranged = min_shape is not None or max_shape is not None
        if ranged == (shape is not None):
            raise RuntimeError("Input takes either shape, or min_shape and max_shape")
        if ranged and (min_shape is None or max_shape is None):
            raise RuntimeError("Input takes min_shape and max_shape together")
        self.min_shape = _sizes(min_shape if ranged else shape, -1 if ranged else 0)
        self.max_shape = _sizes(max_shape, -1) if ranged else self.min_shape
        self.shape = None if ranged else self.min_shape
        self.shape_mode = ShapeMode.DYNAMIC if ranged else ShapeMode.STATIC
        self.dtype, self.format, self.name = _dtype(dtype), TensorFormat(format), str(name)
        self._check_range()

    def _check_range(self) -> None:
        if len(self.min_shape) != len(self.max_shape):
            raise RuntimeError(
                f"min_shape {self.min_shape} and max_shape {self.max_shape} differ "
                "in their number of axes"
            )
        for low, high in zip(self.min_shape, self.max_shape):
            if (low == -1) != (high == -1) or low > high:
                raise RuntimeError(
                    f"an axis ranges from {low} to {high}; -1 stands in both, else 0 <= min <= max"
                )

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor keeps the promise."""
        if tensor.dtype is not TORCH_DTYPES.get(self.dtype) or tensor.dim() != len(self.min_shape):
            return False
        return all(
            low == -1 or low <= size <= high
            for low, size, high in zip(self.min_shape, tensor.shape, self.max_shape)
        )

    def to_json(self) -> dict:
        """The promise as JSON, for the engine's payload; Input.from_json reads it."""
        return {
            "min": self.min_shape,
            "max": self.max_shape,
            "dtype": int(self.dtype),
            "format": int(self.format),
            "name": self.name,
        }

    @classmethod
    def from_json(cls, data: dict) -> Input:
        """The Input that to_json wrote."""
        low, high = data["min"], data["max"]
        static = low == high and -1 not in low
        sizes = {"shape": low} if static else {"min_shape": low, "max_shape": high}
        return cls(**sizes, dtype=dtype(data["dtype"]), format=data["format"], name=data["name"])

    def __repr__(self) -> str:
        sizes = self.shape if self.shape is not None else [self.min_shape, self.max_shape]
        return f"Input({sizes}, {self.dtype.name}, {self.format.name})"


def _sizes(shape, least: int) -> list[int]:
    sizes = [int(size) for size in shape]
    if len(sizes) > MAX_DIMS or any(size < least for size in sizes):
        raise RuntimeError(f"shape {sizes} needs at most {MAX_DIMS} axes, each >= {least}")
    return sizes


def _dtype(value) -> dtype:
    if isinstance(value, torch.dtype):
        if value not in ENUM_DTYPES:
            raise RuntimeError(f"an Input cannot have the element type {value}")
        return ENUM_DTYPES[value]
    return dtype(value)


def gears(inputs) -> list[list[Input]]:
    """compile's `inputs` as a list of complete sets: [Input, ...] or [[Input, ...], ...].

    Raises:
        RuntimeError: nothing given, a mixture, or sets of different lengths.
    """
    sets = [inputs] if inputs and isinstance(inputs[0], Input) else inputs
    well_formed = sets and all(
        isinstance(s, (list, tuple)) and s and all(isinstance(i, Input) for i in s) for s in sets
    )
    if not well_formed or len({len(s) for s in sets}) != 1:
        raise RuntimeError("inputs is a list of Input, or a list of such lists of one length")
    return [list(s) for s in sets]
