"""What a row's alarms mean: caught, by which clause, and whether its line names the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bite.benches import Row
from tests.bite.fault import Alarm

INCONCLUSIVE = "inconclusive"
CAUGHT, MISSED, KNOWN = "caught", "MISSED", "missed, as declared"
ELSEWHERE, UNNAMED = "CAUGHT ELSEWHERE", "CAUSE NOT NAMED"
FOUND, CLEAN, FALSE = "CAUGHT, DECLARED MISSED", "clean", "FALSE ALARM"
GOOD = (CAUGHT, KNOWN, CLEAN)


@dataclass(frozen=True)
class Score:
    """What became of a row.

    Args:
        word: one of the words above; GOOD ones are as they should be.
        by: the clause that caught it: the one that is there for it, else the first.
        line: the first line of that clause.
        also: the other clauses that failed.
    """

    word: str
    by: str = ""
    line: str = ""
    also: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return self.word in GOOD

    @property
    def caught(self) -> bool:
        return self.word in (CAUGHT, ELSEWHERE, UNNAMED, FOUND)


def score(row: Row, alarms: Sequence[Alarm]) -> Score:
    """Weigh the alarms of a row. What is inconclusive turns nothing red, and so it catches nothing."""
    fault = row.fault
    red = [alarm for alarm in alarms if alarm.outcome != INCONCLUSIVE]
    if row.twin:
        red = [a for a in alarms if a.outcome != INCONCLUSIVE or a.clause != fault.clause]
    if not red:
        return Score(CLEAN if row.twin else KNOWN if fault.missed else MISSED)
    right = [alarm for alarm in red if alarm.clause == fault.clause]
    best = (right or red)[0]
    also = tuple(sorted({alarm.clause for alarm in red} - {best.clause}))
    if row.twin or fault.missed:
        return Score(FALSE if row.twin else FOUND, best.clause, best.line, also)
    word = ELSEWHERE if not right else CAUGHT if fault.words in best.line else UNNAMED
    return Score(word, best.clause, best.line, also)
