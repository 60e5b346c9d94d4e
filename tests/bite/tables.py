"""What a run of the fault matrix prints: a line for each row as it is judged, and a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.bite.benches import Row
from tests.bite.fault import Alarm
from tests.bite.scoring import CLEAN, KNOWN, Score, score

GUESS_S = 5.0  # for a layer that nobody has ever timed


class Progress:
    """Counts the rows of a run and says how long the rest may take."""

    def __init__(
        self, rows: Sequence[Row], known: Mapping[Row, dict], pace: Mapping[str, float], jobs: int
    ) -> None:
        self.left, self.total, self.jobs = set(rows) - set(known), len(rows), jobs
        self.spent: dict[str, list[float]] = {layer: [mean] for layer, mean in pace.items()}

    def line(self, row: Row, result: Mapping) -> str:
        """One row: its place in the whole, what came of it, and the time that is left."""
        self.left.discard(row)
        seconds = result.get("seconds", 0.0)
        self.spent.setdefault(row.layer, []).append(seconds)
        said = f"the bench broke: {result.get('broken')}"
        if "broken" not in result:
            one = score(row, [Alarm(*alarm) for alarm in result["alarms"]])
            said = f"{one.word} {one.by}".strip() + ("" if one.good else f": {one.line}")
        count = f"[{self.total - len(self.left):3} of {self.total}]"
        return f"{count} {row.id}: {said} ({seconds:.1f} s; {self.rest()} left)"

    def rest(self) -> str:
        """The time that the rest may take, in words."""
        each: Counter = Counter()
        for row in self.left:
            some = self.spent.get(row.layer, [GUESS_S])
            each[row.place] += sum(some) / len(some)
        together = max([sum(each.values()) / self.jobs, *each.values()])
        return f"{together / 60:.0f} min" if together >= 90 else f"{together:.0f} s"


def summary(
    rows: Sequence[Row], found: Mapping[Row, dict], scores: Mapping[Row, Score]
) -> Iterator[str]:
    """The table by layer, and below it each row that is not as it should be or declared missed."""
    yield f"{'layer':14} {'faults':>7} {'caught':>7} {'missed':>7} {'twins':>6} {'alarms':>7} {'s':>7}"
    for layer in dict.fromkeys(row.layer for row in rows):
        mine = [row for row in rows if row.layer == layer]
        yield _line(layer, mine, found, scores)
    yield _line("all", rows, found, scores)
    for row, one in scores.items():
        if one.word not in ("caught", CLEAN):
            why = row.fault.missed if one.word == KNOWN else f"{one.by}: {one.line}"
            yield f"{one.word}: {row.id}: {why or row.fault.breaks}"


def _line(
    name: str, rows: Sequence[Row], found: Mapping[Row, dict], scores: Mapping[Row, Score]
) -> str:
    faults = [scores[row] for row in rows if not row.twin and row in scores]
    twins = [scores[row] for row in rows if row.twin and row in scores]
    caught = sum(one.caught for one in faults)
    alarms = sum(one.word != CLEAN for one in twins)
    seconds = sum(found[row].get("seconds", 0.0) for row in rows)
    numbers = f"{len(faults):7} {caught:7} {len(faults) - caught:7} {len(twins):6} {alarms:7}"
    return f"{name:14} {numbers} {seconds:7.0f}"
