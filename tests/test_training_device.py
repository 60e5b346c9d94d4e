"""The words for a device of the training lane: its full name, its facts, and what it is not."""

from __future__ import annotations

import pytest

from plugins.training_device import TrainingDevice


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB (40 GiB, sm_80)"),
        ("A100-PCIE-40GB", "NVIDIA A100-PCIE-40GB (40 GiB, sm_80)"),
        ("NVIDIA H200", "NVIDIA H200 (40 GiB, sm_80, not an A100)"),
        ("NVIDIA RTX A1000", "NVIDIA RTX A1000 (40 GiB, sm_80, not an A100)"),
        (
            "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
            "NVIDIA A100-SXM4-40GB MIG 1g.5gb (40 GiB, sm_80, a MIG slice, not an A100)",
        ),
    ],
)
def test_a_card_is_named_with_its_facts(name, said):
    device = TrainingDevice("cuda", 1, name, 40, "sm_80")
    assert device.runtime == said
    assert device.is_a100() == ("not an A100" not in said)


def test_without_a_card_it_is_a_stand_in():
    assert TrainingDevice() == TrainingDevice("cpu", 0, "", 0, "")
    assert TrainingDevice().runtime == "cpu (stand-in)"
    assert not TrainingDevice().is_a100()
