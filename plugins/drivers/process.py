"""A worker seen from pytest: another interpreter, kept alive, spoken to in frames."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from plugins.failure import LabError
from plugins.workers import protocol

WORKERS = Path(__file__).resolve().parents[1] / "workers"
START_LIMIT_S = 180.0
WATCH_S, GRACE_S = 0.1, 2.0
LOG_LINES_SHOWN = 3


class WorkerError(LabError):
    """A worker could not do what it was asked."""


class WorkerRefused(WorkerError):
    """The worker refused its input: a sentence with the file, the field and the cure."""


class WorkerUnfit(WorkerRefused):
    """The machine cannot do the work: never the product's fault."""


class WorkerFailed(WorkerError):
    """An operation raised inside the worker, which lives on."""


class WorkerCrashed(WorkerError):
    """The worker's process ended in the middle of its work."""


class WorkerTimeout(WorkerError):
    """The worker did not answer within its time limit and was ended."""


@dataclass(frozen=True)
class Reply:
    """What an operation returned: a JSON-able result and arrays by name."""

    result: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Worker:
    """One child interpreter that serves one role (a module of plugins/workers).

    Args:
        role: the module's name.
        python: the interpreter to run; by default this one.
        log: where the child's output goes; appended to.
        env: variables added to the child's environment; a role's module may also lie in a folder
            that PYTHONPATH names.

    It starts at the first call, and a new one starts after a crash, so that one broken case does
    not take the rest of the run with it. Calls from several threads take turns.
    """

    def __init__(
        self, role: str, *, log: Path, python: str = sys.executable, env: Optional[dict] = None
    ) -> None:
        self.role, self.python, self.log, self.env = role, python, Path(log), dict(env or {})
        self._process: Optional[subprocess.Popen] = None
        self._killed: Optional[subprocess.Popen] = None
        self._turn = threading.Lock()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(
        self, op: str, *, arrays: Optional[dict] = None, timeout: float = 600.0, **args: object
    ) -> Reply:
        """Run one operation.

        Raises:
            WorkerRefused, WorkerFailed: the operation said no, or its arguments fit no frame;
            WorkerCrashed, WorkerTimeout: the process is gone, and the message names its log.
        """
        with self._turn:
            if self._process is not None and self._process is self._killed:
                self._reap()  # by us, while nobody waited for it
            if self._process is None:
                self._start()
            request = ({"op": op, "args": args}, arrays or {})
            header, out = self._exchange(request, timeout, f"'{op}'")
        if header["ok"]:
            return Reply(header["result"], out)
        refused = WorkerUnfit if header.get("unfit") else WorkerRefused
        raise (refused if header["refused"] else WorkerFailed)(header["error"])

    def close(self) -> None:
        """End the child: close its stream, give it a moment, then kill what is left of it."""
        if self._process is None:
            return
        self._requests.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        self._reap()

    def _start(self) -> None:
        to_child, requests = os.pipe()
        replies, from_child = os.pipe()
        self._requests, self._replies = os.fdopen(requests, "wb"), os.fdopen(replies, "rb")
        try:
            self._process = self._spawn(to_child, from_child)
        except WorkerError:
            self._close_streams()
            raise
        finally:
            os.close(to_child)
            os.close(from_child)
        header, _ = self._exchange(None, START_LIMIT_S, "its start")
        if not header["ok"]:
            self._reap()
            raise WorkerCrashed(
                f"worker '{self.role}' ({self.python}) cannot start: {header['error']}"
            )

    def _spawn(self, to_child: int, from_child: int) -> subprocess.Popen:
        command = [self.python, str(WORKERS / "serve.py"), self.role]
        command += [str(to_child), str(from_child)]
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            log = open(self.log, "ab")
        except OSError as error:
            raise WorkerError(
                f"{self.log}: {error.strerror}; name a folder that can be written by --artifacts"
            ) from None
        try:
            with log:
                return subprocess.Popen(
                    command,
                    pass_fds=(to_child, from_child),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", **self.env},
                    start_new_session=True,
                )
        except OSError as error:
            raise WorkerCrashed(
                f"worker '{self.role}' cannot start {self.python}: {error.strerror}; "
                f"set interpreter_{self.role} to a Python that exists"
            ) from None

    def _exchange(self, request: Optional[tuple], limit: float, what: str) -> tuple[dict, dict]:
        """Send a request (if any) and wait for the answer, at most `limit` seconds."""
        late, done = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, args=(limit, late, done), daemon=True).start()
        try:
            if request is not None:
                protocol.send(self._requests, *request)
            return protocol.receive(self._replies)
        except protocol.Unsendable as error:
            raise WorkerFailed(f"{what} of worker '{self.role}' was not called: {error}") from None
        except (OSError, EOFError, protocol.ProtocolError) as error:
            raise self._gone(late.is_set(), limit, what, error) from None
        except BaseException:  # Ctrl-C in the middle of a frame: the stream cannot be used again
            self.kill()
            self._reap()
            raise
        finally:
            done.set()

    def _watch(self, limit: float, late: threading.Event, done: threading.Event) -> None:
        """End the child with all that it started once it is late, or once it is dead.

        A process that it forked holds the stream open: without this, a crash would look like work.
        """
        process, end = self._process, time.monotonic() + limit
        while not done.wait(WATCH_S):
            if time.monotonic() > end:
                late.set()
            if late.is_set() or process.poll() is not None:
                self.kill()
                return

    def _gone(self, late: bool, limit: float, what: str, error: Exception) -> WorkerError:
        code = self._reap()
        where = f"see {self.log}{self._last_words()}"
        if late:
            return WorkerTimeout(
                f"worker '{self.role}' did not finish {what} within {limit:g} s and was ended; "
                f"{where}"
            )
        if code is None:
            return WorkerCrashed(
                f"worker '{self.role}' answered {what} with nonsense and was ended ({error}); "
                f"{where}"
            )
        return WorkerCrashed(
            f"worker '{self.role}' ended during {what} with {_cause(code)}; {where}"
        )

    def kill(self) -> None:
        """Kill the child's process group, which outlives a child that has started others.

        Whoever waits for an answer is told. Where nobody does, the next call starts another child; one
        that had ended by itself is still told as a crash.
        """
        process = self._process
        if process is not None:
            if process.poll() is None:
                self._killed = process
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _reap(self) -> Optional[int]:
        """Make sure that nothing is left; the child's exit code, or None if it had to be ended."""
        try:
            code = self._process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        self._process.wait()
        self._close_streams()
        self._process = None
        return code

    def _close_streams(self) -> None:
        for stream in (self._requests, self._replies):
            try:
                stream.close()
            except OSError:
                pass

    def _last_words(self) -> str:
        lines = (
            self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        )
        return "".join(f"\n    {line[:200]}" for line in lines[-LOG_LINES_SHOWN:])


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory, most likely: close other programs)" if name == "SIGKILL" else ""
    return f"{name}{hint}"
