"""How far the ranks of a training run are, read from what they write as they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

PHASES = {
    "START": "starting",
    "DATA": "waiting for its batch",
    "CORE": "computing",
    "WINDOW": "computing",
    "EVALUATE": "evaluating",
    "CHECKPOINT": "writing a checkpoint",
    "FINISHED": "done",
}
STEPS = {"DATA": 1, "CORE": 2}


class Progress:
    """The events of the ranks of this machine, read as they are written.

    Args:
        folder: where rank<k>.events are.
        numbers: the ranks of this machine.
        world: how many ranks there are in all.
        per_node: how many each agent has.
    """

    def __init__(self, folder: Path, numbers: range, world: int, per_node: int) -> None:
        self.folder, self.numbers, self.world, self.per_node = folder, numbers, world, per_node
        self.events: dict[int, list[dict]] = {number: [] for number in numbers}
        self.first_gone: list[int] = []
        self._read = dict.fromkeys(numbers, 0)

    def read(self) -> bool:
        """Read what is new; whether there was anything."""
        return any([self._read_rank(number) for number in self.numbers])

    def _read_rank(self, number: int) -> bool:
        try:
            with open(self.folder / f"rank{number}.events", "rb") as file:
                file.seek(self._read[number])
                whole = file.read().rpartition(b"\n")[0]  # a line without its end is not said yet
        except OSError:
            return False
        if not whole:
            return False
        self._read[number] += len(whole) + 1
        self.events[number] += filter(None, map(_event, whole.split(b"\n")))
        return True

    def last(self, number: int, name: str) -> Optional[dict]:
        """The last event of a name that a rank wrote."""
        named = (event for event in reversed(self.events[number]) if event.get("event") == name)
        return next(named, None)

    def first_of(self, *names: str) -> Optional[dict]:
        """The earliest event of some names, over all ranks."""
        some = [event for number in self.numbers for event in self.events[number]]
        named = [event for event in some if event.get("event") in names]
        return min(named, key=lambda event: event.get("time", 0), default=None)

    def started(self) -> bool:
        """Whether any rank wrote anything."""
        return any(self.events.values())

    def unfinished(self) -> list[int]:
        """The ranks that have not written FINISHED."""
        return [number for number in self.numbers if not self.last(number, "FINISHED")]

    def gone(self) -> list[int]:
        """The unfinished ranks whose process, which START names, is no more."""
        starts = {number: self.last(number, "START") or {} for number in self.unfinished()}
        found = [number for number, start in starts.items() if _is_gone(start.get("pid"))]
        self.read()  # what they said last, so that a rank that has just finished is not missed
        found = [number for number in found if not self.last(number, "FINISHED")]
        self.first_gone = self.first_gone or found
        return found

    def reach(self, number: int) -> tuple:
        """How far a rank got; sorts: DATA n < CORE n < what follows it < DATA n + 1."""
        steps = [
            (event["iteration"], STEPS[event["event"]], index)
            for index, event in enumerate(self.events[number])
            if event.get("event") in STEPS
        ]
        if self.last(number, "FINISHED"):
            return (float("inf"),)
        iteration, step, index = max(steps, default=(-1, 0, 0))
        return (iteration, step, len(self.events[number]) - index)

    def least(self) -> list[int]:
        """The ranks that are least far: whom the others wait for."""
        low = min(map(self.reach, self.numbers))
        return [number for number in self.numbers if self.reach(number) == low]

    def place(self, number: int) -> str:
        """Where a rank is, in words."""
        known = [event for event in self.events[number] if event.get("event") in PHASES]
        if not known:
            return "before the start"
        name, iteration = known[-1]["event"], known[-1].get("iteration")
        steps = any(event["event"] in STEPS for event in known)
        where = f"at iteration {iteration}" if steps else "before its first iteration"
        return f"{where} ({PHASES[name]})"


def _is_gone(process: Optional[int]) -> bool:
    if process is None:
        return False
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def _event(line: bytes) -> Optional[dict]:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
