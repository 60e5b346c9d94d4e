"""The accuracy question as the suite asks it: parts made once and when needed, two engines at the end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.operating import page_rows
from fixtures import accuracy as fixture
from fixtures.decision import Question
from plugins.checks import accuracy as checks
from plugins.checks.accuracy import ImageSet
from plugins.contracts import Accuracy, load_all
from plugins.contracts.decisions import Paired
from plugins.failure import LabError
from tests import hostile_sets

PLAN = Paired(
    looks=[10, 20, 40],
    accept=[0.0, 0.004, 0.006],
    reject=[0.002, 0.003, 0.005],
    confidence=0.99,
    unseen=0.5,
    resamples=1000,
    seed=0,
    derivation="chosen for forty images",
)
CONTRACT = load_all()["retinanet_shapes"]
HOUSE = Path(__file__).resolve().parents[1]


class Subject:
    """Finds on an image of the set what `tables` say of a backend; remembers what it was asked."""

    id = "retinanet_shapes"

    def __init__(self, tables: dict, emulated: bool) -> None:
        self.tables, self.contract, self.asked = tables, CONTRACT, []
        self.known, self.told, self.hashes = {}, [], {}
        self.runs = SimpleNamespace(detect=self.detect)
        self.lab = SimpleNamespace(tell=self.told.append, record=self.hashes.__setitem__)

    def once(self, key, make):
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def detect(self, backend, paths):
        self.asked.append((backend, len(paths)))
        rows = [self.tables[backend][int(path.stem)] for path in paths]
        arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {**arrays, "seconds": np.full((len(paths), 3), 0.01)}


def padded(table: np.ndarray, image: int) -> dict:
    """The detections of an image as a model returns them, 40 rows."""
    mine = table[table[:, 0] == image][:40]
    labels = np.searchsorted(CONTRACT.category_ids, mine[:, 6])
    corners = np.column_stack([mine[:, 1:3], mine[:, 1:3] + mine[:, 3:5]])
    rows = {"boxes": corners, "labels": labels, "scores": mine[:, 5]}
    full = {"boxes": np.zeros((40, 4)), "labels": np.zeros(40), "scores": np.zeros(40)}
    for name, values in rows.items():
        full[name][: len(values)] = values
    return full


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """ask(move) asks whether a device whose boxes are moved by so many px is as good; (answer, subject)."""
    document, table = hostile_sets.make("plain", seed=5)
    ids = hostile_sets.ids_of(document)
    document["categories"] = [{"id": k, "name": str(k)} for k in CONTRACT.category_ids]
    path = hostile_sets.write(tmp_path, document)

    def images_of(count: int) -> ImageSet:
        return ImageSet(path, {i: Path(f"{i}.png") for i in ids[:count]})

    def run(move: float, *, whole=False, kept=False):
        moved = table + np.array([0, move, move, 0, 0, 0, 0])
        tables = {name: {i: padded(t, i) for i in ids} for name, t in zip(BOTH, (moved, table))}
        subject = Subject(tables, emulated=True)
        asked = Accuracy("plain", 40, 20.0, 1.0, "chosen for this", PLAN)
        monkeypatch.setattr(fixture, "CHUNK", 10)
        monkeypatch.setattr(fixture, "check_loads", lambda subject: None)
        monkeypatch.setattr(fixture, "file_digest", str)
        monkeypatch.setattr(fixture, "kept", lambda s, b, side, inputs, make: (make(), kept))
        monkeypatch.setattr(fixture, "Cards", OneCard)
        return Question(subject, asked, images_of, [0], whole).answer(), subject

    return run


BOTH = ("aie", "reference")


class OneCard:
    def __init__(self, subject, npus) -> None:
        self.subject = subject

    def detect(self, paths):
        return self.subject.runs.detect("aie", paths)


def test_a_good_device_is_asked_for_no_more_images_than_it_takes(ask):
    found, subject = ask(0.0)
    assert (found.last.verdict, found.last.images) == ("PASS", 20)
    assert subject.asked == [("aie", 10), ("reference", 10)] * 2
    assert found.seconds == pytest.approx(20 * 0.03) and found.kept == 0


def test_a_broken_device_is_asked_for_the_first_look_alone(ask):
    found, subject = ask(40.0)
    assert (found.last.verdict, found.last.images) == ("WORSE", 10)
    assert subject.asked == [("aie", 10), ("reference", 10)]


def test_each_look_ends_with_a_part_of_a_set_so_that_no_image_is_found_twice():
    chunk = fixture.CHUNK
    for contract in load_all().values():
        for asked in contract.accuracy:
            assert [n % chunk for n in asked.paired.looks] == [0] * len(asked.paired.looks)
            assert asked.images % chunk == 0


def test_the_error_rates_of_the_page_are_those_measured_of_the_contracts_plan():
    measured = json.loads((HOUSE / "golden/evidence/accuracy_looks.json").read_text())
    plan = CONTRACT.accuracy[0].paired
    assert measured["plan"] == {key: getattr(plan, key) for key in ("looks", "accept", "reject")}
    page = (HOUSE / "docs/verdict.md").read_text(encoding="utf-8")
    for row in page_rows(measured["devices"]):
        assert row in page


def test_all_images_are_one_flag_away(ask):
    found, subject = ask(0.0, whole=True)
    assert (found.last.verdict, found.last.images) == ("PASS", 40)
    assert found.decision.spent == pytest.approx((0.01, 0.01))


def test_what_came_from_the_cache_is_counted_and_recorded(ask):
    found, subject = ask(0.0, kept=True)
    assert found.kept == 20
    assert len(subject.hashes) == 4
    assert all(name.endswith(", from the cache") for name in subject.hashes)


def test_the_second_engine_has_the_last_word(ask, monkeypatch):
    monkeypatch.setattr(checks, "statistics", lambda matches: dict.fromkeys(checks.NAMES, 1.0))
    with pytest.raises(LabError, match="pycocotools and our engine differ"):
        ask(0.0)
