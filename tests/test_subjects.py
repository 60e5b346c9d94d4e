"""What --model-ts cannot concern is left out by name: the other subject, and what we export ourselves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import subjects
from plugins import clauses
from plugins.clauses import ENTRY, LEDGER
from plugins.drivers.process import WorkerCrashed, WorkerFailed, WorkerRefused
from tests.standins import Config, Item

SHAPES, BIG = "retinanet_shapes", "retinanet_r50_fpn_3x"


@pytest.fixture
def config(monkeypatch):
    """A run of a file that claims to be the small subject."""
    made = Config(collectonly=False)
    deselected = lambda items: clauses.pytest_deselected(items)  # noqa: E731
    made.hook = SimpleNamespace(pytest_deselected=deselected)
    made.give("model_ts", "model.ts")
    monkeypatch.setattr(subjects, "_claimed", lambda config: SHAPES)
    return made


def collected(config, name, *fixtures, **params):
    item = Item(pytest.mark.clause("o.x"), config=config, nodeid=f"conformance/test_a.py::{name}")
    item.fixturenames, item.callspec = [*fixtures, *params], SimpleNamespace(params=params)
    item.stash[ENTRY] = clauses._entry(item)
    config.stash[LEDGER].plan(item.stash[ENTRY])
    return item


def test_what_is_not_about_the_file_is_left_out_with_that_reason(config):
    mine = [
        collected(config, "own", subject=SHAPES),
        collected(config, "case", case=SimpleNamespace(id="bus", subject=SHAPES)),
        collected(config, "ops"),
    ]
    others = [
        collected(config, "big", subject=BIG),
        collected(config, "big_case", case=SimpleNamespace(id="bus", subject=BIG)),
        *(collected(config, name, name, subject=SHAPES) for name in sorted(subjects.OURS)),
    ]
    items = [*others, *mine]
    subjects.pytest_collection_modifyitems(config, items)
    assert items == mine
    books = config.stash[LEDGER].entries
    assert all(books[item.nodeid].aside for item in others)
    assert not any(books[item.nodeid].aside for item in mine)


@pytest.mark.parametrize("change", [{"given": None}, {"collectonly": True}])
def test_without_a_file_and_in_a_collection_everything_stays(config, change):
    config.option.collectonly = change.get("collectonly", False)
    config.give("model_ts", change.get("given", "model.ts"))
    items = [collected(config, "big", subject=BIG)]
    subjects.pytest_collection_modifyitems(config, items)
    assert len(items) == 1


@pytest.fixture
def claimed(monkeypatch):
    """Which subject a file of nameless tensors claims to be, whose census is `taken`."""
    reply = SimpleNamespace(result=dict.fromkeys(subjects.CONTRACTS, 0.0))
    lab = SimpleNamespace(call=lambda *_, **__: reply, library=lambda role: "")
    config = Config()
    config.give("model_ts", "model.ts")

    def claim(taken) -> str:
        one = SimpleNamespace(spec={}, describe=taken)
        monkeypatch.setattr(subjects, "lab_of", lambda _: lab)
        monkeypatch.setattr(subjects, "subject_of", lambda *_: one)
        return subjects._claimed(config)

    return claim


@pytest.mark.parametrize("error", [WorkerFailed, WorkerRefused])
def test_a_file_whose_census_cannot_be_taken_goes_on_to_the_clauses(claimed, error):
    def taken():
        raise error("no forward")

    assert claimed(taken) == BIG


def test_a_file_that_ends_the_worker_is_refused_before_anything_runs(claimed):
    def taken():
        raise WorkerCrashed("ended by signal 11")

    with pytest.raises(pytest.UsageError, match="^--model-ts cannot be looked at: ended by"):
        claimed(taken)


def test_a_frozen_file_is_known_by_its_class_head(claimed):
    net = subjects.CONTRACTS[SHAPES].architecture
    head = [len(net.ratios) * len(net.scales) * net.classes, net.fpn, 3, 3]
    assert claimed(lambda: {"constants": [[1], head]}) == SHAPES
    assert claimed(lambda: {"constants": [[1]]}) == BIG


def test_weights_of_another_subject_than_the_files_are_refused(config):
    config.give("weights", "other.pkl")
    with pytest.raises(pytest.UsageError, match=f"^--weights other.pkl: are for {BIG}, .*{SHAPES}"):
        subjects.pytest_collection_modifyitems(config, [])
