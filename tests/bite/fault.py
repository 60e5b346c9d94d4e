"""One seeded fault, and what a bench says of it.

A bench is a context manager that judges one layer: it takes a folder of its own, `judge(fault)` seeds
the fault where it belongs and runs the suite against it, `judge(None)` is the clean twin. No check is
ever touched. Layers: benches.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is broken, and who is there for it.

    Args:
        name: of its layer, one of a kind: "iou_high".
        breaks: what is wrong with the product, the lab or the gate, in one line.
        clause: the clause, or the rule of the gate, that must catch it.
        words: what the first failing line of that clause must say, so that it names the cause; empty
            where no line names it.
        kin: faults of the catalogue in docs/evidence.md that this is one of: ("NM2",).
        missed: why nothing catches it, as far as known; it is run all the same.
        quick: it is one of the few that `make test` seeds.
    """

    name: str
    breaks: str
    clause: str
    words: str
    kin: tuple[str, ...] = ()
    missed: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Alarm:
    """One test or rule that was not green.

    Args:
        clause: "numerics.recipe".
        outcome: "failed", "error", "inconclusive", "not run", ... as in docs/verdict.md.
        line: the first line of its reason.
    """

    clause: str
    outcome: str
    line: str
