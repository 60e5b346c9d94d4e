"""The real trainer, given what cannot be trained on, or struck in the middle, says one clear sentence."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fixtures.training_plans import ImageFolder, Plans
from fixtures.training_runs import unfit
from fixtures.training_set import write_training_set
from plugins.contracts.training import load_training
from plugins.drivers.training import Run
from plugins.drivers.training_records import Rank

HOUSE = Path(__file__).resolve().parent.parent
COUNT, BATCH = 40, 4
STALL_S = 4.0
BACKBONES = ("another", "nan", "cut", "text", "list", "tensor", "nested")


class Trials:
    """The small set in files, changed copies of it, and plans that train on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, contract = folder, load_training()
        path = write_training_set(folder / "set", "train", COUNT, scale=0.2)
        self.data = ImageFolder(path, folder / "set" / "train2017")
        self.content = json.loads(path.read_text())
        self.plans = Plans(contract, contract.subject_of("retinanet_stand_in"), "cpu")

    def plan(self, data=None, **changes) -> dict:
        """Three iterations on images, checkpointed after the second where asked for."""
        plan = self.plans.short(data or self.data, **{"iterations": 3, "batch": BATCH, **changes})
        return {**plan, "probe": {"steps": 0, "samples": 1, "hash_every": 0}}

    def look(self, checkpoint: str) -> dict:
        """An evaluation of a checkpoint of two iterations, and no training; seven images."""
        evaluate = {**self.plans.evaluation(self.data, [2], 7), "batch": 1}  # padded alike
        return self.plan(resume=checkpoint, iterations=2, evaluate=evaluate)

    def edited(self, name: str, change) -> ImageFolder:
        """The set with a changed instances file."""
        content = copy.deepcopy(self.content)
        changed = change(content)
        text = changed if isinstance(changed, str) else json.dumps(content)
        path = self.folder / f"{name}.json"
        path.write_text(text)
        return ImageFolder(path, self.data.images)

    def with_image(self, name: str, content: bytes | None) -> ImageFolder:
        """The set with another file in place of its first image's, or with none."""
        images = self.folder / name
        images.mkdir()
        for path in self.data.images.iterdir():
            (images / path.name).symlink_to(path)
        first = images / self.content["images"][0]["file_name"]
        first.unlink()
        if content is not None:
            first.write_bytes(content)
        return ImageFolder(self.data.annotations, images)

    def backbone(self, name: str) -> dict:
        """The source's network, on a file of weights that the trials' program writes."""
        plan = self.plan()
        real = {"name": "retinanet_resnet50_fpn", "classes": 91, "trainable_layers": 3}
        plan["network"].update(real, backbone=str(self.folder / f"{name}.pth"))
        return {"plan": plan}


