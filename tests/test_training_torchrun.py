"""The launcher itself: torchrun as it is, and what the stand-in of the other tests claims of it."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path

import pytest

from plugins.drivers import training, training_agents
from plugins.drivers.training import commands
from plugins.drivers.training_agents import World
from plugins.failure import LabError
from tests.training_launches import PLAN, PROGRAM, alive, soon, started_by_another

pytest_plugins = ["tests.training_actors"]


def test_ranks_of_torchrun_finish_and_die_as_those_of_the_stand_in(run, tmp_path):
    done = run(python=sys.executable)
    assert done.status == "finished", done.sentence
    assert not (tmp_path / "run/torchrun").exists()
    died = run("killed", python=sys.executable)
    assert died.status == "died"
    assert died.sentence.startswith("rank 1 of 2 ended with SIGKILL")
    assert alive(tmp_path / "run") == []


def test_two_agents_of_torchrun_on_one_machine_make_one_world(run, tmp_path):
    done = run(python=sys.executable, nodes=2, per_node=1)
    assert done.status == "finished", done.sentence
    assert [rank.record["world"] for rank in done.ranks] == [2, 2]


def test_torchrun_and_its_ranks_end_when_we_are_killed_outright(tmp_path):
    caller = started_by_another(tmp_path, sys.executable)
    assert soon(lambda: (tmp_path / "run/rank1.events").exists(), 60)
    caller.send_signal(signal.SIGKILL)
    caller.wait(timeout=20)
    assert soon(lambda: alive(tmp_path / "run") == [])


@pytest.fixture
def world(tmp_path):
    return World(2, 4, sys.executable, PROGRAM, tmp_path / "plan.json", "127.0.0.1", 29500)


def test_an_outer_launchers_variables_do_not_reach_our_ranks(world, monkeypatch):
    foreign = (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "MASTER_PORT",
        "TORCHELASTIC_RUN_ID",
        "PET_NNODES",
    )
    for name in foreign:
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("RANKING", "kept")
    found = training_agents.environment(PLAN, world, node=0, here=2)
    assert [name for name in foreign if name in found] == []
    assert (found["RANKING"], found["OMP_NUM_THREADS"], found["PYTHONHASHSEED"]) == (
        "kept",
        "1",
        "3",
    )


def test_agents_that_share_a_machine_share_its_cards_out(world, monkeypatch):
    plan = {**PLAN, "device": "cuda"}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = training_agents.environment(plan, world, node=1, here=2)
    assert found["CUDA_VISIBLE_DEVICES"] == "4,5,6,7"
    assert found["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,6,5,4,3,2,1,0")
    found = training_agents.environment(plan, world, node=1, here=2)
    assert found["CUDA_VISIBLE_DEVICES"] == "3,2,1,0"
    assert "CUDA_VISIBLE_DEVICES" not in training_agents.settings_of(plan)


def test_the_dry_run_prints_what_a_run_starts(run, stand_in):
    done = run(nodes=2, per_node=2)
    for node in range(2):
        words = (done.folder / f"agent{node}.log").read_text().splitlines()[0].split()
        port = next(word for word in words if "master_port" in word).partition("=")[2]
        lines = commands(
            "2x2",
            done.folder / "plan.json",
            python=stand_in,
            program=PROGRAM,
            endpoint=f"127.0.0.1:{port}",
        )
        assert shlex.split(lines[node])[-len(words) :] == words
        assert lines[node].startswith("OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONHASHSEED=3 ")


@pytest.mark.parametrize(
    ("configuration", "agents", "ranks"), [("1x1", 1, 1), ("1x8", 1, 8), ("2x8", 2, 8)]
)
def test_the_dry_run_knows_the_sources_configurations(capsys, configuration, agents, ranks):
    training.main([configuration, "--rendezvous", "node0:29501", "--python", "python3"])
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert len(lines) == agents
    for node, line in enumerate(lines):
        assert (
            f"python3 -m torch.distributed.run --nnodes={agents} --nproc_per_node={ranks}" in line
        )
        assert f"--node_rank={node} --master_addr=node0 --master_port=29501" in line
        assert line.endswith("plugins/workers/training/train.py plan.json")


def test_a_configuration_is_nodes_by_cards():
    with pytest.raises(LabError, match="'8' is no configuration; write NODESxCARDS"):
        commands("8", Path("plan.json"))
