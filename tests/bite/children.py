"""The bench processes: two side by side, and nothing of them left when the runner ends."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from plugins.drivers.leash import Leash
from tests.bite.benches import Row

HOUSE = Path(__file__).resolve().parents[2]
DIED = "its process ended with exit code {}; see {}"


def results(work: Sequence[Sequence[Row]], folder: Path, jobs: int) -> Iterator[tuple[Row, dict]]:
    """Judge the rows of each bench in a process of its own; pairs of a row and its result.

    Args:
        work: rows of one bench each, begun in this order.
        folder: for what the benches leave behind.
        jobs: how many benches run at a time.

    A bench that died gives each row it still owed a result with "broken". Whatever the benches have
    started ends with this generator, also when we are killed.
    """
    waiting, done = list(work), queue.Queue()
    with Leash() as leash:
        running = 0
        while waiting or running:
            while waiting and running < jobs:
                one = (waiting.pop(0), folder, leash.env, done)
                threading.Thread(target=_serve, args=one, daemon=True).start()
                running += 1
            row, result = done.get()
            if row is None:
                running -= 1
            else:
                yield row, result


def _serve(rows: Sequence[Row], folder: Path, env: dict, done: queue.Queue) -> None:
    """Put the results of one bench into a queue, and (None, None) at the end."""
    module = rows[0].place.module
    own = folder / module.rsplit(".", 1)[-1]
    owed = {row.id: row for row in rows}
    given = [[row.id, dataclasses.asdict(row.fault)] for row in rows]
    job = {"module": module, "folder": str(own), "rows": given}
    try:
        with _start(job, env) as process:
            for line in process.stdout:
                result = json.loads(line)
                done.put((owed.pop(result.pop("id")), result))
        why = DIED.format(process.returncode, own)
    except (OSError, ValueError, KeyError) as error:
        why = f"its process said what makes no sense: {error!r}; see {own}"
    for row in owed.values():
        done.put((row, {"broken": why}))
    done.put((None, None))


def _start(job: dict, env: dict) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bite.host"],
        cwd=HOUSE,
        env={**os.environ, "PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1", **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        with process.stdin as pipe:
            json.dump(job, pipe)
    except BrokenPipeError:
        pass  # it ended at once; its exit code is told
    return process