def _trials(at: Trials) -> dict:
    first = at.content["images"][0]
    photo = (at.data.images / first["file_name"]).read_bytes()
    save = {"path": str(at.folder / "kept" / "checkpoint"), "every": 2}
    text = json.dumps(at.content)
    cut = at.folder / "cut.checkpoint"
    cut.write_bytes(b"PK\x03\x04" + b"\0" * 999)

    poisoned = at.plan(poison={"rank": 1, "iteration": 1}, timing={"warmup": 0, "block": 2})

    def strange(annotation: int, **values):
        return lambda content: content["annotations"][annotation].update(values)

    return {
        "too_few": {"plan": at.plan(batch=32), "per_node": 2},
        "no_image_of_it": {"plan": at.plan(at.edited("orphan", strange(3, image_id=77)))},
        "label_outside": {"plan": at.plan(at.edited("label", strange(3, category_id=8)))},
        "cut_json": {"plan": at.plan(at.edited("cut", lambda content: text[: len(text) // 2]))},
        "image_missing": {"plan": at.plan(at.with_image("missing", None))},
        "image_cut": {
            "plan": at.plan(at.with_image("cut", photo[: len(photo) // 2]), iterations=9)
        },
        "saved": {"plan": at.plan(checkpoint=save, iterations=2)},
        "full_disk": {
            "plan": at.plan(checkpoint=save, iterations=4, seed=5),
            "seed": "full_disk",
            "per_node": 2,
        },
        "seen_by_one": {"plan": at.look(save["path"]), "seed": "reports_everything"},
        "seen_by_two": {
            "plan": at.look(save["path"]),
            "seed": "reports_everything",
            "per_node": 2,
        },
        "checkpoint_cut": {"plan": at.plan(resume=str(cut))},
        "checkpoint_missing": {"plan": at.plan(resume=str(at.folder / "nowhere"))},
        **{f"backbone_{name}": at.backbone(name) for name in BACKBONES},
        "killed": {"plan": at.plan(), "seed": "killed", "per_node": 2},
        "hangs": {
            "plan": at.plan(),
            "seed": "hangs_in_its_data",
            "per_node": 2,
            "stall_s": STALL_S,
        },
        "raises": {"plan": at.plan(), "seed": "raises", "per_node": 2},
        "poisoned": {"plan": poisoned, "seed": "slow_to_name", "per_node": 2},
        "killed_naming": {"plan": poisoned, "seed": "killed_naming", "per_node": 2},
    }


@pytest.fixture(scope="module")
def at(tmp_path_factory) -> Trials:
    return Trials(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def ends(at) -> dict:
    """How each trial ended, by name."""
    job = {"folder": str(at.folder), "out": str(at.folder / "ends.json"), "trials": _trials(at)}
    (at.folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-m", "tests.training_trials", str(at.folder / "job.json")],
        cwd=HOUSE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((at.folder / "ends.json").read_text())


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("too_few", "refused", ["39 images", "fewer than one global batch", "64", "smaller batch"]),
        ("no_image_of_it", "refused", ["orphan.json", "annotations[3].image_id is 77", "drop it"]),
        ("label_outside", "refused", ["label.json", "annotations[3].category_id is 8", "1..7"]),
        ("cut_json", "refused", ["cut.json", "not JSON", "cut short"]),
        ("image_missing", "refused", ["missing/", "no such file", "fetch the image"]),
        ("image_cut", "refused", ["cut/", "cannot be decoded", "fetch it again"]),
        ("checkpoint_cut", "refused", ["cut.checkpoint", "no whole checkpoint", "delete it"]),
        ("checkpoint_missing", "refused", ["nowhere", "no such checkpoint", "start without it"]),
        ("backbone_text", "refused", ["text.pth", "no file of ResNet-50 weights", "--backbone"]),
        ("backbone_cut", "refused", ["cut.pth", "no file of ResNet-50 weights", "--backbone"]),
        ("backbone_another", "refused", ["another.pth", "lacks layer1.0", "resnet50-0676ba61.pth"]),
        ("backbone_nan", "refused", ["nan.pth", "non-finite values in layer4.2.conv3.weight"]),
        ("backbone_list", "refused", ["list.pth", "no dictionary of tensors", "--backbone"]),
        ("backbone_tensor", "refused", ["tensor.pth", "no dictionary of tensors", "--backbone"]),
        ("backbone_nested", "refused", ["nested.pth", "no dictionary of tensors", "--backbone"]),
        ("full_disk", "refused", ["checkpoint", "cannot be written", "make room"]),
        (
            "killed",
            "died",
            ["rank 1 of 2 ended with SIGKILL", "iteration 1 (waiting for its batch)"],
        ),
        ("hangs", "hung", ["rank 1 of 2", "no progress for 4 s", "at iteration 1"]),
        ("raises", "died", ["rank 1 of 2 failed at iteration 1", "ZeroDivisionError"]),
        ("killed_naming", "died", ["rank 1 of 2 ended with SIGKILL", "at iteration 1"]),
        ("poisoned", "nonfinite", ["rank 1", "not finite", "iteration 1", "images"]),
    ],
)
def test_what_cannot_go_on_is_said_in_one_sentence(ends, name, status, words):
    found = ends[name]
    assert found["status"] == status, found
    assert [word for word in words if word not in found["sentence"]] == [], found["sentence"]
    assert "\n" not in found["sentence"] and "Traceback" not in found["sentence"]


def test_a_hang_is_found_within_its_limit(ends):
    assert STALL_S <= ends["hangs"]["seconds"] <= STALL_S + 60


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_of_the_new(ends, at):
    assert ends["saved"]["status"] == "finished", ends["saved"]
    assert [path.name for path in (at.folder / "kept").iterdir()] == ["checkpoint"]
    assert ends["full_disk"]["saved"] == ends["saved"]["saved"] != ""


def test_no_run_leaves_drafts_behind(ends, at):
    assert list(at.folder.rglob("*partial*")) == []


def test_a_poisoned_image_is_named_and_no_other(ends, at):
    lines = (at.folder / "poisoned" / "rank1.events").read_text().splitlines()
    named = next(e for e in map(json.loads, lines) if e["event"] == "NONFINITE")
    assert len(named["images"]) == 1 and named["iteration"] == 1
    assert named["images"][0] in [entry["id"] for entry in at.content["images"]]


def test_two_ranks_find_what_one_finds_and_each_image_once(ends, at):
    """After all the trouble in between, in the checkpoint that was left alone."""
    tables = []
    for name in ("seen_by_one", "seen_by_two"):
        assert ends[name]["status"] == "finished", ends[name]
        with np.load(at.folder / name / "rank0.npz") as arrays:
            tables.append(arrays["eval2_table"])
    assert len(tables[0]) and np.array_equal(*tables)
    rows = [tuple(row) for row in tables[1]]
    assert len(set(rows)) == len(rows) and len(set(tables[1][:, 0])) <= 7


def test_an_evaluation_gives_a_sign_of_life_after_each_batch(ends, at):
    """One when it begins; of seven images, rank 0 looks at four."""
    told = [(at.folder / "seen_by_two" / f"rank{k}.events").read_text() for k in range(2)]
    assert [text.count('"EVALUATE"') for text in told] == [1 + 4, 1 + 3]


@pytest.mark.parametrize(
    ("events", "skipped"),
    [
        ([{"event": "REFUSED", "unfit": True}], True),
        ([{"event": "REFUSED", "unfit": False}], False),
        ([{"event": "NONFINITE"}], False),
        ([], False),
    ],
)
def test_only_what_the_machine_cannot_do_is_skipped(events, skipped, tmp_path):
    run = Run("refused", "no", tmp_path, 1.0, [Rank(0, tmp_path, {}, events)], 1)
    assert unfit(run) is skipped
