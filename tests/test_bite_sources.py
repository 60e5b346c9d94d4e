"""The table of seeded source faults: each piece of text that one replaces still stands where it says."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.bite.source import FAULTS, GOOD, LAYERS, SEEDS, words
from tests.bite.source_house import HOUSE, Copy, Edit, Seed

EVERY = [one for table in (SEEDS, GOOD) for some in table.values() for one in some]


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.fault.name)
def test_each_piece_of_source_stands_where_a_fault_replaces_it(one: Seed):
    for file in {edit.file for edit in one.edits}:
        text = (HOUSE / file).read_text(encoding="utf-8")
        for edit in one.edits:
            text = edit.apply(text) if edit.file == file else text
        assert not file.endswith(".py") or ast.parse(text)


def test_names_are_one_of_a_kind():
    assert [name for name, n in Counter(one.fault.name for one in EVERY).items() if n > 1] == []


def test_each_layer_has_faults_and_chapters_that_exist():
    assert list(FAULTS) == list(LAYERS)
    assert all(FAULTS.values())
    for layer in LAYERS:
        files = [word for word in words(layer) if word.endswith(".py")]
        assert files
        assert all((HOUSE / file).is_file() for file in files)


def test_each_fault_is_expected_somewhere_or_says_why_not():
    for one in EVERY[: sum(map(len, FAULTS.values()))]:
        assert bool(one.fault.missed) or (one.fault.clause and one.fault.words)


def test_a_piece_that_has_moved_is_noticed():
    with pytest.raises(ValueError, match="0 times"):
        Edit("a.py", "was here", "is there").apply("somewhere else")


def test_a_copy_of_the_house_is_changed_and_made_whole_again(tmp_path):
    copy = Copy(tmp_path)
    copy.make()
    edits = SEEDS["images"][0].edits
    file = tmp_path / edits[0].file
    before = file.read_bytes()
    copy.plant(edits)
    assert edits[0].new.encode() in file.read_bytes() != before
    copy.weed(edits)
    assert file.read_bytes() == before == (HOUSE / edits[0].file).read_bytes()
