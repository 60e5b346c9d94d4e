"""Workers: whatever a child interpreter does, the parent gets an answer or a sentence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from plugins.drivers import process
from plugins.drivers.process import (
    Worker,
    WorkerCrashed,
    WorkerError,
    WorkerFailed,
    WorkerRefused,
    WorkerTimeout,
)
from tests.frames import ODD_ARRAYS

HERE = Path(__file__).resolve().parent
ROLE = "worker_roles"
LIMIT_S = 20


@pytest.fixture
def worker(tmp_path):
    with Worker(ROLE, log=tmp_path / "worker.log", env={"PYTHONPATH": str(HERE)}) as worker:
        yield worker


@pytest.fixture
def role(tmp_path):
    """A worker of a role that the test writes."""
    made = []

    def write(body: str) -> Worker:
        (tmp_path / "written.py").write_text(body)
        worker = Worker("written", log=tmp_path / "w.log", env={"PYTHONPATH": str(tmp_path)})
        made.append(worker)
        return worker

    yield write
    for worker in made:
        worker.close()


def pid(worker) -> int:
    return worker.call("echo").result["process"]


def gone(number: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet has."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def told(file: Path) -> list[int]:
    """The process ids that `hang` writes once it hangs."""
    for _ in range(200):
        if file.is_file() and len(file.read_text().split()) == 2:
            return [int(n) for n in file.read_text().split()]
        time.sleep(0.05)
    raise AssertionError("the worker never got there")


def test_all_arrays_of_a_call_cross_two_pipes_and_back(worker):
    reply = worker.call("echo", arrays=ODD_ARRAYS, number=float("inf"), text="é\n")
    assert reply.result["number"] == float("inf")
    assert reply.result["text"] == "é\n"
    assert list(reply.arrays) == list(ODD_ARRAYS)
    assert all(np.array_equal(reply.arrays[k], v, equal_nan=v.dtype.kind == "f")
               for k, v in ODD_ARRAYS.items())  # fmt: skip


def test_a_hundred_megabytes_come_back_bit_for_bit(worker):
    sent = np.arange(25 * 2**20, dtype=np.uint32).view(np.float32)
    assert worker.call("echo", arrays={"a": sent}).arrays["a"].tobytes() == sent.tobytes()


def test_the_same_process_answers_call_after_call(worker):
    assert pid(worker) == pid(worker) != os.getpid()


def test_a_refusal_is_passed_on_word_for_word(worker):
    with pytest.raises(WorkerRefused) as refused:
        worker.call("refuse")
    assert str(refused.value) == "weights.pkl: tensor 'a' is missing; fetch the file again"


def test_an_exception_is_told_and_its_traceback_is_in_the_log(worker):
    first = pid(worker)
    with pytest.raises(WorkerFailed, match="^ValueError: two\nlines$"):
        worker.call("fail")
    assert "worker_roles.py" in worker.log.read_text()
    assert pid(worker) == first


def test_an_unknown_operation_is_answered_with_the_known_ones(worker):
    with pytest.raises(
        WorkerRefused, match="^worker_roles: no operation 'ecko'; call one of abort"
    ):
        worker.call("ecko")


def test_an_unknown_argument_is_named(worker):
    with pytest.raises(WorkerFailed, match="unexpected keyword argument 'colour'"):
        worker.call("refuse", colour="red")


@pytest.mark.parametrize(
    ("op", "cause"),
    [("abort", "SIGABRT"), ("leave", "exit code 3"), ("half_a_frame", "exit code 5"),
     ("half_an_array", "exit code 5"),
     ("devour", "SIGKILL (out of memory, most likely: close other programs)")],
)  # fmt: skip
def test_a_crash_is_a_sentence_and_the_next_call_finds_a_new_process(worker, op, cause):
    first = pid(worker)
    with pytest.raises(WorkerCrashed) as crash:
        worker.call(op)
    assert str(crash.value).startswith(
        f"worker 'worker_roles' ended during '{op}' with {cause}; see {worker.log}"
    )
    assert pid(worker) != first


def test_a_crash_shows_the_last_lines_of_the_log(worker):
    with pytest.raises(WorkerCrashed, match="\n    last words"):
        worker.call("abort")


def test_a_crash_is_noticed_although_a_forked_process_lives_on(worker):
    began = time.monotonic()
    with pytest.raises(WorkerCrashed, match="SIGABRT"):
        worker.call("orphan", timeout=LIMIT_S)
    assert time.monotonic() - began < LIMIT_S / 2


def test_too_little_memory_is_an_error_of_that_call_alone(worker):
    with pytest.raises(WorkerFailed, match=r"MemoryError: Unable to allocate 8\.00 GiB"):
        worker.call("grow")
    assert pid(worker)


@pytest.mark.parametrize(
    "text", ["Traceback (most recent call last)", "RNW1\x02\0\0\0[]", "RNW1\x02\0\0\0{}",
             "RNW1\x02\0\0\0xx", "RNW1\x7f\x7f\x7f\x7f"],
)  # fmt: skip
def test_what_is_no_frame_is_said_to_be_none(worker, text, monkeypatch):
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    with pytest.raises(WorkerCrashed, match="answered 'nonsense' with nonsense and was ended"):
        worker.call("nonsense", text=text)


def test_what_is_printed_is_in_the_log_and_harms_nothing(worker):
    assert worker.call("chatter").result == {}
    log = worker.log.read_bytes()
    assert b"\0RNW1 garbage" in log
    assert b"from a child" in log
    assert pid(worker)


def test_a_hanging_worker_ends_at_its_limit_with_what_it_started(worker, tmp_path):
    pid(worker)
    with pytest.raises(WorkerTimeout) as late:
        worker.call("hang", timeout=1.5, file=str(tmp_path / "pids"))
    assert "did not finish 'hang' within 1.5 s and was ended; see" in str(late.value)
    assert all(gone(number) for number in told(tmp_path / "pids"))
    assert pid(worker)


def test_a_worker_that_does_not_listen_is_late_too(role):
    """A request larger than a pipe holds: the parent is stuck while it still writes."""
    deaf = "import protocol, time\nprotocol.receive = lambda stream: time.sleep(300)\n"
    worker = role(f"{deaf}OPERATIONS = {{1: 2}}\n")
    with pytest.raises(WorkerTimeout, match="did not finish 'x' within 0.5 s"):
        worker.call("x", arrays={"a": np.zeros(2**20)}, timeout=0.5)


def test_ctrl_c_in_a_call_leaves_no_process(worker, tmp_path):
    interrupt = threading.Thread(
        target=lambda: (told(tmp_path / "pids"), os.kill(os.getpid(), signal.SIGINT))
    )
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        worker.call("hang", file=str(tmp_path / "pids"), timeout=LIMIT_S)
    interrupt.join()
    assert all(gone(number) for number in told(tmp_path / "pids"))
    assert pid(worker)


def test_a_parent_that_is_killed_leaves_no_worker(tmp_path):
    script = (
        "import sys\nfrom plugins.drivers.process import Worker\n"
        f"w = Worker('{ROLE}', log='{tmp_path / 'w.log'}', env={{'PYTHONPATH': '{HERE}'}})\n"
        "print(w.call('echo').result['process'], flush=True)\nimport os\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=HERE.parent, capture_output=True, text=True
    )
    assert gone(int(done.stdout))


def test_closing_ends_the_process_and_a_later_call_starts_another(worker):
    first = pid(worker)
    worker.close()
    assert gone(first)
    worker.close()
    assert pid(worker) != first


@pytest.mark.parametrize(
    ("arrays", "args", "sentence"),
    [
        ({"a": np.array(["x"])}, {}, "array 'a' has dtype <U1; one of bool, uint8, int32"),
        ({}, {"what": {1}}, "the header cannot be written as JSON: Object of type set"),
    ],
)
def test_what_cannot_be_sent_is_named_and_the_worker_lives(worker, arrays, args, sentence):
    first = pid(worker)
    with pytest.raises(WorkerFailed, match="^'echo' of worker 'worker_roles' was not called: "
                       + re.escape(sentence)):  # fmt: skip
        worker.call("echo", arrays=arrays, **args)
    assert pid(worker) == first


@pytest.mark.parametrize("what", ["set", "complex"])
def test_an_answer_that_cannot_be_sent_is_named_and_the_worker_lives(worker, what):
    first = pid(worker)
    with pytest.raises(WorkerFailed, match=f"^Unsendable: .*{what}"):
        worker.call("unsendable", what=what)
    assert pid(worker) == first


def test_an_interpreter_that_is_not_there_is_named_with_its_setting(tmp_path):
    worker = Worker("infer", python=str(tmp_path / "python3"), log=tmp_path / "log")
    with pytest.raises(WorkerCrashed) as crash:
        worker.call("versions")
    assert str(crash.value) == (
        f"worker 'infer' cannot start {tmp_path}/python3: No such file or directory; "
        "set interpreter_infer to a Python that exists"
    )


def test_an_interpreter_without_numpy_says_so(tmp_path):
    """-S: no site-packages."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    worker = Worker("infer", python=str(bare), log=tmp_path / "log")
    with pytest.raises(WorkerCrashed, match="(?s)during its start with exit code 1.*No module"):
        worker.call("versions")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("y = 1", "AttributeError: module 'written' has no attribute 'OPERATIONS'"),
    ],
)
def test_a_role_that_cannot_be_imported_says_why(role, body, sentence):
    worker = role(body)
    with pytest.raises(WorkerCrashed) as crash:
        worker.call("anything")
    start = f"worker 'written' ({sys.executable}) cannot start: {sentence}"
    assert str(crash.value).startswith(start)


def test_a_role_that_leaves_while_it_is_imported_ended_during_its_start(role):
    with pytest.raises(WorkerCrashed, match="ended during its start with exit code 7"):
        role("import sys; sys.exit(7)").call("anything")


def test_a_log_that_cannot_be_written_is_the_lab_s_own_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    worker = Worker("infer", log=tmp_path / "file" / "worker.log")
    with pytest.raises(WorkerError, match="worker.log: .*; name a folder that can be written by"):
        worker.call("versions")
