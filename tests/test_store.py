"""Golden data: read only as it was accepted, written only by a referee, the same bytes anywhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugins import store
from plugins.store import Producer, Store, StoreError

REFEREE = Producer("recipe-float64", "cpu", "x86_64", {"numpy": "2.0"}, {"bus.jpg": "ab" * 32})
NAME = "retinanet_shapes/bus/detections.csv"
COLUMNS = {
    "label": np.array([3, 1], np.int64),
    "score": np.array([0.1, 1 / 3], np.float32),
}


@pytest.fixture
def golden(tmp_path):
    """An empty golden folder, open for writing."""
    return Store(tmp_path / "golden", reason="first record", commit="abc")


def test_what_was_accepted_is_read_back_exactly(golden):
    assert golden.accept(NAME, COLUMNS, producer=REFEREE)
    read = Store(golden.root).arrays(NAME)
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(read[name], column, strict=True)


def test_provenance_is_written_beside_the_hash(golden):
    golden.accept(NAME, COLUMNS, producer=REFEREE)
    record = golden.manifest()[NAME]
    assert record["reason"] == "first record"
    assert record["versions"] == {"numpy": "2.0"}
    assert record["inputs"] == {"bus.jpg": "ab" * 32}
    assert record["suite"] == "abc"


def test_only_what_differs_is_rewritten(golden):
    golden.accept(NAME, COLUMNS, producer=REFEREE)
    later = Store(golden.root, reason="again")
    assert not later.accept(NAME, COLUMNS, producer=REFEREE)
    assert later.accept(NAME, {**COLUMNS, "label": np.array([3, 2])}, producer=REFEREE)
    assert later.rewritten == [NAME]
    assert later.manifest()[NAME]["reason"] == "again"


def test_a_missing_file_says_how_to_make_it(golden):
    with pytest.raises(
        StoreError, match=r"detections\.csv: there is no such .* make golden REASON"
    ):
        golden.read(NAME)


def test_a_tampered_file_is_refused(golden):
    golden.accept(NAME, COLUMNS, producer=REFEREE)
    golden.path(NAME).write_bytes(golden.path(NAME).read_bytes().replace(b"0.1", b"0.2"))
    with pytest.raises(StoreError, match="has another sha256 than manifest.toml records"):
        golden.read(NAME)


def test_a_file_that_nobody_accepted_is_refused_and_found(golden):
    golden.accept(NAME, COLUMNS, producer=REFEREE)
    stray = "retinanet_shapes/bus/stray.csv"
    golden.path(stray).write_bytes(b"label:int64\n")
    with pytest.raises(StoreError, match="is not in manifest.toml, so nobody accepted it"):
        golden.read(stray)
    assert [fault for fault in golden.faults() if "stray" in fault]


def test_faults_name_every_lost_file(golden):
    golden.accept(NAME, COLUMNS, producer=REFEREE)
    assert golden.faults() == []
    golden.path(NAME).unlink()
    assert "there is no such golden file" in golden.faults()[0]


def test_without_a_reason_nothing_is_written(golden):
    with pytest.raises(StoreError, match="written by --update-golden REASON alone"):
        Store(golden.root).accept(NAME, COLUMNS, producer=REFEREE)
    assert not golden.root.exists()


@pytest.mark.parametrize("backend", ["aie", "reference"])
def test_the_subject_is_refused_as_its_own_referee(golden, backend):
    subject = dataclasses.replace(REFEREE, backend=backend)
    with pytest.raises(StoreError, match=f"{backend} is under test and cannot write its own truth"):
        golden.accept(NAME, COLUMNS, producer=subject)


@pytest.mark.parametrize(
    ("lane", "runtime", "accepted"),
    [
        ("npu", "emulated 310P3 (torch_aie emulator)", False),
        ("npu", "cpu", False),
        ("npu", "Ascend310P3 (torch_aie 6.3.rc2)", True),
        ("a100", "cpu (stand-in)", False),
        ("a100", "NVIDIA H200 (not an A100)", True),
        ("tpu", "cpu", False),
    ],
)
def test_a_baseline_is_written_by_the_hardware_alone(golden, lane, runtime, accepted):
    producer = Producer("aie", runtime, "class", lane=lane)
    name = "retinanet_r50_fpn_3x/throughput/class.toml"
    if accepted:
        assert golden.accept(name, {"fps": 19.9}, producer=producer)
    else:
        with pytest.raises(StoreError, match="cannot write a baseline"):
            golden.accept(name, {"fps": 19.9}, producer=producer)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x/y.csv", "a/../../b.csv", "manifest.toml"])
def test_a_name_cannot_leave_the_folder(golden, name):
    with pytest.raises(StoreError, match="is no golden name"):
        golden.accept(name, b"x", producer=REFEREE)


@given(st.lists(st.floats(width=32, allow_nan=False)))
@example([0.121014155])  # needs all nine digits
def test_a_csv_holds_every_float32_exactly(values):
    column = np.array(values, np.float32)
    read = store.decoded("a.csv", store.encoded("a.csv", {"x": column}))["x"]
    np.testing.assert_array_equal(read, column, strict=True)


def test_a_csv_refuses_what_it_cannot_hold():
    with pytest.raises(StoreError, match="column x: float64"):
        store.encoded("a.csv", {"x": np.zeros(3)})
    with pytest.raises(StoreError, match="differ in length"):
        store.encoded("a.csv", {"x": np.zeros(3, np.float32), "y": np.zeros(2, np.float32)})


def test_an_npz_has_the_same_bytes_whenever_and_in_whatever_order(monkeypatch):
    first = store.encoded("a.npz", {"a": np.zeros(2, np.float16), "b": np.eye(2)})
    monkeypatch.setattr("time.time", lambda: 0)
    assert store.encoded("a.npz", {"b": np.eye(2), "a": np.zeros(2, np.float16)}) == first
    assert store.decoded("a.npz", first)["a"].dtype == np.float16


def test_an_npz_refuses_pickles():
    with pytest.raises(ValueError, match="pickle|Object arrays"):
        store.encoded("a.npz", {"a": np.array([object()])})


def test_a_table_is_read_back_as_it_was_written(golden):
    table = {
        "fps": 19.9,
        "rounds": [1, 2.5, "x"],
        "ok": True,
        "a b": {"c": {"d.e": "ü\n\"'\\"}, "empty": {}},
    }
    golden.accept("s/t.toml", table, producer=REFEREE)
    assert golden.table("s/t.toml") == table


def test_the_golden_data_in_the_house_is_whole():
    from tests.lab import HOUSE

    assert Store(HOUSE / "golden").faults() == []
