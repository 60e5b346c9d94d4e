"""The training lane as it is called: torchrun, a faulty trainer, Ctrl-C, two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugins.drivers.leash import MARK
from tests.faulty_trainer import FAULT
from tests.training_launches import soon

HOUSE = Path(__file__).resolve().parent.parent
FIRST = "stand_in and (first_steps or sgd or frozen)"


def start(artifacts: Path, tests: str, *words: str, **env: str) -> subprocess.Popen:
    """A session of the lane; a list of words keeps SIGINT, which a shell's background job ignores."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "conformance", "-q", "-m", "a100", "-k", tests]
        + ["--artifacts", str(artifacts), "-p", "no:cacheprovider", *words],
        cwd=HOUSE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def verdict(artifacts: Path) -> dict:
    """The verdict of the one session there."""
    (path,) = [p for p in artifacts.glob("runs/*/verdict.json") if not p.parent.is_symlink()]
    return json.loads(path.read_text())


def marked() -> set[int]:
    """The living processes that a leash holds."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if MARK.encode() + b"=" in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "tests", "clause", "words"),
    [
        ("lr_double", FIRST, "optimiser", "the learning rate in effect is 2 times the recipe's"),
        (
            "box_loss_dropped",
            FIRST,
            "first_steps",
            "the gradient norm of body of step 0 is another",
        ),
        ("no_drop", "schedule and 1x8", "schedule", "a drop of the learning rate is missing"),
        ("same_shard", "share_no_image", "shards", "ranks read the same images"),
        ("good", FIRST, "", ""),
    ],
)
def test_a_faulty_trainer_is_not_conformant_under_torchrun(tmp_path, fault, tests, clause, words):
    session = start(tmp_path, tests, "-p", "tests.faulty_trainer", **{FAULT: fault})
    text = session.communicate(timeout=600)[0]
    found = verdict(tmp_path)
    failed = {t["clause"]: t["reason"] for t in found["tests"] if t["outcome"] == "failed"}
    assert session.returncode == (1 if clause else 0), text
    assert (found["word"] == "NOT CONFORMANT") == bool(clause), text
    assert words in failed.get(f"training.{clause}", ""), failed


@pytest.mark.slow
def test_an_interrupted_lane_leaves_no_process_and_no_draft(tmp_path):
    earlier = marked()
    session = start(tmp_path, "share_no_image or whole_job")
    events = "runs/*/training/*-sharded/rank1.events"
    assert soon(lambda: any(b"CORE" in p.read_bytes() for p in tmp_path.glob(events)), 300)
    assert len(marked() - earlier) >= 3  # an agent and two ranks
    session.send_signal(signal.SIGINT)
    began = time.monotonic()
    text = session.communicate(timeout=60)[0]
    assert session.returncode == 2 and time.monotonic() - began < 30, text
    assert soon(lambda: not marked() - earlier, 10)
    assert list(tmp_path.rglob("*partial*")) == [] and list(tmp_path.rglob("torchrun")) == []


@pytest.mark.slow
def test_two_lanes_at_once_do_not_disturb_each_other(tmp_path):
    sessions = [start(tmp_path, FIRST) for _ in range(2)]
    texts = [session.communicate(timeout=600)[0] for session in sessions]
    assert [session.returncode for session in sessions] == [0, 0], texts
    assert len([p for p in tmp_path.glob("runs/*/verdict.json") if not p.parent.is_symlink()]) == 2
