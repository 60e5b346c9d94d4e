"""Two machines meet for the timed run that spans both, and for no other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import training
from fixtures.training import Lane
from fixtures.training_plans import ImageFolder
from fixtures.training_timing import timed_configuration
from plugins.contracts.training import load_training
from plugins.training_device import TrainingDevice
from tests.standins import Config

ADDRESS = "node0:29500"


class Launched(Exception):
    """In place of a run: where it would have been."""


@pytest.fixture
def lane(monkeypatch, tmp_path) -> Lane:
    """A lane of a session with --rendezvous, whose runs end before they begin."""

    def launch(plan, **where):
        raise Launched(where["nodes"], where["per_node"], where["rendezvous"])

    made = object.__new__(Lane)
    made.config, made.contract, made._runs = Config(), load_training(), {}
    made.config.give("rendezvous", ADDRESS)
    made.lab = SimpleNamespace(tell=print, python=lambda role: "python", run=tmp_path)
    made.device = TrainingDevice()
    made.images = lambda *asked: ImageFolder(tmp_path / "set.json", tmp_path)
    monkeypatch.setattr(training, "launch", launch)
    return made


def launched(run) -> tuple:
    """Nodes, ranks on each, and the rendezvous."""
    with pytest.raises(Launched) as caught:
        run()
    return caught.value.args


def test_a_timed_run_meets_another_machine_only_if_it_spans_two(lane):
    assert launched(lambda: timed_configuration(lane, "2x8-fp32")) == (2, 8, ADDRESS)
    assert launched(lambda: timed_configuration(lane, "1x8-fp32")) == (1, 8, "")


def test_two_nodes_of_one_rank_are_two_agents_here_whatever_rendezvous_is_given(lane):
    assert launched(lambda: lane.run("2x1", {"iterations": 1}, nodes=2)) == (2, 1, "")
