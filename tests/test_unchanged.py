"""One run judges one file: what is written to or replaced meanwhile is told, and nothing of it is kept."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from fixtures import artifacts
from plugins import contracts
from plugins.drivers.cache import file_digest
from plugins.drivers.forwards import kept
from plugins.drivers.lab import Lab
from plugins.drivers.process import WorkerRefused
from plugins.drivers.subject import Subject
from plugins.failure import LabError
from tests.standins import Config, Item

CONTRACT = contracts.load_all()["retinanet_shapes"]


class Worker:
    """Answers with what it has opened, which stays open; `then` is done while it answers."""

    def __init__(self, path) -> None:
        self.opened, self.then = path.read_text(), lambda: None

    def call(self, op, **arguments):
        self.then()
        return SimpleNamespace(result=self.opened)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.ts"
    path.write_text("the good one")
    return path


@pytest.fixture
def lab(model, tmp_path):
    made = Lab(interpreters={}, artifacts=tmp_path, run=tmp_path)
    made._workers["infer"] = Worker(model)
    made.digest_of(model)
    return made


def replaced(path):
    other = path.with_suffix(".new")
    other.write_text("a broken one")
    os.replace(other, path)


def of_the_same_size_and_time(path):
    was = path.stat()
    path.write_text("the GOOD one")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("a broken one"), replaced, of_the_same_size_and_time, os.unlink],
    ids=["written", "replaced", "disguised", "removed"],
)
def test_an_answer_after_a_change_of_the_file_is_refused_by_its_name(lab, model, change):
    known = lab.digest_of(model)
    assert lab.call("infer", "run").result == "the good one"
    change(model)
    now = file_digest(model)[:12] if model.exists() else "none"
    told = (
        f"^{model}: changed during the run: sha256 {known[:12]}, then {now}; a run judges one file"
    )
    with pytest.raises(LabError, match=told):
        lab.call("infer", "run")
    assert lab.digest_of(model) == known


def test_every_place_of_a_session_knows_the_same_file(lab, model):
    others = [lab.beside("npu1", 1), lab.unrecorded()]
    model.write_text("a broken one")
    for other in others:
        with pytest.raises(LabError, match="changed during the run"):
            other.check_unchanged()


def test_a_file_that_is_touched_or_replaced_by_itself_is_the_same(lab, model):
    os.utime(model, (1, 1))
    lab.call("infer", "run")
    model.with_suffix(".new").write_text("the good one")
    os.replace(model.with_suffix(".new"), model)
    assert lab.call("infer", "run").result == "the good one"


def test_what_a_half_written_file_is_refused_for_is_no_fault_of_the_model(lab, model):
    def cut():
        model.write_text("the go")
        raise WorkerRefused("truncated")

    lab.worker("infer").then = cut
    with pytest.raises(LabError, match="changed during the run"):
        lab.call("infer", "open")


def test_an_answer_while_the_file_changes_is_kept_under_no_name(lab, model, monkeypatch):
    """A later session of the new file would be given the answers of the old one."""
    subject = Subject(CONTRACT, lab, given=model)
    monkeypatch.setattr(lab, "library", lambda role: str(model))
    subject.once("identity", lambda: {"emulated": True, "identity": "a worker"})

    def found():
        return {"found": np.array([lab.call("infer", "run").result])}

    assert kept(subject, "aie", 256, ["one"], found)[1] is False
    model.write_text("a broken one")
    with pytest.raises(LabError, match="changed during the run"):
        kept(subject, "aie", 256, ["another"], found)
    assert kept(subject, "aie", 256, ["one"], found)[1] is True  # it was known by what it is of
    assert len(list(lab.cache.folder.rglob("*.npz"))) == 1


def test_the_end_of_a_run_asks_once_more(lab, model):
    config = Config()
    config.stash[artifacts.LAB] = lab
    item = Item(config=config)
    model.write_text("a broken one")
    artifacts.pytest_runtest_teardown(item, nextitem=item)
    with pytest.raises(LabError, match="changed during the run"):
        artifacts.pytest_runtest_teardown(item, nextitem=None)
