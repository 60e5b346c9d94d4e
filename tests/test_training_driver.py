"""Training runs from the parent's side: however one ends, it is said, and nothing stays behind."""

from __future__ import annotations

import errno
import io
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.drivers import training, training_agents
from plugins.failure import LabError
from tests.training_launches import LIMITS, PROGRAM, alive, soon, started_by_another

pytest_plugins = ["tests.training_actors"]


def array_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue().hex()


def test_a_finished_run_hands_out_what_each_rank_wrote(run):
    loss = np.array([1.5, 1.25])
    done = run(plan={"npy": array_bytes(loss)})
    assert (done.status, done.world) == ("finished", 2)
    assert [rank.record["rank"] for rank in done.ranks] == [0, 1]
    assert np.array_equal(done.ranks[1].arrays["loss"], loss)
    assert done.ranks[1].event("CORE")["iteration"] == 2
    assert 0 < done.seconds < LIMITS["limit_s"]
    assert done.finished() is done


def test_arrays_that_hide_a_pickle_are_not_opened(run):
    done = run(plan={"npy": array_bytes(np.array([{}], dtype=object))})
    with pytest.raises(LabError, match=r"rank0\.npz: cannot be read"):
        done.ranks[0].arrays  # noqa: B018


@pytest.mark.parametrize(
    ("kind", "status", "sentence"),
    [
        ("refuses", "refused", "rank 1: boxes.json: image 7 has no file; unpack the images"),
        ("is not finite", "nonfinite", "rank 1, iteration 1: the loss of images 3, 9 is nan"),
        ("killed", "died", "rank 1 of 2 ended with SIGKILL (out of memory, * at iteration 1"
            " (waiting for its batch); see *agent0.log"),
        ("raises", "died", "rank 1 of 2 failed at iteration 1 (waiting for its batch):"
            " ValueError: no such thing; see *agent0.log"),
        ("ends badly", "died", "rank 1 of 2 ended with exit code 5 at iteration 3 (done); see *"),
        ("goes without a word", "died", "rank 1 of 2 ended with exit code 0 but without FINISHED"
            " at iteration 1 (waiting for its batch); see *agent0.log"),
        ("truncates its record", "died", "*rank1.json: rank 1 left a file that cannot be read *"),
        ("truncates its arrays", "died", "*rank1.npz: rank 1 left a file that cannot be read *"),
        ("damages its arrays", "died", "*rank1.npz: rank 1 left a file whose loss.npy is damaged*"),
        ("forgets its arrays", "died", "*rank1.npz: rank 1 said FINISHED, but did not write it*"),
        ("was of another world", "died", "*rank1.json: is of rank 1 of 3, not of rank 1 of 2; *"),
    ],
)  # fmt: skip
def test_a_run_that_fails_says_how(run, kind, status, sentence, tmp_path):
    ended = run(kind, plan={"wait": kind in ("refuses", "is not finite", "killed", "raises")})
    assert ended.status == status
    pytest.LineMatcher([ended.sentence]).fnmatch_lines([sentence.replace("[", "[[]")])
    with pytest.raises(LabError):
        ended.finished()
    assert alive(tmp_path) == []


def test_a_killed_rank_is_named_and_not_the_one_that_noticed(run):
    ended = run("killed", plan={"noticed": True})
    assert ended.sentence.startswith("rank 1 of 2 ended with SIGKILL")
    assert ended.ranks[0].event("ERROR")


def test_a_rank_whose_launcher_says_nothing_is_found_by_its_process(run, tmp_path):
    """As with torch 2.0.1, whose agent waits for the other nodes before it says what happened."""
    mute = tmp_path / "mute"
    start = f"RANK=$rank WORLD_SIZE=2 {sys.executable} -S {PROGRAM} $plan"
    mute.write_text(
        f"#!/bin/sh\nfor plan; do :; done\nfor rank in 0 1; do {start} & done\nsleep 60\n"
    )
    mute.chmod(0o755)
    ended = run("killed", python=str(mute))
    assert ended.status == "died"
    assert ended.sentence.startswith("rank 1 of 2 is gone at iteration 1 (waiting for its batch)")
    assert ended.seconds < LIMITS["stall_s"]


def test_a_hung_rank_is_told_from_those_that_wait_for_it(run, tmp_path):
    ended = run("hangs", per_node=3, stall_s=3)
    assert ended.status == "hung"
    assert ended.sentence.startswith(
        "rank 1 of 3 made no progress for 3 s at iteration 1 (waiting for its batch), while rank 0"
        " is at iteration 1 (computing); it was ended; see "
    )
    assert 3 < ended.seconds < 15
    assert alive(tmp_path) == []


