"""A training run seen from pytest: its plan written, its ranks started, watched, ended and read.

`python -m plugins.drivers.training 2x8` prints the commands that such a run starts on each node.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from plugins.drivers import training_agents as agents
from plugins.drivers import training_watch as watching
from plugins.drivers.leash import Leash
from plugins.drivers.process import WORKERS
from plugins.drivers.training_agents import World
from plugins.drivers.training_events import Progress
from plugins.drivers.training_records import Rank, record_of
from plugins.drivers.training_watch import Ending
from plugins.failure import LabError

TRAIN = WORKERS / "training" / "train.py"
LEAVINGS = ("plan.json", "rank*.json", "rank*.npz", "rank*.events", "agent*.log", "*.partial*")
ENDPOINT = "127.0.0.1:29500"
ATTEMPTS = 3  # a port that is free now can be taken a moment later
GRACE_S = 10.0
ROOM = 2**20  # bytes: a disk with less than that is full
DRY = {"threads": 1, "seed": 0, "deterministic": False, "device": "cuda"}


@dataclass(frozen=True)
class Run:
    """How a training run ended and what it left behind.

    Args:
        status: "finished", "refused" (bad input), "nonfinite", "died", "hung" (no rank went on
            within the stall limit) or "late" (the whole run took too long).
        sentence: the same in a sentence that names ranks, iteration, phase and log.
        folder: where everything is.
        seconds: host clock, from the launch to the end of the last agent.
        ranks: those of this machine that wrote anything, by number.
        world: how many ranks there were in all.
    """

    status: str
    sentence: str
    folder: Path
    seconds: float
    ranks: list[Rank]
    world: int

    def finished(self) -> Run:
        """This run, or a LabError with its sentence if it did not finish."""
        if self.status != "finished":
            raise LabError(self.sentence)
        return self


def launch(
    plan: dict,
    *,
    python: str,
    folder: Path,
    nodes: int = 1,
    per_node: int = 1,
    limit_s: float,
    stall_s: float,
    program: Path = TRAIN,
    rendezvous: str = "",
) -> Run:
    """Run a plan to its end, whatever that is; nothing of it is alive or half-written afterwards.

    Args:
        plan: what plugins/workers/training reads; its "folder" is set here.
        python: the interpreter of launcher and ranks.
        folder: for plan, logs and records; an earlier run's are deleted, other files stay.
        limit_s: of the whole run; `stall_s`: without a sign of life from any rank, the start
            included.
        rendezvous: "HOST:PORT" where a second machine takes part: then only our own node's agent
            is started, and what it waits for the other one is no stall (MEET_S). Empty: all nodes
            are agents on this machine.

    Raises:
        LabError: nothing could be started.
    """
    folder = Path(folder).absolute()
    plan = {**plan, "folder": str(folder)}
    for _ in range(ATTEMPTS):
        _prepare(folder, plan)
        world, here = _world(nodes, per_node, python, Path(program), folder, rendezvous)
        run = _run(plan, world, here, limit_s, stall_s)
        if rendezvous or run.ranks or not agents.port_was_taken(folder):
            break
    return run


def _world(
    nodes: int, per_node: int, python: str, program: Path, folder: Path, rendezvous: str
) -> tuple[World, list[int]]:
    """Who takes part, and the nodes among them that are ours to start."""
    if rendezvous:
        host, port, node = agents.meeting(rendezvous)
        here = [node]
    else:
        host, port, here = agents.HERE, agents.free_port(), list(range(nodes))
    return World(nodes, per_node, python, program, folder / "plan.json", host, port), here


def _run(plan: dict, world: World, here: list[int], limit_s: float, stall_s: float) -> Run:
    folder, began = world.plan.parent, time.monotonic()
    numbers = range(here[0] * world.per_node, (here[-1] + 1) * world.per_node)
    progress = Progress(folder, numbers, world.size, world.per_node)
    started: list[subprocess.Popen] = []
    try:
        with Leash() as leash:
            for node in here:
                env = {**agents.environment(plan, world, node, len(here)), **leash.env}
                log = folder / f"agent{node}.log"
                started.append(agents.start(world.command(node), log=log, env=env))
            why = watching.watch(started, progress, limit_s=limit_s, stall_s=stall_s)
            seconds = time.monotonic() - began
            codes = [agent.poll() for agent in started]
    finally:
        for agent in started:
            agent.wait(timeout=GRACE_S)
        _sweep(folder, plan)
    if why:
        ending = watching.overdue(why, progress, limit_s=limit_s, stall_s=stall_s)
    else:
        ending = watching.ended(codes, progress)
    ranks, ending = _ranks(folder, progress, ending)
    return Run(*_with_disk(ending, folder), folder, seconds, ranks, world.size)


def _prepare(folder: Path, plan: dict) -> None:
    """An empty place for a run: what an earlier one left there must never be read as this one's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (path for pattern in LEAVINGS for path in folder.glob(pattern)):
            path.unlink()
        (folder / "plan.json").write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabError(
            f"{folder}: no run can be prepared there: {error.strerror}; make room there and the"
            " folder writable, or name another by --artifacts"
        ) from None


