"""Workers as forks of a process that has torch in memory: a fault's own modules are all they import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

WAIT_S = 0.005


def import_what_takes_long() -> None:
    """Load what every worker and every session imports, and nothing of ours."""
    import cv2  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import pycocotools.cocoeval  # noqa: F401
    import torch
    import torchvision  # noqa: F401

    torch.set_num_threads(1)  # no pool of threads, which a fork would not take along


def adopt_workers() -> None:
    """From now on a Worker of this session's own plugins.drivers is a fork of this process."""
    from plugins.drivers import process

    process.Worker._spawn = _spawn


class Fork:
    """What a Worker wants of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid, self.code = pid, None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # the other thread has asked at the same time
                return self.code
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; subprocess.TimeoutExpired where it does not come in time."""
        end = time.monotonic() + (timeout or 3600)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout)
            time.sleep(WAIT_S)
        return self.code


def _spawn(worker, to_child: int, from_child: int) -> Fork:
    """Stands in for Worker._spawn."""
    worker.log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return Fork(pid)
    code = 1
    try:
        _serve(worker, to_child, from_child)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve(worker, to_child: int, from_child: int) -> None:
    """Be the worker: its own session and log, no other open file, its folder first on sys.path."""
    from plugins.drivers.process import WORKERS

    os.setsid()
    log = os.open(worker.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for place, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, place)
    _close_all_but({0, 1, 2, to_child, from_child})
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", 1, closefd=False)
    sys.stderr = open(2, "w", 1, closefd=False)
    os.environ.update(worker.env)
    here = str(Path(WORKERS).parents[1])
    sys.path[:] = [str(WORKERS), *(place for place in sys.path if place != here)]
    _forget(here, str(Path(__file__).resolve().parents[2]))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.resetwarnings()  # a session turns them into errors, a worker does not
    warnings.simplefilter("ignore")
    import serve

    serve.main(worker.role, str(to_child), str(from_child))


def _forget(*roots: str) -> None:
    """Drop the modules of a session: a worker never sees one, and says so of itself.

    What is installed stays, though the environment may lie in the house.
    """
    for name, module in list(sys.modules.items()):
        file = str(getattr(module, "__file__", None) or "")
        ours = file.startswith(roots) and not file.startswith(sys.prefix + os.sep)
        if ours and name != "__main__":
            del sys.modules[name]


def _close_all_but(kept: set[int]) -> None:
    """A stream of another worker that stayed open here would never end there."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the listing's own
