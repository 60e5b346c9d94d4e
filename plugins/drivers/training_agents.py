"""torchrun agents: their command lines, their environment, their rendezvous, their start."""

from __future__ import annotations

import errno
import os
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from plugins.failure import LabError

HERE = "127.0.0.1"
SHAPE = re.compile(r"([1-9]\d*)x([1-9]\d*)")
# What an outer launcher, or a user's torchrun defaults (PET_*), would make of our ranks.
FOREIGN = re.compile(
    r"(LOCAL_|GROUP_|ROLE_|NODE_)?(RANK|WORLD_SIZE)|LOCAL_WORLD_SIZE|ROLE_NAME"
    r"|MASTER_(ADDR|PORT)|TORCHELASTIC_.*|PET_.*"
)
TAKEN = re.compile("EADDRINUSE|address already in use", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """Who takes part in a run, and what each starts.

    `nodes` agents with `per_node` ranks each meet at `host`:`port`; `plan` is the plan's path.
    """

    nodes: int
    per_node: int
    python: str
    program: Path
    plan: Path
    host: str
    port: int

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return self.nodes * self.per_node

    def command(self, node: int) -> list[str]:
        """The words that start the agent of a node.

        The rendezvous is the static one: it numbers ranks by node, as the source's launcher does.
        """
        options = {
            "nnodes": self.nodes,
            "nproc_per_node": self.per_node,
            "node_rank": node,
            "master_addr": self.host,
            "master_port": self.port,
            "max_restarts": 0,
            "monitor_interval": 0.2,
            "log_dir": self.plan.parent / "torchrun",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        launcher = [self.python, "-m", "torch.distributed.run"]
        return [*launcher, *words, str(self.program), str(self.plan)]

    def line(self, node: int, plan: dict) -> str:
        """The command as a line for a shell, with the settings that the plan makes."""
        settings = [f"{name}={value}" for name, value in settings_of(plan).items()]
        return " ".join([*settings, shlex.join(self.command(node))])


def shape(configuration: str) -> tuple[int, int]:
    """Nodes and ranks a node of "2x8"; a LabError for anything else."""
    match = SHAPE.fullmatch(configuration)
    if not match:
        raise LabError(f"{configuration!r} is no configuration; write NODESxCARDS, such as 1x8")
    return int(match.group(1)), int(match.group(2))


def settings_of(plan: dict) -> dict[str, str]:
    """What the ranks' environment has because of the plan, and that a user has to repeat."""
    threads = str(plan["threads"])
    settings = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    settings["PYTHONHASHSEED"] = str(plan["seed"])
    if plan["deterministic"] and plan["device"] == "cuda":
        settings["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # else deterministic cuBLAS refuses to run
    return settings


def environment(plan: dict, world: World, node: int, here: int) -> dict[str, str]:
    """The whole environment of an agent.

    Args:
        here: how many of the world's agents this machine runs.
    """
    whole = {name: value for name, value in os.environ.items() if not FOREIGN.fullmatch(name)}
    whole.update(settings_of(plan), PYTHONUNBUFFERED="1")
    if here == world.nodes and os.path.exists("/sys/class/net/lo"):
        # gloo would look the machine's name up, which need not lead back to this machine
        whole.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if here > 1 and plan["device"] == "cuda":
        whole["CUDA_VISIBLE_DEVICES"] = _cards(node, world.per_node)
    return whole


def _cards(node: int, per_node: int) -> str:
    """This agent's share of the cards that we may use."""
    first, last = node * per_node, (node + 1) * per_node
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(number) for number in range(last)]
    return ",".join(names[first:last])


def start(command: list[str], *, log: Path, env: dict[str, str]) -> subprocess.Popen:
    """Start an agent in a session of its own; what it and its ranks print goes to `log`."""
    try:
        with open(log, "wb") as output:
            return subprocess.Popen(
                command,
                cwd=log.parent,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(
            f"cannot start {command[0]}: {error.strerror}; set interpreter_train to a Python"
            " that has torch, and leave room for its log"
        ) from None


def free_port() -> int:
    """A port of this machine that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


def port_was_taken(folder: Path) -> bool:
    """Whether an agent's log says that it could not have its port."""
    texts = (path.read_text(errors="replace") for path in folder.glob("agent*.log"))
    return any(TAKEN.search(text) for text in texts)


def meeting(rendezvous: str) -> tuple[str, int, int]:
    """Host, port and our own node number of a rendezvous "HOST:PORT" between two machines.

    Node 0 is the machine that HOST names. A LabError when that is us and the port is taken, or
    when nobody knows the host.
    """
    host, _, port = rendezvous.rpartition(":")
    try:
        ours = _can_bind(socket.gethostbyname(host), 0)
    except OSError as error:
        raise LabError(
            f"--rendezvous {rendezvous}: the host is unknown here ({error.strerror}); give an"
            " address that both machines can reach"
        ) from None
    if ours and not _can_bind("", int(port)):
        raise LabError(
            f"--rendezvous {rendezvous}: port {port} is in use on this machine; name a free one,"
            " the same on both machines"
        )
    return host, int(port), 0 if ours else 1


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch's own store does
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                return False
            raise
    return True
