"""What a rank tells while it works: one JSON line an event, the last words included."""

from __future__ import annotations

import json
import time
from pathlib import Path


class Stopped(Exception):
    """The loss of a rank is not a number, and NONFINITE of that rank has said of which images."""


class Diary:
    """Appends events to rank<k>.events, each a whole line at once.

    DATA and CORE are the heartbeat, in an evaluation EVALUATE, first and after each batch: whoever
    watches tells from them which rank the others wait for, so no rank may leave one out.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.rank = rank
        self._file = open(folder / f"rank{rank}.events", "ab", buffering=0)

    def tell(self, event: str, iteration: int = 0, **more: object) -> None:
        """Write one event."""
        line = {"event": event, "rank": self.rank, "iteration": iteration, "time": time.time()}
        self._file.write((json.dumps({**line, **more}) + "\n").encode())
