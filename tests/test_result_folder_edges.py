"""Result folders at their edges: each limit itself passes, a step beyond fails."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import result_files
from tests.test_outputs_checks import changed, good
from tests.training_records import failing


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, *good()[:3])
    return tmp_path


def write(folder, *arrays) -> None:
    for k, array in enumerate(arrays):
        (folder / f"a_{k}.bin").write_bytes(np.ascontiguousarray(array).tobytes())


def test_a_folder_may_be_named_by_text_and_must_be_one(folder):
    result_files.check_folder(str(folder), {"a": good()[:3]})
    failure = failing(result_files.check_folder, folder / "gone", {"a": good()[:3]})
    assert failure.actual == "0 files, 3 missing, 0 of no image"
    assert failure.worst == [f"missing: a_{k}.bin" for k in range(3)]


def test_files_of_no_image_are_listed_in_order(folder):
    names = [f"x{k}" for k in range(9)]
    for name in reversed(names):
        (folder / name).touch()
    failure = failing(result_files.check_folder, folder, {"a": good()[:3], "b": good()[:3]})
    assert failure.worst == [
        *(f"missing: b_{k}.bin" for k in range(3)),
        *(f"extra: {name}" for name in names),
    ]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:8] + b"\7" + data[9:], "other values"),
        (lambda data: data[:-4], "it is cut short"),
        (lambda data: data + b"\0" * 4, "it goes on after them"),
        (lambda data: b"\1" + data, "another length and other values"),
    ],
)
def test_bytes_that_are_no_known_mistake_are_described(folder, spoil, words):
    path = folder / "a_0.bin"
    path.write_bytes(spoil(path.read_bytes()))
    failure = failing(result_files.check_triple, folder, "a", *good()[:3])
    assert failure.what == f"a_0.bin does not hold the boxes: {words}"


@pytest.mark.parametrize(("k", "number"), [(0, 5), (0, 0), (1, 2), (2, 1)])
def test_the_first_number_that_differs_is_shown(folder, k, number):
    other = [part.copy() for part in good()[:3]]
    other[k].ravel()[number] += 1
    other[k].ravel()[-1] += 1
    write(folder, *other)
    failure = failing(result_files.check_triple, folder, "a", *good()[:3])
    assert failure.worst[0].startswith(f"number {number}: {other[k].ravel()[number]:.6g}, ")


STALE = {3: 4, 4: 1}  # in the rows of padding


def test_stale_labels_of_unused_rows_are_no_difference(folder):
    """The 310P's kernel leaves them, so that two runs of one image differ in them."""
    stale, plain = changed(1, STALE)[:3], good()[:3]
    result_files.check_triple(folder, "a", *stale)
    write(folder, *stale)
    result_files.check_triple(folder, "a", *plain)
    read = {name: part[None] for name, part in zip(result_files.PARTS, stale)}
    result_files.check_read_back(read, {"a": plain})
    result_files.check_read_back({**read, "labels": plain[1][None]}, {"a": stale})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda labels: labels[:-1],
        lambda labels: np.append(labels, [[0]], axis=0),
        lambda labels: labels.astype("<i4"),
        lambda labels: labels.astype("<f8"),
        lambda labels: labels.astype(">i8"),
        lambda labels: labels + (np.arange(5) == 2)[:, None],
    ],
)
def test_stale_labels_hide_nothing_else_of_a_file_of_labels(folder, spoil):
    boxes, labels, scores = changed(1, STALE)[:3]
    write(folder, boxes, spoil(labels), scores)
    failure = failing(result_files.check_triple, folder, "a", *good()[:3])
    assert failure.what.startswith("a_1.bin does not hold the labels")


def test_labels_are_of_unused_rows_only_where_the_file_says_so_too(folder):
    boxes, labels, scores = changed(2, {3: 0.03})[:3]
    write(folder, boxes, labels + (np.arange(5) == 3)[:, None], scores)
    failure = failing(result_files.check_folder, folder, {"a": good()[:3]})
    assert failure.what == "a_2.bin does not hold the scores: other values"


def test_a_label_of_0_is_a_label_like_any_other():
    boxes, labels, scores = good()[:3]
    found = {"boxes": boxes[None], "labels": labels[None] + 1, "scores": scores[None]}
    failing(result_files.check_read_back, found, {"a": (boxes, np.zeros_like(labels), scores)})


def test_what_is_read_back_is_what_was_written():
    results = {"a": good()[:3], "b": changed(0, lambda b: b + 1)[:3]}
    found = {
        name: np.stack([np.asarray(one[k]) for one in results.values()])
        for k, name in enumerate(result_files.PARTS)
    }
    result_files.check_read_back(found, results)
    for name in result_files.PARTS:
        other = {**found, name: found[name].copy()}
        other[name][1].ravel()[-3] += 1  # the last label of a detection
        failure = failing(result_files.check_read_back, other, results)
        assert failure.what == f"the {name} of b come back changed"
        squeezed = {**found, name: found[name][:, None]}
        failure = failing(result_files.check_read_back, squeezed, results)
        assert failure.what == f"the {name} of a come back changed"
