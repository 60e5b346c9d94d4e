"""The source's own rows, held to the identities that any training's figures obey.

A published number is read as a band: 138 is [138, 139), for the rows only fit together when their
digits were cut and not rounded. A relation fails when no numbers within the bands obey it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plugins.failure import CheckFailure


@dataclass(frozen=True)
class Band:
    """All numbers that a text can stand for."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.5g}, {self.high:.5g})"

    def meets(self, other: Band) -> bool:
        """Whether the two have a number in common."""
        return self.low < other.high and other.low < self.high


def band(text: str) -> Band:
    """The band of a published number: its last digit was cut off there."""
    digits = len(text.partition(".")[2])
    return Band(float(text), float(text) + 10.0**-digits)


def check_row(name: str, row) -> None:
    """p_whole <= p_train <= p_core, and memory in use is at most the card's."""
    pairs = [("p_whole", "p_train"), ("p_train", "p_core"), ("memory_used", "memory_total")]
    for less, more in pairs:
        low, high = band(getattr(row, less)), band(getattr(row, more))
        if not low.low < high.high:
            raise CheckFailure(
                f"the published row {name} contradicts itself",
                expected=f"{less} <= {more}",
                actual=f"{getattr(row, less)} and {getattr(row, more)}",
            )


def evaluation_seconds(row, images: int) -> Band:
    """What one evaluation costs: the difference of an epoch's time with and without it."""
    whole, train = (_seconds(text, images) for text in (row.p_whole, row.p_train))
    return Band(whole.low - train.high, whole.high - train.low)


def epochs(row, images: int, *, evaluations: float) -> list[int]:
    """The numbers of epochs that e2e_time and p_whole of one row allow.

    What e2e leaves for the start must neither be negative nor exceed so many evaluations.
    """
    whole, e2e = _seconds(row.p_whole, images), band(row.e2e_time)
    most = evaluations * evaluation_seconds(row, images).high
    possible = range(1, int(e2e.high / whole.low) + 1)
    return [k for k in possible if e2e.low - k * whole.high <= most]


def check_epochs(name: str, row, images: int, *, evaluations: float) -> None:
    """e2e_time and p_whole are those of the declared number of epochs, and of no other."""
    found = epochs(row, images, evaluations=evaluations)
    if found != [row.epochs]:
        raise CheckFailure(
            f"e2e_time and p_whole of the row {name} are not of one run",
            expected=f"{row.epochs} epochs of {images} images",
            actual=f"{row.e2e_time} s at {row.p_whole} img/s allow {found or 'no number of'} epochs",
        )


def check_evaluation_time(rows: Mapping[int, object], images: int) -> None:
    """An evaluation costs a + b / n on n cards: the first two rows foretell the last.

    rows: by number of cards, at least three.
    """
    (m, first), (n, second), (k, third) = sorted(rows.items())[:3]
    one, two = evaluation_seconds(first, images), evaluation_seconds(second, images)
    weight = (1 / n - 1 / k) / (1 / m - 1 / n)  # t_k = t_n - weight (t_m - t_n)
    foretold = Band(
        (1 + weight) * two.low - weight * one.high, (1 + weight) * two.high - weight * one.low
    )
    found = evaluation_seconds(third, images)
    if not found.meets(foretold):
        raise CheckFailure(
            "the published rows do not belong together",
            expected=f"an evaluation on {k} cards costs {foretold} s, by those on {m} and {n}",
            actual=f"{found} s",
        )


def check_rows_scale(rows: Mapping[int, object]) -> None:
    """Efficiency is at most 1, and falls from p_core over p_train to p_whole."""
    cards = sorted(rows)
    for few, many in zip(cards, cards[1:]):
        found = [_efficiency(rows, few, many, name) for name in ("p_whole", "p_train", "p_core")]
        ordered = all(a.low < b.high for a, b in zip(found, found[1:]))
        if not (ordered and found[-1].low <= 1):
            raise CheckFailure(
                "the published rows scale impossibly",
                expected=f"whole <= train <= core <= 1 from {few} to {many} cards",
                actual=", ".join(map(str, found)),
            )


def check_row_ceiling(name: str, row, *, cards: int, flop: float, peak: float) -> None:
    """Published p_core per card stays below the peak of the precision that it is taken for."""
    found = band(row.p_core).low / cards * flop
    if not found <= peak:
        raise CheckFailure(
            f"the published row {name} is faster than its precision can be",
            expected=f"at most {peak / 1e12:.4g} TFLOP/s a card",
            actual=f"{found / 1e12:.4g} TFLOP/s",
        )


def _efficiency(rows: Mapping[int, object], few: int, many: int, name: str) -> Band:
    less, more = (band(getattr(rows[n], name)) for n in (few, many))
    return Band(more.low / less.high * few / many, more.high / less.low * few / many)


def _seconds(text: str, images: int) -> Band:
    rate = band(text)
    return Band(images / rate.high, images / rate.low)
