"""Two files of one model timed in turns in a worker of their own: old new new old, again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np

from plugins.drivers.subject import Subject

ORDER = ("old", "new", "new", "old")
COMPUTE = 1  # of a step's seconds: copy in, compute, copy out


def quads(
    subject: Subject,
    old: Path,
    pictures: list[Path],
    *,
    process: int,
    warmup: int,
    quads: int,
    steps: int,
    done: Callable[[], None],
) -> np.ndarray:
    """(quads, 4, steps) seconds of compute on the device, in a process that ends afterwards.

    Args:
        old: the file to compare with; the new one is the subject's own.
        pictures: the images that the steps take turns with; each block begins with the first.
        process: its number, for the log. done: is called right after the last step, while the process
            still holds the card.
    """
    new = subject.beside(f"against{process}", subject.lab.npu)
    both = {"new": new, "old": Subject(new.contract, new.lab.unrecorded(), given=old)}
    subject.lab.record(f"what {subject.id} is compared with", subject.lab.digest_of(old))
    try:
        for one in both.values():
            one.runs.open("aie", one.contract.input.sizes[0].side)
        new.runs.hold(pictures)
        for one in both.values():
            [one.runs.step("aie", turn) for turn in range(warmup)]

        def block(name: str) -> list[float]:
            return [both[name].runs.step("aie", turn)[COMPUTE] for turn in range(steps)]

        found = np.array([[block(name) for name in ORDER] for _ in range(quads)])
        done()
        return found
    finally:
        new.lab.close()
