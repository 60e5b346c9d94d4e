"""Result folders at their edges: each limit itself passes, a step beyond fails."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.checks import result_files
from tests.test_outputs_checks import CLASSES, changed, good
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


def values(outputs: list) -> None:
    result_files.check_values(*outputs[:3], classes=CLASSES)


def test_lists_of_values_are_judged_as_arrays_and_every_limit_is_allowed():
    values([part.tolist() for part in good()])
    values(changed(2, {0: 1.0}))
    values(changed(0, {0: [3, 4, 3, 4]}))
    values(changed(2, lambda s: s[:, None]))
    values(changed(0, {3: [9, 9, 1, 1]}))  # a row of padding


@pytest.mark.parametrize(
    ("index", "change", "what"),
    [
        (2, {0: 1.001}, "_2 does not hold scores"),
        (2, {4: -0.1}, "_2 does not hold scores"),
        (2, {1: 0.95}, "the scores in _2 are not in descending order"),
        (1, {3: CLASSES}, "_1 does not hold labels"),
        (1, {3: -1}, "_1 does not hold labels"),
        (0, {4: np.nan}, "_0 holds numbers that are not finite"),
        (0, {0: [41, 50, 40, 90]}, "_0 does not hold boxes"),
        (0, {0: [3, 91, 40, 90]}, "_0 does not hold boxes"),
        (0, lambda b: b.T.copy(), "the boxes in _0 are laid out coordinate-first"),
    ],
)
def test_values_that_are_others_are_named_by_their_file(index, change, what):
    assert failing(values, changed(index, change)).what == what


def test_what_is_read_back_is_what_was_written():
    results = {"a": good()[:3], "b": changed(0, lambda b: b + 1)[:3]}
    found = {
        name: np.stack([np.asarray(one[k]) for one in results.values()])
        for k, name in enumerate(result_files.PARTS)
    }
    result_files.check_read_back(found, results)
    for name in result_files.PARTS:
        other = {**found, name: found[name].copy()}
        other[name][1].ravel()[-1] += 1
        failure = failing(result_files.check_read_back, other, results)
        assert failure.what == f"the {name} of b come back changed"
        squeezed = {**found, name: found[name][:, None]}
        failure = failing(result_files.check_read_back, squeezed, results)
        assert failure.what == f"the {name} of a come back changed"
