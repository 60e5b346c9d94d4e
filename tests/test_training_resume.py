"""What a resumed run begins with, and what it leaves in the folder of the session."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.training_plans import ImageFolder, Plans
from fixtures.training_runs import resumed
from plugins.contracts.training import load_training
from plugins.drivers.training import Run
from plugins.failure import LabError

CONTRACT = load_training()
SMALL = CONTRACT.subject_of("retinanet_stand_in")


class Lane(SimpleNamespace):
    """Stands in for the lane: a run writes its checkpoint and notes which it could read."""

    def short(self, subject):
        return Plans(CONTRACT, subject, "cpu"), ImageFolder(Path("set.json"), Path("images"))

    def run(self, name, plan):
        if plan["checkpoint"]:
            Path(plan["checkpoint"]["path"]).write_text("whole")
        self.read.append(plan["resume"] and Path(plan["resume"]).read_text())
        return Run(self.ends[len(self.read) - 1], "it ended", Path(name), 1.0, [], 1)


@pytest.mark.parametrize("ends", [("finished", "finished"), ("finished", "died")])
def test_a_checkpoint_is_deleted_when_the_run_from_it_has_ended(tmp_path, ends):
    folder = tmp_path / "training"
    folder.mkdir()
    lane = Lane(contract=CONTRACT, lab=SimpleNamespace(run=tmp_path), read=[], ends=ends)
    if ends[-1] == "finished":
        assert resumed(lane, SMALL).status == "finished"
    else:
        pytest.raises(LabError, resumed, lane, SMALL)
    assert lane.read == [None, "whole"] and list(folder.iterdir()) == []
