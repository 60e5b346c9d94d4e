"""The difference to stock detectron2, split into intended change, precision and defect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugins.checks.agreement import explain, may_be_missing
from plugins.checks.detections import Detections, Oracle
from plugins.failure import CheckFailure


@dataclass(frozen=True)
class Attribution:
    """Of `stock` detections: found the `same`, lost by `intended` change, by `precision`, or not.

    `defects` are the rows, as text, that neither the rewrite nor rounding accounts for.
    """

    stock: int
    same: int
    intended: int
    precision: int
    defects: list[str]

    @property
    def share_same(self) -> float:
        """In percent; 100 where detectron2 finds nothing."""
        return 100.0 * self.same / self.stock if self.stock else 100.0


def attribute(found: Detections, oracle: Oracle, stock: Detections, tolerance) -> Attribution:
    """Say for each detection of stock detectron2 what became of it.

    Intended: the rewrite in float64 does not report it either. Precision: the rewrite reports it,
    and rounding may have decided against it. Everything else that is absent is a defect.
    """
    same = set(explain(found, stock, tolerance).tolist())
    in_recipe = explain(stock, oracle.result, tolerance)
    kept = np.flatnonzero(oracle.kept >= 0)
    intended = precision = 0
    defects = []
    for row in range(len(stock)):
        if row in same:
            continue
        if in_recipe[row] < 0:
            intended += 1
        elif may_be_missing(int(kept[in_recipe[row]]), found, oracle, tolerance):
            precision += 1
        else:
            defects.append(stock.row(row))
    lost = len(defects)
    return Attribution(
        len(stock), len(stock) - intended - precision - lost, intended, precision, defects
    )


def check_no_defect(parts: Attribution) -> None:
    """Nothing that stock detectron2 finds is lost without a reason."""
    if parts.defects:
        raise CheckFailure(
            "detections of detectron2 are lost without a reason",
            expected="each is found, dropped by the rewrite in float64 too, or decided by rounding",
            actual=f"{len(parts.defects)} of {parts.stock} are not "
            f"({parts.intended} intended, {parts.precision} precision)",
            worst=parts.defects,
        )
