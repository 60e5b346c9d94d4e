"""Each task in a fork of this process, with limits: it can hang, crash or eat memory and do no harm."""

from __future__ import annotations

import itertools
import json
import math
import os
import resource
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MEMORY = 3 << 30  # bytes that a fork may map beyond what this process has mapped
LONGEST = 900  # seconds that a fork may take, whatever it does
HUNG = (signal.SIGXCPU, signal.SIGALRM)


@dataclass
class Child:
    """A fork at work."""

    task: Any
    pid: int
    pipe: int
    ends: float
    folder: str
    said: bytes = b""


def fork_each(
    tasks: Iterable[Any], body: Callable[[Any], Any], jobs: int = 1
) -> Iterator[tuple[Any, Any]]:
    """(task, answer of body(task) through JSON) in the order in which the forks end.

    A fork that went over its time answers "hung", one that died without an answer "crashed".
    """
    waiting, running = iter(tasks), {}
    try:
        while True:
            for task in itertools.islice(waiting, jobs - len(running)):
                child = _start(task, body)
                running[child.pipe] = child
            if not running:
                return
            yield from _ended(running)
    finally:
        for child in running.values():
            _reap(child)


def limit(seconds: float) -> None:
    """End this process if it takes much longer than `seconds` of CPU time from now on."""
    cpu = math.ceil(time.process_time() + 2 + 5 * seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.RLIM_INFINITY))
    signal.alarm(math.ceil(30 + 20 * seconds))  # for one that waits; the machine may be loaded


def _ended(running: dict[int, Child]) -> Iterator[tuple[Any, Any]]:
    rest = min(child.ends for child in running.values()) - time.monotonic()
    for pipe in select.select(list(running), [], [], max(rest, 0))[0]:
        part = os.read(pipe, 1 << 20)
        running[pipe].said += part
        if not part:
            child = running.pop(pipe)
            yield child.task, _answer(child, _reap(child))
    for child in list(running.values()):
        if time.monotonic() > child.ends:
            del running[child.pipe]
            _reap(child)
            yield child.task, "hung"


def _answer(child: Child, died_of: int) -> Any:
    if child.said and not died_of:
        return json.loads(child.said)
    return "hung" if died_of in HUNG else "crashed"


def _start(task: Any, body: Callable[[Any], Any]) -> Child:
    folder = tempfile.mkdtemp(prefix="mutant-")
    out, pipe = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            _tame(folder)
            answer = json.dumps(body(task)).encode()
            while answer:
                answer = answer[os.write(pipe, answer) :]
        finally:
            os._exit(1)
    os.close(pipe)
    return Child(task, pid, out, time.monotonic() + LONGEST, folder)


def _tame(folder: str) -> None:
    """No core file, no endless memory, no temporary file elsewhere than in the folder."""
    with open("/proc/self/statm", encoding="ascii") as sizes:
        mapped = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = folder


def _reap(child: Child) -> int:
    """End the fork and all that it started; the signal that it died of, or 0."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pipe)
    shutil.rmtree(child.folder, ignore_errors=True)
    return status & 127
