"""The bytes of golden data, exactly, and each word of its record."""

from __future__ import annotations

import datetime
import io
import zipfile

import numpy as np
import pytest

from plugins import store
from plugins.store import Producer, Store, StoreError

REFEREE = Producer("recipe-float64", "cpu", "x86_64", {"numpy": "2.0"}, {"bus.jpg": "ab"})


@pytest.fixture
def golden(tmp_path):
    return Store(tmp_path / "golden", reason="first record", commit="abc")


def test_bytes_are_kept_as_they_are(golden):
    assert store.encoded("a.bin", b"x\x00") == b"x\x00"
    golden.accept("s/a.bin", b"x\x00", producer=REFEREE)
    assert golden.read("s/a.bin") == b"x\x00"


@pytest.mark.parametrize(("name", "why"), [("a" * 5000, "File name too long"), ("", "Is a dir")])
def test_a_toml_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, why):
    with pytest.raises(StoreError, match=f"^{tmp_path / name}: cannot be read: {why}"):
        store.read_toml(tmp_path / name)


@pytest.mark.parametrize("use", [store.encoded, store.decoded])
def test_another_format_is_refused(use):
    with pytest.raises(StoreError, match=r"^a.txt: the format '.txt' is unknown; use .csv or"):
        use("a.txt", {} if use is store.encoded else b"")


def test_a_csv_has_nine_digits_of_a_float_and_all_of_an_integer():
    columns = {
        "f": np.array([0.1], np.float32),
        "h": np.array([0.5], np.float16),
        "i": np.array([-3], np.int32),
        "l": [2**40 + 1],
    }
    text = b"f:float32,h:float16,i:int32,l:int64\n0.100000001,0.5,-3,1099511627777\n"
    assert store.encoded("a.csv", columns) == text
    read = store.decoded("a.csv", text)
    assert {name: column.dtype.str[1:] for name, column in read.items()} == {
        "f": "f4", "h": "f2", "i": "i4", "l": "i8",
    }  # fmt: skip


@pytest.mark.parametrize("column", [np.zeros((1, 1), np.float32), np.float32(1), np.zeros(1, "u1")])
def test_a_csv_has_columns_of_known_numbers(column):
    with pytest.raises(StoreError, match="^column x: .* does not fit in a CSV$"):
        store.encoded("a.csv", {"x": column})


def test_a_csv_without_rows_keeps_its_types():
    empty = {"x": np.zeros(0, np.float16), "y": np.zeros(0, np.int32)}
    read = store.decoded("a.csv", store.encoded("a.csv", empty))
    assert [(column.dtype.str[1:], column.shape) for column in read.values()] == [
        ("f2", (0,)), ("i4", (0,)),
    ]  # fmt: skip


def test_an_npz_is_of_the_first_version_and_reads_no_pickle(tmp_path):
    content = store.encoded("a.npz", {"a": np.zeros(1)})
    assert b"\x93NUMPY\x01\x00" in content
    (member,) = zipfile.ZipFile(io.BytesIO(content)).infolist()
    assert (member.filename, member.date_time) == ("a.npy", (1980, 1, 1, 0, 0, 0))
    np.savez(tmp_path / "b.npz", a=np.array([object()]))
    with pytest.raises(ValueError, match="allow_pickle"):
        store.decoded("b.npz", (tmp_path / "b.npz").read_bytes())


def test_a_table_is_written_line_by_line():
    table = {
        "a_b-c": 1, "a b": "gr\u00fcn", "\u00fc": True, "day": datetime.date(2026, 1, 2),
        "f": 0.5, "l": [1, (2, 3)], "t": {"x": 1, "e": {}},
    }  # fmt: skip
    assert store.encoded("a.toml", table).decode("utf-8").splitlines() == [
        "a_b-c = 1", '"a b" = "gr\u00fcn"', '"\\u00fc" = true', "day = 2026-01-02",
        "f = 0.5", "l = [1, [2, 3]]", "", "[t]", "x = 1", "", "[t.e]",
    ]  # fmt: skip


def test_a_key_without_letters_is_quoted():
    assert store.encoded("a.toml", {"_": 1, "-": 2}) == b'"_" = 1\n"-" = 2\n'


@pytest.mark.parametrize("value", [None, object(), b"x"])
def test_a_table_holds_plain_values(value):
    with pytest.raises(StoreError, match="does not fit in a TOML file"):
        store.encoded("a.toml", {"x": value})


def test_a_record_says_who_why_and_when(golden, today):
    golden.accept("s/a.bin", b"x", producer=REFEREE)
    record = golden.manifest()["s/a.bin"]
    assert {name: value for name, value in record.items() if name != "sha256"} == {
        "reason": "first record",
        "date": today,
        "suite": "abc",
        "backend": "recipe-float64",
        "runtime": "cpu",
        "machine": "x86_64",
        "lane": "",
        "versions": {"numpy": "2.0"},
        "inputs": {"bus.jpg": "ab"},
    }


def test_a_manifest_has_its_schema_and_is_in_order():
    lines = store.manifest_text({"b": {"x": 1}, "a": {"x": 2}}).splitlines()
    assert lines == [
        "# Written by --update-golden; never by hand.", "schema = 1",
        "", "[file.a]", "x = 2", "", "[file.b]", "x = 1",
    ]  # fmt: skip


def test_accepting_and_updating_are_told_by_true_and_false(golden):
    assert golden.accept("s/a.bin", b"x", producer=REFEREE) is True
    assert golden.accept("s/a.bin", b"x", producer=REFEREE) is False
    assert golden.updating is True and Store(golden.root).updating is False


def test_strays_are_named_in_order_and_evidence_is_none(golden):
    for name in ("s/f", "s/b", "s/d", "s/a", "README.md", "evidence/x.json"):
        path = golden.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    cure = "is not in manifest.toml; review it, then run: make golden REASON='...'"
    assert golden.faults() == [f"{golden.root}/s/{name}: {cure}" for name in "abdf"]
