"""Ends all that a run has started, wherever it hides; also the guard that does so without us.

torchrun gives each rank a session of its own, so that no process group holds them all. What they do
share is their environment: each process that descends from a run carries the run's mark in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid

MARK = "CONFORMANCE_LEASH"
LIMIT_S, PAUSE_S = 10.0, 0.02


class Leash:
    """While it is held, processes started with its `env` may live; not a moment longer.

    A guard process waits at the other end of a pipe: it ends them too when we are killed outright.
    """

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.env = {MARK: self.mark}

    def __enter__(self) -> Leash:
        read, self._write = os.pipe()
        command = [sys.executable, "-I", "-S", __file__, str(read), self.mark]
        self._guard = subprocess.Popen(
            command,
            pass_fds=(read,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            end(self.mark)
        finally:
            os.close(self._write)
            self._guard.wait(timeout=2 * LIMIT_S)


def end(mark: str) -> None:
    """Kill every process with a mark, until none is found twice in a row."""
    limit, clean = time.monotonic() + LIMIT_S, 0
    while clean < 2 and time.monotonic() < limit:
        found = marked(mark)
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        clean = 0 if found else clean + 1
        time.sleep(PAUSE_S)


def marked(mark: str) -> list[int]:
    """The living processes whose environment has a mark (a dead one has no environment)."""
    sign = f"{MARK}={mark}".encode()
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [number for number in numbers if sign in _environment(number)]


def _environment(number: int) -> list[bytes]:
    try:
        with open(f"/proc/{number}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def _wait_and_end(pipe: int, mark: str) -> None:
    """The guard: wait until nobody holds the pipe's other end, then end what is left."""
    while os.read(pipe, 1):
        pass
    end(mark)


if __name__ == "__main__":
    _wait_and_end(int(sys.argv[1]), sys.argv[2])
