"""A device without a device, and what feeding it takes: python feeding.py IMAGES prints peak MiB."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import images
import numpy as np

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "fixtures" / "data").glob("*.jpg"))
RULE = {"shortest": 800, "longest": 1333, "size": 1344}


class Device:
    """Works for its latency on each input, on no processor of ours; one more input may wait.

    An input is copied when it is given, as over a bus. `busy` is the share of the time, since the
    device exists, that it had something to do.
    """

    def __init__(self, latency: float) -> None:
        self.latency, self.given = latency, 0
        self.start = self.free = time.perf_counter()
        self.memory = np.zeros((2, 3, RULE["size"], RULE["size"]), np.float32)

    def give(self, tensor: np.ndarray) -> None:
        """Copy an input; returns once the one before is being worked on."""
        np.copyto(self.memory[self.given % 2], tensor)
        self.given += 1
        now = time.perf_counter()
        if self.free > now:
            time.sleep(self.free - now)
        self.free = max(now, self.free) + self.latency

    @property
    def busy(self) -> float:
        return self.given * self.latency / (self.free - self.start)


def photographs(count: int) -> list[Path]:
    """So many paths, the photographs in turn."""
    return [PHOTOGRAPHS[k % len(PHOTOGRAPHS)] for k in range(count)]


def peak_memory() -> float:
    """Of this process since its program began, in MiB; ru_maxrss would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) / 1024


if __name__ == "__main__":
    for _ in images.stream(photographs(int(sys.argv[1])), **RULE):
        pass
    print(peak_memory())
