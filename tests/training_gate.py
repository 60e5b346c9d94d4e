"""Sessions of the training lane on a faulty trainer, each a fork of a process that has imported torch.

Importing torch takes longer than most of these runs, so it is done once: each session of the suite is
a fork, and so is each rank, in place of torchrun. All else is the real thing: conformance/, fixtures,
plans, golden data, the driver, and the trainer with one fault seeded in the ranks' processes.

The good twin comes first. Runs that a fault cannot touch are then the twin's, not trained again.
"""

from __future__ import annotations

import fnmatch
import gc
import importlib
import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HOUSE / "plugins" / "workers" / "training"), str(HOUSE)]

train = importlib.import_module("train")  # the trainer, by bare names as in its own process
lane = importlib.import_module("fixtures.training")
driver, agents = map(
    importlib.import_module, ("plugins.drivers.training", "plugins.drivers.training_agents")
)
from tests.bite import sessions  # noqa: E402
from tests.faulty_training import GOOD, Place, seed_of  # noqa: E402

CHAPTERS = [str(path) for path in sorted((HOUSE / "conformance").glob("test_training_*.py"))]
HANDLES = 1024


class Agent:
    """Stands in for a torchrun agent: a fork that forks its ranks and ends as the worst of them."""

    seed = staticmethod(lambda: None)

    def __init__(self, command: list[str], *, log: Path, env: dict[str, str]) -> None:
        self.returncode = None
        self.pid = sessions.forked(lambda: self._end(command, env), log)

    def _end(self, command: list[str], env: dict[str, str]) -> int:
        os.setsid()
        gc.freeze()  # garbage of the session, collected here, would close numbers that are ours by then
        os.closerange(3, HANDLES)  # among them is the leash, whose guard waits until all let go
        words = dict(word[2:].split("=", 1) for word in command if word.startswith("--"))
        each, node = int(words["nproc_per_node"]), int(words["node_rank"])
        os.environ.clear()
        os.environ.update(env, MASTER_ADDR=words["master_addr"], MASTER_PORT=words["master_port"])
        os.environ.update(WORLD_SIZE=str(each * int(words["nnodes"])), GROUP_RANK=str(node))
        warnings.resetwarnings()  # pytest makes errors of them
        alive = {self._rank(node * each + k, k, command[-1]): k for k in range(each)}
        while alive:
            pid, status = os.wait()
            local = alive.pop(pid)
            if status:
                code = os.WEXITSTATUS(status) or -os.WTERMSIG(status)
                print(f"failed (exitcode: {code}) local_rank: {local} (pid: {pid})", flush=True)
                return 1
        return 0

    def _rank(self, rank: int, local: int, plan: str) -> int:
        def trainer() -> int:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(local))
            self.seed()
            return train.main(plan)

        return sessions.forked(trainer)

    def poll(self):
        """As subprocess.Popen has it."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.WEXITSTATUS(status) or os.WTERMSIG(status) if pid else None
        return self.returncode

    def wait(self, timeout: float) -> None:
        """Ends what is left: the driver's leash does not find forks."""
        limit = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < limit:
            os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.01)


class Session:
    """A session of the suite with a fault; a pytest plugin, and `launch` of the lane.

    Args:
        places: where the fault is looked for; of the good twin, all of them.
        twin: the folder where the good twin's runs and checkpoints are kept.
    """

    def __init__(self, name: str, places: list[Place], twin: Path) -> None:
        self.name, self.places, self.twin = name, places, twin

    def pytest_collection_modifyitems(self, config, items) -> None:
        keep = [item for item in items if self._wanted(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in keep])
        items[:] = keep

    def _wanted(self, item) -> bool:
        clause = item.get_closest_marker("clause").args[0].split(".")[1]
        small = "retinanet_resnet50" not in item.name
        return small and any(clause in p.clauses and p.only in item.name for p in self.places)

    def launch(self, plan: dict, **where):
        """The driver's, with the fault, or from the good twin's shelf."""
        name, kept = plan["name"], self.twin / f"{plan['name']}.run"
        touching = [p for p in self.places if any(fnmatch.fnmatch(name, one) for one in p.runs)]
        if self.name == GOOD:
            run = driver.launch(self._kept(self._short(plan)), **where)
            kept.write_bytes(pickle.dumps(run))
            return run
        if not touching and kept.exists():
            return pickle.loads(kept.read_bytes())
        Agent.seed = staticmethod(seed_of(self.name) if touching else lambda: None)
        return driver.launch(self._resumed(self._short(plan), touching), **where)

    def _short(self, plan: dict) -> dict:
        """As many iterations as its readers need; 0 among them: all."""
        needed = [
            length
            for place in self.places
            for pattern, length in place.lengths.items()
            if fnmatch.fnmatch(plan["name"], pattern)
        ]
        if not needed or 0 in needed or max(needed) >= plan["iterations"]:
            return plan
        short = {**plan, "iterations": max(needed)}
        return {**short, "evaluate": plan["evaluate"] and {**plan["evaluate"], "at": [max(needed)]}}

    def _kept(self, plan: dict) -> dict:
        """With a checkpoint among the twin's, for those that begin where it ended."""
        every, name = plan["iterations"], f"{plan['name']}.trained"
        if plan["checkpoint"]:
            every, name = plan["checkpoint"]["every"], Path(plan["checkpoint"]["path"]).name
        elif not plan["evaluate"] or plan["name"].startswith("timed"):
            return {**plan, "resume": self._resume(plan)}
        return {**plan, "checkpoint": {"path": str(self.twin / name), "every": every}}

    def _resumed(self, plan: dict, touching: list[Place]) -> dict:
        if any(p.trained for p in touching):
            return {**plan, "resume": str(self.twin / f"{plan['name']}.trained")}
        return {**plan, "resume": self._resume(plan)}

    def _resume(self, plan: dict) -> str | None:
        return plan["resume"] and str(self.twin / Path(plan["resume"]).name)