def _sweep(folder: Path, plan: dict) -> None:
    """Delete what was being written when the run ended, and torchrun's own folder."""
    drafts = list(folder.glob("*.partial*"))
    if plan.get("checkpoint"):
        path = Path(plan["checkpoint"]["path"])
        drafts += path.parent.glob(f"{path.name}.partial*")
    for draft in drafts:
        draft.unlink(missing_ok=True)
    shutil.rmtree(folder / "torchrun", ignore_errors=True)


def _ranks(folder: Path, progress: Progress, ending: Ending) -> tuple[list[Rank], Ending]:
    """What the ranks left; a run is only finished if each has left all of it."""
    ranks, faults = [], []
    for number in progress.numbers:
        record, fault = record_of(folder, number, progress.world)
        if record or progress.events[number]:
            ranks.append(Rank(number, folder, record, progress.events[number]))
        faults += [fault] if fault else []
    if ending.status == "finished" and faults:
        ending = Ending("died", f"{faults[0]}; see {watching.logs(folder)}")
    return ranks, ending


def _with_disk(ending: Ending, folder: Path) -> tuple[str, str]:
    if ending.status == "died" and shutil.disk_usage(folder).free < ROOM:
        ending = replace(ending, sentence=f"{ending.sentence}; the disk of {folder} is full")
    return ending.status, ending.sentence


def commands(
    configuration: str,
    plan: Path,
    *,
    python: str = sys.executable,
    program: Path = TRAIN,
    endpoint: str = ENDPOINT,
) -> list[str]:
    """The lines that start a configuration such as "2x8", one for a shell on each node."""
    nodes, per_node = agents.shape(configuration)
    host, _, port = endpoint.rpartition(":")
    world = World(nodes, per_node, python, Path(program), Path(plan), host, int(port))
    content = json.loads(Path(plan).read_text(encoding="utf-8")) if Path(plan).exists() else DRY
    return [world.line(node, content) for node in range(nodes)]


def main(words: Optional[list[str]] = None) -> None:
    """Print the commands of a configuration."""
    parser = argparse.ArgumentParser("python -m plugins.drivers.training", description=main.__doc__)
    parser.add_argument("configuration", help="NODESxCARDS: 1x1, 1x8, 2x8")
    parser.add_argument("--rendezvous", metavar="HOST:PORT", default="")
    parser.add_argument("--plan", type=Path, default=Path("plan.json"))
    parser.add_argument("--python", default=sys.executable)
    given = parser.parse_args(words)
    if given.rendezvous and not given.rendezvous.rpartition(":")[2].isdigit():
        parser.error(
            f"--rendezvous: {given.rendezvous} is no address; name the first machine and a port of "
            "it that is free, such as node0:29500"
        )
    apart = not given.configuration.startswith("1x")
    endpoint = given.rendezvous or (f"{socket.gethostname()}:29500" if apart else ENDPOINT)
    try:
        lines = commands(given.configuration, given.plan, python=given.python, endpoint=endpoint)
    except LabError as error:
        parser.error(str(error))
    for node, line in enumerate(lines):
        print(f"# node {node}\n{line}")


if __name__ == "__main__":
    main()
