"""Result triples and input files: what is written comes back, and what is wrong is named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plugins.checks import result_files as checks
from plugins.failure import CheckFailure

WORKERS = Path(__file__).resolve().parents[1] / "plugins" / "workers"
with mock.patch.object(sys, "path", [str(WORKERS), *sys.path]):
    result_files = importlib.import_module("result_files")  # by its bare name, as in a worker

STEM = "000000000139"


def detections(valid=30, rows=100):
    """A plausible result: `valid` detections in descending order, then padding rows of zeros."""
    random = np.random.RandomState(1)
    boxes, labels = np.zeros((rows, 4), np.float32), np.zeros((rows, 1), np.int64)
    scores = np.zeros(rows, np.float32)
    corners = random.randint(0, 2000, size=(valid, 2)) / 2
    boxes[:valid] = np.hstack([corners, corners + random.randint(1, 300, size=(valid, 2))])
    labels[:valid] = random.randint(0, 80, size=(valid, 1))
    scores[:valid] = np.sort(random.randint(1, 1000, size=valid))[::-1] / 1000
    return boxes, labels, scores


@pytest.fixture
def folder(tmp_path):
    return result_files.create(tmp_path / "result")


@pytest.fixture
def written(folder):
    result_files.write(folder, STEM, *detections())
    return folder


# --- round trips -----------------------------------------------------------------------------


@given(data=st.data(), rows=st.integers(1, 120))
def test_what_is_written_is_read_back_bit_by_bit(tmp_path_factory, data, rows):
    folder = tmp_path_factory.mktemp("result")
    triple = [
        data.draw(arrays.arrays(dtype, (rows, *trail)))
        for dtype, trail in (("<f4", (4,)), ("<i8", (1,)), ("<f4", ()))
    ]
    result_files.write(folder, STEM, *triple, detections=rows)
    back = result_files.read(folder, STEM, detections=rows)
    assert [x.tobytes() for x in back] == [x.tobytes() for x in triple]
    assert [(x.dtype, x.shape) for x in back] == [(x.dtype, x.shape) for x in triple]
    checks.check_folder(folder, {STEM: triple})


def test_the_files_have_the_sources_names_and_lengths(written):
    assert {path.name: path.stat().st_size for path in written.iterdir()} == {
        f"{STEM}_0.bin": 1600,
        f"{STEM}_1.bin": 800,
        f"{STEM}_2.bin": 400,
    }


def test_an_array_of_any_memory_order_is_written_in_c_order(folder):
    boxes, labels, scores = detections()
    result_files.write(folder, STEM, np.asfortranarray(boxes), labels, scores[::-1][::-1])
    checks.check_folder(folder, {STEM: detections()})


def test_an_image_written_twice_holds_the_second_result(written):
    result_files.write(written, STEM, *detections(valid=7))
    checks.check_folder(written, {STEM: detections(valid=7)})


# --- folders ---------------------------------------------------------------------------------


def test_a_new_folder_can_be_entered_by_its_owner(folder):
    assert folder.stat().st_mode & 0o700 == 0o700


def test_a_folder_with_an_earlier_runs_files_is_refused(written):
    with pytest.raises(result_files.Refusal, match="is not empty; give a new one"):
        result_files.create(written)


def test_a_folder_with_every_triple_is_complete(written):
    result_files.write(written, "2", *detections())
    result_files.complete(written, [STEM, "2"])


def test_a_missing_result_is_named(written):
    (written / f"{STEM}_1.bin").unlink()
    with pytest.raises(result_files.Refusal, match=f"1 of 3 result files .*{STEM}_1.bin"):
        result_files.complete(written, [STEM])


@pytest.mark.parametrize("name", ["7_0.bin", "notes.txt", f"{STEM}.bin", f".{STEM}_0.bin.a1"])
def test_a_file_that_belongs_to_no_image_is_named(written, name):
    (written / name).write_bytes(b"x")
    with pytest.raises(result_files.Refusal, match=f"1 files belong to no image.*{name}"):
        result_files.complete(written, [STEM])


def test_a_write_that_fails_leaves_the_old_file_whole(written, monkeypatch):
    monkeypatch.setattr(result_files.os, "replace", mock.Mock(side_effect=OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        result_files.write(written, STEM, *detections(valid=7))
    checks.check_triple(written, STEM, *detections())


# --- bad arrays and files --------------------------------------------------------------------


@pytest.mark.parametrize(
    "k, change, named",
    [
        (0, lambda x: x.astype(np.float16), "boxes: got float16"),
        (0, lambda x: x.T, r"boxes: got float32 \(4, 100\)"),
        (0, lambda x: x.astype(">f4"), "boxes: got >f4"),
        (1, lambda x: x.astype(np.int32), "labels: got int32"),
        (1, lambda x: x.reshape(-1), r"labels: got int64 \(100,\)"),
        (1, lambda x: x.astype(np.float32), "labels: got float32"),
        (2, lambda x: x.reshape(-1, 1), r"scores: got float32 \(100, 1\)"),
        (2, lambda x: x[:99], r"scores: got float32 \(99,\)"),
    ],
)
def test_an_array_of_another_kind_is_refused_and_nothing_is_written(folder, k, change, named):
    triple = list(detections())
    triple[k] = change(triple[k])
    with pytest.raises(result_files.Refusal, match=named):
        result_files.write(folder, STEM, *triple)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("stem", ["", "a/b", "../a", "/a"])
def test_a_stem_that_leaves_the_folder_is_refused(folder, stem):
    with pytest.raises(result_files.Refusal, match="no plain file name"):
        result_files.write(folder, stem, *detections())


@pytest.mark.parametrize(
    "k, change, hint",
    [
        (0, lambda data: data[:-4], "cut short"),
        (0, lambda data: data + b"\0", "too long"),
        (0, lambda data: data[:800], "float16"),
        (1, lambda data: data[:400], "int32"),
        (2, lambda data: data * 2, "float64"),
        (2, lambda data: b"", "cut short"),
    ],
)
def test_a_file_of_another_length_is_named_with_what_it_may_be(written, k, change, hint):
    path = written / f"{STEM}_{k}.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(result_files.Refusal, match=f"{path.name}.*{hint}"):
        result_files.read(written, STEM)


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_swapped_files_are_called_swapped(written, order):
    data = [(written / f"{STEM}_{k}.bin").read_bytes() for k in order]
    for k, one in enumerate(data):
        (written / f"{STEM}_{k}.bin").write_bytes(one)
    with pytest.raises(result_files.Refusal, match="the files are swapped"):
        result_files.read(written, STEM)


def test_a_missing_file_is_named(written):
    with pytest.raises(result_files.Refusal, match="gone_0.bin: the file cannot be read"):
        result_files.read(written, "gone")


# --- the judge bites -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "k, change, named",
    [
        (0, lambda b, n, s: b.T.tobytes(), "does not hold the boxes: it is transposed"),
        (0, lambda b, n, s: b.astype(">f4").tobytes(), "it is big-endian"),
        (0, lambda b, n, s: b.astype("<f2").tobytes(), "it is written as float16"),
        (0, lambda b, n, s: s.tobytes(), "it holds the scores"),
        (1, lambda b, n, s: n.astype("<i4").tobytes(), "the labels: it is written as int32"),
        (1, lambda b, n, s: n.astype("<f4").tobytes(), "it is written as float32"),
        (2, lambda b, n, s: n.tobytes(), "does not hold the scores: it holds the labels"),
        (2, lambda b, n, s: s[:50].tobytes(), "it is cut short"),
        (2, lambda b, n, s: s.tobytes() + b"\0", "it goes on after them"),
        (2, lambda b, n, s: s[::-1].tobytes(), "other values"),
    ],
)
def test_a_file_with_something_else_is_called_by_its_name(written, k, change, named):
    (written / f"{STEM}_{k}.bin").write_bytes(change(*detections()))
    with pytest.raises(CheckFailure, match=f"{STEM}_{k}.bin .*{named}"):
        checks.check_folder(written, {STEM: detections()})


def test_one_changed_bit_is_found_and_shown(written):
    boxes, labels, scores = detections()
    scores[3] = np.nextafter(scores[3], 1, dtype=np.float32)
    with pytest.raises(CheckFailure, match="other values") as failure:
        checks.check_folder(written, {STEM: (boxes, labels, scores)})
    assert failure.value.worst[0].startswith("number 3: ")


@pytest.mark.parametrize("stems", [[], [STEM, "2"], ["2"]])
def test_a_folder_of_other_images_is_found(written, stems):
    with pytest.raises(CheckFailure, match="images of this run, each once"):
        checks.check_folder(written, {stem: detections() for stem in stems})