def test_a_run_that_makes_progress_but_takes_too_long_is_late(run):
    ended = run(limit_s=2, plan={"iterations": 10**6})
    assert ended.status == "late"
    assert ended.sentence.startswith("the run did not finish within 2 s: rank ")


def test_a_rank_that_starts_processes_in_other_sessions_leaves_none(run, tmp_path):
    ended = run("has a child", stall_s=2)
    assert ended.status == "hung"
    assert alive(tmp_path) == []


def test_what_was_being_written_is_swept_and_other_files_stay(run, tmp_path):
    kept = tmp_path / "run" / "checkpoint.pt"
    kept.parent.mkdir()
    kept.write_text("whole")
    ended = run("leaves a draft", plan={"checkpoint": {"path": str(kept)}})
    assert ended.status == "died"
    names = {path.name for path in kept.parent.iterdir()}
    events = {"rank0.events", "rank1.events"}
    assert names == {"checkpoint.pt", "plan.json", "agent0.log", *events}


def test_an_earlier_runs_records_are_never_read(run, tmp_path):
    assert run().status == "finished"
    ended = run("goes without a word", plan={"wait": False})
    assert ended.status == "died"
    assert [bool(rank.record) for rank in ended.ranks] == [True, False]
    assert ended.ranks[1].event("FINISHED") is None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ranks_end_when_we_are_ended(tmp_path, stand_in, how):
    caller = started_by_another(tmp_path, stand_in)
    assert soon(lambda: (tmp_path / "run/rank1.events").exists())
    caller.send_signal(how)
    assert caller.wait(timeout=20) != 0
    assert soon(lambda: alive(tmp_path / "run") == [])


def test_two_nodes_are_two_agents_that_number_their_ranks_by_node(run):
    done = run(nodes=2, per_node=2)
    assert done.status == "finished"
    assert [rank.number for rank in done.ranks] == [0, 1, 2, 3]
    assert sorted(path.name for path in done.folder.glob("agent*")) == ["agent0.log", "agent1.log"]
    died = run("killed", rank=3, nodes=2)
    assert died.sentence.startswith("rank 3 of 4 ended with SIGKILL")


@pytest.mark.parametrize(("host", "ours"), [("127.0.0.1", 0), ("192.0.2.1", 1)])
def test_of_two_machines_each_starts_its_own_agent(run, host, ours):
    address = f"{host}:{training_agents.free_port()}"
    done = run(nodes=2, per_node=2, rendezvous=address)
    assert (done.status, done.world) == ("finished", 4)
    assert [rank.number for rank in done.ranks] == [2 * ours, 2 * ours + 1]
    assert [path.name for path in done.folder.glob("agent*")] == [f"agent{ours}.log"]


def test_a_port_in_use_is_said_before_anything_starts(run, tmp_path):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LabError, match=rf"rendezvous 127.0.0.1:{port}: port {port} is in use"):
            run(nodes=2, rendezvous=f"127.0.0.1:{port}")
    assert not list((tmp_path / "run").glob("agent*"))


def test_an_unknown_host_is_said_before_anything_starts(run):
    with pytest.raises(LabError, match="host.invalid:29500: the host is unknown here"):
        run(nodes=2, rendezvous="host.invalid:29500")


def test_a_free_port_that_is_taken_a_moment_later_is_replaced(run, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = iter([other.getsockname()[1], training_agents.free_port()])
        monkeypatch.setattr(training_agents, "free_port", lambda: next(ports))
        assert run().status == "finished"


def test_a_full_disk_is_said_when_it_begins_and_when_it_kills(run, monkeypatch):
    full = SimpleNamespace(free=0)
    monkeypatch.setattr(training.shutil, "disk_usage", lambda path: full)
    assert run("raises").sentence.endswith("run is full")

    def refuse(*words, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(LabError, match="no run can be prepared there: No space left on device"):
        run()


def test_an_interpreter_that_does_not_exist_or_has_no_torch_is_named(run, tmp_path):
    with pytest.raises(LabError, match="cannot start /gone/python: .* interpreter_train"):
        run(python="/gone/python")
    bare = tmp_path / "bare"
    bare.write_text("#!/bin/sh\necho No module named torch; exit 1\n")
    bare.chmod(0o755)
    ended = run(python=str(bare))
    assert ended.status == "died"
    assert "torchrun ended with exit code 1 before ranks 0, 1 of 2 did" in ended.sentence
    assert "No module named torch" in ended.sentence
