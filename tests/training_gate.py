"""Judges one faulty trainer after another by the training lane: training_gate.py JOB.json.

Importing torch takes longer than most of these runs, so it is done once: each session of the suite is
a fork, and so is each rank, in place of torchrun. All else is the real thing: conformance/, fixtures,
plans, golden data, the driver, and the trainer with one fault seeded in the ranks' processes.

The good twin comes first. Runs that a fault cannot touch are then the twin's, not trained again.
"""

from __future__ import annotations

import fnmatch
import importlib
import json
import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HOUSE / "plugins" / "workers" / "training"), str(HOUSE)]

train = importlib.import_module("train")  # the trainer, by bare names as in its own process
lane = importlib.import_module("fixtures.training")
driver, agents = map(
    importlib.import_module, ("plugins.drivers.training", "plugins.drivers.training_agents")
)
from tests.faulty_training import GOOD, PLACES, Place, seed_of  # noqa: E402

CHAPTERS = [str(path) for path in sorted((HOUSE / "conformance").glob("test_training_*.py"))]
SPARED = ("cacheprovider", "hypothesispytest", "unraisableexception")  # no part in this, and slow
HANDLES = 1024
SAY_S = 1.0  # what the other ranks get to say what they saw


class Agent:
    """Stands in for a torchrun agent: a fork that forks its ranks and ends as the worst of them."""

    seed = staticmethod(lambda: None)

    def __init__(self, command: list[str], *, log: Path, env: dict[str, str]) -> None:
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            os.closerange(3, HANDLES)  # among them is the leash, whose guard waits until all let go
            _write_to(log)
            os._exit(self._end(command, env))

    def _end(self, command: list[str], env: dict[str, str]) -> int:
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
                time.sleep(SAY_S if alive else 0)
                return 1
        return 0

    def _rank(self, rank: int, local: int, plan: str) -> int:
        pid = os.fork()
        if not pid:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(local))
            self.seed()
            os._exit(train.main(plan))
        return pid

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


def judge(folder: Path, name: str, places: list[Place]) -> dict:
    """One session in a fork: its verdict.json, and its CPU seconds."""
    runs, log = folder / "artifacts" / "runs", folder / f"{name}.log"
    earlier, began, process = set(runs.glob("*/verdict.json")), os.times(), os.fork()
    if not process:
        _write_to(log)
        session = Session(name, places, folder / "twin")
        agents.start, lane.launch = Agent, session.launch
        words = ["-q", "--benchmark", "--artifacts", str(folder / "artifacts")]
        words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # we hold the lane already
        words += [word for one in SPARED for word in ("-p", f"no:{one}")]
        os._exit(int(pytest.main([*CHAPTERS, *words], plugins=[session])))
    os.waitpid(process, 0)
    spent = [after - before for after, before in zip(os.times()[2:4], began[2:4])]
    written = {path.resolve() for path in set(runs.glob("*/verdict.json")) - earlier}
    if not written:
        raise RuntimeError(f"{log}: the session left no verdict: {log.read_text()[-500:]}")
    verdict = json.loads(min(written).read_text(encoding="utf-8"))
    return {**verdict, "cpu_s": round(sum(spent), 1)}


def main(job: dict) -> None:
    """Judge the good twin in all places, then each fault in its own: {name: verdict} to job["out"].

    job["faults"]: (name of the fault, name of its place); the verdict's name is "fault in place".
    """
    folder, out = Path(job["folder"]), Path(job["out"])
    (folder / "twin").mkdir(parents=True, exist_ok=True)
    places = dict.fromkeys(place for _, place in job["faults"])
    verdicts = {GOOD: judge(folder, GOOD, [PLACES[place] for place in places])}
    for name, place in job["faults"]:
        verdicts[f"{name} in {place}"] = judge(folder, name, [PLACES[place]])
    out.write_text(json.dumps(verdicts), encoding="utf-8")


def _write_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
