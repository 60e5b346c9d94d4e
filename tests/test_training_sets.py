"""The training to the target is on COCO as a whole, and the certificate tells on which annotations."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from fixtures import accuracy, training_target
from fixtures.training_plans import ImageFolder
from fixtures.training_target import whole_coco
from plugins.contracts.training import load_training
from plugins.drivers.cache import file_digest
from plugins.drivers.lab import Lab
from plugins.failure import CheckFailure, LabError

IDS = accuracy.CONTRACTS[accuracy.SHIPPED].category_ids
SIZES = {"val": 3, "train": 4}  # of the stand-in for COCO, and of the contracts that ask for it


def written(folder, split: str, images: int, ids=IDS, empty: int = 0) -> ImageFolder:
    """A split whose first images have an object each, and `empty` further ones have none."""
    entries = [{"id": k, "file_name": f"{k}.jpg", "width": 9, "height": 9} for k in range(images)]
    entries += [{**one, "id": 100 + one["id"]} for one in entries[:empty]]
    objects = [
        {"id": k + 1, "image_id": k, "category_id": ids[0], "area": 4.0, "bbox": [0, 0, 2, 2]}
        for k in range(images)
    ]
    path = folder / "annotations" / f"instances_{split}2017.json"
    for place in (path.parent, folder / f"{split}2017"):
        place.mkdir(parents=True, exist_ok=True)
    content = {"images": entries, "annotations": objects, "categories": [{"id": k} for k in ids]}
    path.write_text(json.dumps(content))
    for entry in entries:
        (folder / f"{split}2017" / entry["file_name"]).touch()
    return ImageFolder(path, folder / f"{split}2017")


@pytest.fixture
def lane(tmp_path, monkeypatch):
    """As much of a lane as tells which images there are: by default those that are asked for."""
    asked = SimpleNamespace(images=SIZES["val"])
    monkeypatch.setattr(training_target, "declared", lambda name, of_set: asked)
    splits = {split: written(tmp_path, split, count) for split, count in SIZES.items()}
    recipe = SimpleNamespace(images=SIZES["train"])
    lab = Lab(interpreters={}, artifacts=tmp_path, run=tmp_path)
    contract = SimpleNamespace(recipe=recipe)
    return SimpleNamespace(lab=lab, contract=contract, coco=splits.get, splits=splits)


def test_whole_sets_are_taken_and_their_annotations_recorded(lane, tmp_path):
    lane.splits["train"] = written(tmp_path, "train", SIZES["train"], empty=2)
    assert whole_coco(lane) == (lane.splits["train"], lane.splits["val"])
    assert lane.lab.hashes == {
        f"annotations of {split}2017": file_digest(lane.splits[split].annotations)
        for split in SIZES
    }


@pytest.mark.parametrize(
    ("split", "change", "told"),
    [
        ("val", {"images": 2}, "the set has another size"),
        ("val", {"images": 3, "ids": IDS[:1]}, "the annotations are of another set"),
        ("train", {"images": 3}, "the training set has another size"),
        ("train", {"images": 3, "empty": 1}, "the training set has another size"),
    ],
)
def test_a_part_of_coco_or_other_categories_are_refused_before_anything_is_trained(
    lane, tmp_path, split, change, told
):
    (tmp_path / "annotations" / f"instances_{split}2017.json").unlink()
    lane.splits[split] = written(tmp_path / "part", split, **change)
    with pytest.raises(CheckFailure) as refused:
        whole_coco(lane)
    assert refused.value.what == told
    assert str(lane.splits[split].annotations) in refused.value.actual


def test_what_is_asked_for_is_what_the_contracts_say_of_coco():
    assert accuracy.declared(accuracy.SHIPPED, "coco_val2017").images == 5000
    assert len(IDS) == 80 and load_training().recipe.images == 117266


def test_annotations_that_change_during_the_training_are_told(lane):
    whole_coco(lane)
    lane.splits["val"].annotations.write_text("{}")
    with pytest.raises(LabError, match="instances_val2017.json: changed during the run"):
        lane.lab.check_unchanged()


def test_the_certificate_tells_on_which_annotations_map_was_scored(lane, tmp_path):
    found = accuracy.recorded_set(lane.lab, "val2017", tmp_path)
    assert len(found.images) == SIZES["val"]
    assert lane.lab.hashes == {"annotations of val2017": file_digest(found.annotations)}
