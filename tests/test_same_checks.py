"""Two runs compared bit by bit: nothing that is no number may hide a difference."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks.outputs import check_same
from plugins.failure import CheckFailure


def outputs(score: float, box: float = 1.0) -> list[np.ndarray]:
    """One detection and one row of padding."""
    boxes, scores = np.array([[box] * 4, [0] * 4]), np.array([score, 0.0])
    return [boxes.astype(np.float32), np.array([[2], [0]]), scores.astype(np.float32)]


@pytest.mark.parametrize("score", [0.5, np.nan])
def test_the_same_bits_pass(score):
    check_same(outputs(score), outputs(score), what="two runs differ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (outputs(0.5), outputs(0.5, box=2.0)),
        (outputs(0.5), outputs(0.25)),
        (outputs(0.5), outputs(0.0)),
        (outputs(np.nan), outputs(0.5)),
        (outputs(np.nan), outputs(np.nan, box=2.0)),
        (outputs(-1.0), outputs(-1.0, box=2.0)),
    ],
)
def test_a_difference_is_seen_in_whichever_of_the_two_the_row_counts(one, other):
    for pair in ((one, other), (other, one)):
        with pytest.raises(CheckFailure, match="two runs differ"):
            check_same(*pair, what="two runs differ")
