"""Arrays that a careless protocol gets wrong."""

from __future__ import annotations

import numpy as np

ODD_ARRAYS = {
    "scalar": np.array(3.5, np.float32),
    "empty": np.zeros((0, 4), np.float64),
    "none_in_the_middle": np.zeros((2, 0, 3), np.int32),
    "strided": np.arange(24, dtype=np.int64).reshape(2, 3, 4)[:, ::2, ::-1].transpose(2, 0, 1),
    "big_endian": np.array([1.5, -2.25, 1e300], ">f8"),
    "half": np.array([1.0, 6e-8, np.inf, -0.0, np.nan], np.float16),
    "truth": np.array([[True, False]]),
    "bytes": np.arange(256, dtype=np.uint8),
    "read_only": np.broadcast_to(np.float32(7), (3, 3)),
}
