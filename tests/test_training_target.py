"""Training to a target: epoch by epoch, over a kill, until the score crosses it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fixtures import training_target
from fixtures.training_plans import ImageFolder, Plans
from fixtures.training_set import write_training_set
from fixtures.training_target import scored, train_to, training_key
from plugins import capability
from plugins.contracts.training import load_training
from plugins.drivers import cache
from plugins.drivers.training import launch
from plugins.failure import LabError
from plugins.training_device import TrainingDevice

PAGES = Path(__file__).resolve().parent.parent / "docs" / "ci"
LENGTH, TARGET = 10, 0.9  # iterations an epoch; mAP


@pytest.fixture(scope="module")
def held_out(tmp_path_factory) -> ImageFolder:
    folder = tmp_path_factory.mktemp("held_out")
    return ImageFolder(write_training_set(folder, "val", 8, scale=0.2), folder / "val2017")


class Trainer:
    """Stands in for a launch: each epoch finds another share of the objects, exactly.

    `killed_in`: the epoch in which it dies once, with its checkpoint saved.
    """

    def __init__(self, held_out: ImageFolder, shares, killed_in: int = -1) -> None:
        self.content = json.loads(held_out.annotations.read_text())
        self.shares, self.killed_in, self.plans = shares, killed_in, []

    def __call__(self, plan: dict) -> tuple[np.ndarray, float]:
        self.plans.append(plan)
        epoch = plan["iterations"] // LENGTH - 1
        open(plan["checkpoint"]["path"], "w").close()
        if epoch == self.killed_in:
            self.killed_in = -1
            raise KeyboardInterrupt
        return self._table(self.shares[epoch]), 60.0

    def _table(self, share: float) -> np.ndarray:
        objects = [a for a in self.content["annotations"] if not a["iscrowd"]]
        rows = [
            [a["image_id"], *a["bbox"], 0.9, a["category_id"]]
            for k, a in enumerate(objects)
            if k < share * len(objects)
        ]
        return np.array(rows, float).reshape(-1, 7)


def trained(trainer, held_out, folder, epochs=9) -> list:
    plan = {"epoch_iterations": LENGTH, "evaluate": {"batch": 4}, "network": "any"}
    return train_to(TARGET, epochs, plan, held_out, folder, trainer)


def test_it_stops_at_the_crossing_and_keeps_the_whole_curve(held_out, tmp_path):
    trainer = Trainer(held_out, [0.0, 0.5, 1.0, 1.0])
    launches = trained(trainer, held_out, tmp_path / "run")
    curve = scored(launches)
    assert [one["epoch"] for one in curve] == [0, 1, 2]
    assert curve[0]["map"] == 0 < curve[1]["map"] < TARGET <= curve[2]["map"] == pytest.approx(1)
    assert json.loads((tmp_path / "run" / "launches.json").read_text()) == launches == curve
    assert [plan["iterations"] for plan in trainer.plans] == [10, 20, 30]
    assert [plan["evaluate"]["at"] for plan in trainer.plans] == [[10], [20], [30]]


def test_images_that_could_not_be_scored_are_refused_before_the_first_epoch(held_out, tmp_path):
    content = json.loads(held_out.annotations.read_text())
    del content["annotations"][3]["area"]
    (tmp_path / "set.json").write_text(json.dumps(content))
    poor = ImageFolder(tmp_path / "set.json", held_out.images)
    trainer = Trainer(held_out, [1.0])
    with pytest.raises(LabError, match=r"annotations\[3\]: area is missing"):
        trained(trainer, poor, tmp_path / "run")
    assert trainer.plans == []


def test_only_the_first_epoch_begins_from_nothing(held_out, tmp_path):
    trainer = Trainer(held_out, [0.0, 0.0])
    trained(trainer, held_out, tmp_path, epochs=2)
    saved = trainer.plans[0]["checkpoint"]["path"]
    assert [plan["resume"] for plan in trainer.plans] == [None, saved]


def test_a_killed_training_goes_on_in_the_epoch_that_it_lost(held_out, tmp_path):
    trainer = Trainer(held_out, [0.0, 0.5, 1.0], killed_in=1)
    with pytest.raises(KeyboardInterrupt):
        trained(trainer, held_out, tmp_path)
    launches = trained(trainer, held_out, tmp_path)
    assert [one["epoch"] for one in scored(launches)] == [0, 1, 2]
    assert [one["epoch"] for one in launches] == [0, 1, 1, 2]
    assert [plan["iterations"] for plan in trainer.plans] == [10, 20, 20, 30]
    assert trainer.plans[2]["resume"] == trainer.plans[0]["checkpoint"]["path"]


def test_the_seconds_of_a_killed_launch_count_until_its_last_sign_of_life(held_out, tmp_path):
    trainer = Trainer(held_out, [0.0, 1.0], killed_in=1)
    with pytest.raises(KeyboardInterrupt):
        trained(trainer, held_out, tmp_path)
    begun = (tmp_path / "launches.json").stat().st_mtime
    os.utime(tmp_path / "checkpoint", (begun + 40, begun + 40))
    seconds = [one["seconds"] for one in trained(trainer, held_out, tmp_path)]
    assert seconds == [60, pytest.approx(40, abs=0.01), 60]


def test_a_training_that_ended_is_no_result_of_today_and_is_trained_again(held_out, tmp_path):
    earlier = trained(Trainer(held_out, [0.5, 1.0]), held_out, tmp_path)
    again = Trainer(held_out, [1.0])
    launches = trained(again, held_out, tmp_path)
    assert len(earlier) == 2 and len(launches) == len(again.plans) == 1
    assert again.plans[0]["resume"] is None


def lane_on(name: str = "NVIDIA A100-SXM4-40GB", count: int = 1, torch: str = "2.11.0"):
    """As much of a lane as decides what a training may go on with."""
    found = SimpleNamespace(modules=lambda role: {"torch": {"origin": "", "version": torch}})
    config = SimpleNamespace(stash={capability.KEY: found})
    return SimpleNamespace(config=config, device=TrainingDevice("cuda", count, name, 40, "sm_80"))


@pytest.mark.parametrize(
    "other", [{"name": "NVIDIA H200"}, {"count": 2}, {"torch": "2.0.1+cu117"}], ids=str
)
def test_another_card_or_torch_does_not_go_on_with_a_training(other, held_out):
    plan = {"data": held_out.table(), "network": {"backbone": ""}}
    assert training_key(lane_on(), plan) == training_key(lane_on(), plan)
    assert training_key(lane_on(**other), plan) != training_key(lane_on(), plan)


def test_another_trainer_or_other_images_do_not_either(held_out, tmp_path, monkeypatch):
    plan = {"data": {"annotations": str(tmp_path / "set.json")}, "network": {"backbone": ""}}
    shutil.copy(held_out.annotations, tmp_path / "set.json")
    shutil.copytree(training_target.TRAINER, tmp_path / "training")
    monkeypatch.setattr(training_target, "TRAINER", tmp_path / "training")
    monkeypatch.setattr(cache, "WORKERS", tmp_path)
    keys = [training_key(lane_on(), plan)]
    for path in (tmp_path / "training" / "loop.py", tmp_path / "set.json"):
        path.write_text(path.read_text() + " ")
        keys.append(training_key(lane_on(), plan))
    assert len(set(keys)) == 3


def test_it_gives_up_after_its_epochs(held_out, tmp_path):
    assert len(trained(Trainer(held_out, [0.0] * 3), held_out, tmp_path, epochs=3)) == 3


@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda path: path.stem)
def test_the_job_that_trains_to_the_target_has_the_time_of_the_published_training(page):
    """Without --run-slow a gate on COCO is red each time, with it and too little time as well."""
    gates = page.read_text(encoding="utf-8").split("--kill-after=2m ")[1:]
    gates = [gate.partition("tee")[0] for gate in gates if "-m a100" in gate.partition("tee")[0]]
    assert {"--run-slow" in gate for gate in gates} == {True, False}
    assert all(("--run-slow" in gate) == ("--coco-root" in gate) for gate in gates)
    published = load_training().configured("1x8").published
    minutes = [int(gate.partition("m")[0]) for gate in gates if "--run-slow" in gate]
    assert minutes and min(minutes) * 60 > float(published.e2e_time)


@pytest.mark.slow
def test_two_real_epochs_are_one_training(held_out, tmp_path):
    """Two launches, the second from the first one's checkpoint: the iterations go on."""
    contract = load_training()
    plans = Plans(contract, contract.subject_of("retinanet_stand_in"), "cpu")
    data = ImageFolder(
        write_training_set(tmp_path / "set", "train", 24, scale=0.2), tmp_path / "set" / "train2017"
    )
    plan = plans.short(data, batch=4, evaluate=plans.evaluation(held_out, [], limit=8))
    plan["epoch_iterations"] = len(data.shapes()[0]) // 4
    runs = []

    def launched(plan: dict):
        folder = tmp_path / f"run{len(runs)}"
        limits = {"limit_s": 300, "stall_s": 120}
        runs.append(launch(plan, python=sys.executable, folder=folder, **limits).finished())
        rank = runs[-1].ranks[0]
        return rank.arrays[f"eval{plan['iterations']}_table"], runs[-1].seconds

    curve = scored(train_to(2.0, 2, plan, held_out, tmp_path / "kept", launched))
    epochs = [set(run.ranks[0].arrays["epochs"].tolist()) for run in runs]
    assert len(curve) == 2 and epochs == [{0}, {1}]
    assert all(one["seconds"] > 0 and 0 <= one["map"] <= 1 for one in curve)
