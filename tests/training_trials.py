"""Runs of the real trainer that must end badly: training_trials.py JOB.json.

As in training_gate.py, torch is imported once and each rank is a fork of it. Writes how each run ended
and what it left behind; a trial may seed a mishap, a function below, in the process of a rank.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from tests.training_gate import Agent, agents, driver

LIMITS = {"limit_s": 120.0, "stall_s": 60.0}
SMALL_FILES = 300_000  # bytes: more than events and records have, less than a checkpoint


def full_disk() -> None:
    """No file may grow: as on a full disk, but for the wording."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_FILES, SMALL_FILES))


def reports_everything() -> None:
    """A network that has hardly learnt anything finds things, too."""
    import network

    build = network.build

    def fault(spec, seed):
        built = build(spec, seed)
        built.score_thresh = 0.0
        return built

    network.build = fault


def killed() -> None:
    _at_iteration_one(lambda: os.kill(os.getpid(), signal.SIGKILL))


def hangs_in_its_data() -> None:
    _at_iteration_one(lambda: time.sleep(600))


def raises() -> None:
    _at_iteration_one(lambda: 1 / 0)


def slow_to_name() -> None:
    """As large images on a busy machine are slow to decode again."""
    _before_naming(lambda: time.sleep(3))


def killed_naming() -> None:
    _before_naming(lambda: os.kill(os.getpid(), signal.SIGKILL))


def _before_naming(mishap) -> None:
    import loop

    name = loop.Loop._culprits

    def culprits(self, index):
        mishap()
        return name(self, index)

    loop.Loop._culprits = culprits


def _at_iteration_one(mishap) -> None:
    """On the last rank, while it reads the batch of iteration 1."""
    import loop

    read, last = loop.Stopwatch.data, int(os.environ["WORLD_SIZE"]) - 1

    def data(self, fetch):
        if len(self.data_s) == 1 and int(os.environ["RANK"]) == last:
            mishap()
        return read(self, fetch)

    loop.Stopwatch.data = data


def write_weights(folder: Path) -> None:
    """Files of backbone weights that are none of ResNet-50's, in one way each."""
    import torch
    from torchvision.models import resnet18, resnet50

    torch.save(resnet18().state_dict(), folder / "another.pth")
    state = resnet50().state_dict()
    state["layer4.2.conv3.weight"][0, 0] = float("nan")
    torch.save(state, folder / "nan.pth")
    content = (folder / "nan.pth").read_bytes()
    (folder / "cut.pth").write_bytes(content[: len(content) // 2])
    for name, other in {"list": [1.0], "tensor": torch.ones(3), "nested": {"model": {}}}.items():
        torch.save(other, folder / f"{name}.pth")
    (folder / "text.pth").write_bytes(b"version https://git-lfs.example/v1\n")


def try_it(folder: Path, plan: dict, *, seed: str = "", per_node: int = 1, **limits) -> dict:
    """How a run ended, and the hash of the checkpoint that is there afterwards."""
    Agent.seed = staticmethod(globals()[seed] if seed else lambda: None)
    where = {"python": sys.executable, "folder": folder, "per_node": per_node}
    run = driver.launch(plan, **where, **{**LIMITS, **limits})
    saved = plan["checkpoint"] and Path(plan["checkpoint"]["path"])
    return {
        "status": run.status,
        "sentence": run.sentence,
        "seconds": run.seconds,
        "saved": hashlib.sha256(saved.read_bytes()).hexdigest() if saved else "",
    }


def main(job: dict) -> None:
    """{name: how it ended} of job["trials"], name -> arguments of try_it, to the file job["out"]."""
    agents.start = Agent
    folder = Path(job["folder"])
    write_weights(folder)
    ends = {name: try_it(folder / name, **trial) for name, trial in job["trials"].items()}
    Path(job["out"]).write_text(json.dumps(ends), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
