"""Workers that end while nobody waits for them: on purpose, or by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.drivers.process import Worker, WorkerCrashed

HERE = Path(__file__).resolve().parent


@pytest.fixture
def worker(tmp_path):
    paths = {"PYTHONPATH": str(HERE)}
    with Worker("worker_roles", log=tmp_path / "worker.log", env=paths) as worker:
        yield worker


def pid(worker) -> int:
    return worker.call("echo").result["process"]


def test_an_idle_worker_that_was_killed_starts_again_and_nothing_is_told(worker):
    first = pid(worker)
    worker.kill()
    second = pid(worker)
    worker.kill()
    assert len({first, second, pid(worker)}) == 3


def test_an_idle_worker_that_ended_by_itself_is_told_although_it_is_killed_too(worker):
    pid(worker)
    worker._process.kill()
    worker._process.wait()
    worker.kill()
    with pytest.raises(WorkerCrashed, match="ended during 'echo' with SIGKILL"):
        pid(worker)
    assert pid(worker)
