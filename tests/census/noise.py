"""Artificial noise of a machine: a process that spins, and processes that are stopped now and then."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.census.conditions import LOADED, PAUSED

PAUSE_S, BETWEEN_S = (0.05, 0.6), (0.1, 1.0)  # drawn evenly


@contextmanager
def disturbed(kind: str, victims: Callable[[], list[int]], seed: int) -> Iterator[None]:
    """Disturb the machine while the block runs; `victims` are the processes that may be paused."""
    if kind == LOADED:
        with _spinning():
            yield
    elif kind == PAUSED:
        with _pausing(victims, random.Random(seed)):
            yield
    else:
        yield


@contextmanager
def _spinning() -> Iterator[None]:
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


@contextmanager
def _pausing(victims: Callable[[], list[int]], draw: random.Random) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=_pause_now_and_then, args=(victims, draw, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def descendants(root: int) -> list[int]:
    """The processes below one, itself left out."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = [root]
    for one in found:
        found += [pid for pid, parent in parents.items() if parent == one]
    return found[1:]


def _pause_now_and_then(victims, draw: random.Random, done: threading.Event) -> None:
    while not done.wait(draw.uniform(*BETWEEN_S)):
        some = victims()
        pid = draw.choice(some) if some else 0
        if pid and _send(pid, signal.SIGSTOP):
            done.wait(draw.uniform(*PAUSE_S))
            _send(pid, signal.SIGCONT)


def _send(pid: int, what: signal.Signals) -> bool:
    try:
        os.kill(pid, what)
    except ProcessLookupError:  # it ended by itself
        return False
    return True
