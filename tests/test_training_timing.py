"""Baselines of the training lane: of a card, a configuration, a precision, images and weights."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import training_timing
from fixtures.training_plans import contents
from fixtures.training_timing import baseline_name
from plugins.contracts.training import load_training
from plugins.failure import Inconclusive

PLACE = "retinanet_resnet50_fpn/NVIDIA-A100-SXM4-40GB-40-GiB-sm_80"


@pytest.fixture
def plan(tmp_path) -> dict:
    for name in ("set.json", "weights.pth"):
        (tmp_path / name).write_text(name)
    return {
        "data": {"annotations": str(tmp_path / "set.json")},
        "network": {"backbone": str(tmp_path / "weights.pth")},
    }


def named(plan: dict, **other) -> str:
    """The baseline of a run of that plan."""
    run = {
        "subject": SimpleNamespace(id="retinanet_resnet50_fpn"),
        "device": "NVIDIA A100-SXM4-40GB (40 GiB, sm_80)",
        "configuration": SimpleNamespace(name="1x1"),
        "precision": SimpleNamespace(name="fp32"),
        "on_coco": False,
        "read": contents(plan),
    }
    return baseline_name(SimpleNamespace(**{**run, **other}))


def test_a_baseline_says_its_card_its_configuration_and_its_data(plan):
    start = f"{PLACE}/1x1-fp32-"
    assert named(plan).startswith(f"{start}synthetic-") and named(plan).endswith(".toml")
    assert named(plan, on_coco=True).startswith(f"{start}coco-")
    assert named(plan) == named(plan)


@pytest.mark.parametrize("file", ["set.json", "weights.pth"])
def test_other_images_or_weights_have_no_baseline_by_the_same_paths(plan, tmp_path, file):
    before = named(plan)
    (tmp_path / file).write_text("another")
    assert named(plan) != before


def test_seeded_weights_are_no_backbone(plan):
    plan["network"]["backbone"] = ""
    assert contents(plan)["weights"] == "seeded"


def test_a_timing_beside_a_neighbour_in_another_container_says_nothing(monkeypatch):
    card = {"index": 0, "uuid": "GPU-1", "memory_used_mib": 9000}
    monkeypatch.setattr(training_timing.gpu, "state", lambda: {"gpus": [card], "processes": []})
    nothing = lambda *_, **__: SimpleNamespace(finished=dict)  # noqa: E731
    lane = SimpleNamespace(contract=load_training(), device=SimpleNamespace(kind="cpu"))
    vars(lane).update(dict.fromkeys(("images", "held_out", "run"), nothing))
    lane.plans = lambda _: SimpleNamespace(timed=lambda *_: {})
    lane.why_invalid = {}
    said = "card 0 had 9000 MiB in use before the run; run again"
    with pytest.raises(Inconclusive, match=said):
        training_timing.timed_configuration(lane, "1x1-fp32")
    # Asked again: the neighbour is gone, and the run is the one that it disturbed.
    monkeypatch.setattr(training_timing.gpu, "state", lambda: {"gpus": [], "processes": []})
    with pytest.raises(Inconclusive, match=said):
        training_timing.timed_configuration(lane, "1x1-fp32")
