"""One rank of a training run, started by torchrun: train.py PLAN.json.

Exit codes: 0 finished, 1 an exception, 3 the input was refused, 4 a loss is not finite. Whatever
happens, the last line of rank<k>.events says it.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path

import clock
import network as networks
import numpy as np
import optimiser
import precision
import probe
import torch
import torchvision
from diary import Diary, Stopped
from loop import Loop
from refusal import Refusal, Unfit
from sampling import epoch_length

COLLECTIVE_LIMIT_S = 300  # a collective that takes longer has lost a rank
REFUSED, NONFINITE = 3, 4


def main(path: str) -> int:
    """Run the plan as the rank that the environment says."""
    started = time.time()
    plan = json.loads(Path(path).read_text(encoding="utf-8"))
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    diary = Diary(Path(plan["folder"]), rank)
    diary.tell("START", pid=os.getpid(), node=int(os.environ.get("GROUP_RANK", 0)))
    try:
        record, arrays = ONLY[plan["only"]](plan, diary, rank, world)
        record["seconds"]["main"] = time.time() - started
        probe.write(Path(plan["folder"]), rank, record, arrays)
        _leave()
        diary.tell("FINISHED", record["counts"]["iterations"])
        return 0
    except Refusal as error:
        diary.tell("REFUSED", sentence=str(error), unfit=isinstance(error, Unfit))
        return REFUSED
    except Stopped:
        return NONFINITE
    except Exception as error:
        traceback.print_exc()
        diary.tell("ERROR", sentence=f"{type(error).__name__}: {error}")
        return 1


def _leave() -> None:
    """NCCL wants to be told. Gloo's threads of torch 2.0.1 may wait for the interpreter for ever while
    it waits for them (seen 1 time in 5); the process ends without asking them."""
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "nccl":
        torch.distributed.destroy_process_group()


def train(plan: dict, diary: Diary, rank: int, world: int) -> tuple[dict, dict]:
    """Set the process up, train, and hand out the record."""
    _prepare(plan)
    if world > 1:
        torch.distributed.init_process_group(
            "nccl" if plan["device"] == "cuda" else "gloo",
            timeout=datetime.timedelta(seconds=COLLECTIVE_LIMIT_S),
        )
    model = networks.build(plan["network"], plan["seed"]).to(plan["device"])
    seen = Seen(model)
    loop = Loop(plan, model, diary, rank, world)
    start = time.time()
    loop.run()
    training = time.time() - start
    record = {**_about(plan, rank, world), **seen.record(loop), **_findings(loop)}
    record["seconds"] = {"training": training, **loop.spent}
    return record, _arrays(loop)


def rehearse(plan: dict, diary: Diary, rank: int, world: int) -> tuple[dict, dict]:
    """What needs no training: every learning rate of whole ones, and a simulated device timed."""
    lengths, rates = {}, {}
    for whole in plan["whole"]:
        name = whole["name"]
        lengths[name] = epoch_length(whole["images"], plan["batch"], world=whole["world"])
        plan["optimiser"]["lr"] = whole["lr"]
        found = optimiser.trace(plan, lengths[name], whole["epochs"])
        rates[f"lr_trace_{name}"] = np.array(found)
    about = {**_about(plan, rank, world), "counts": {"images": 0, "iterations": 0}, "seconds": {}}
    return {**about, "epoch_lengths": lengths, "clock": clock.experiment()}, rates


ONLY = {"": train, "rehearsal": rehearse}


class Seen:
    """What the network really computes in, looked at where it happens."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.compute = ""
        first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
        first.register_forward_hook(self._look)

    def _look(self, module, inputs, output) -> None:
        if module.training:
            self.compute = str(output.dtype).split(".")[1]

    def record(self, loop: Loop) -> dict:
        """The precision, observed."""
        trained = [p for p in loop.network.parameters() if p.requires_grad]
        return {
            "precision": {
                "name": loop.plan["precision"],
                "compute": self.compute,
                "parameters": _dtypes(trained),
                "gradients": _dtypes([p.grad for p in trained if p.grad is not None]),
                "scaler_steps": loop.precision.steps,
                "scaler_skipped": int(loop.precision.skipped),
            }
        }


def _dtypes(tensors: list) -> str:
    return "+".join(sorted({str(t.dtype).split(".")[1] for t in tensors}))


def _prepare(plan: dict) -> None:
    torch.manual_seed(plan["seed"])
    torch.set_num_threads(plan["threads"])  # the thread count changes the bits of a result
    precision.switch(plan)
    if plan["device"] == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _about(plan: dict, rank: int, world: int) -> dict:
    return {
        "rank": rank,
        "world": world,
        "local_rank": int(os.environ["LOCAL_RANK"]),
        "node": int(os.environ.get("GROUP_RANK", 0)),
        "device": _device(plan["device"]),
        "versions": _versions(),
        "flags": {
            "tf32_conv": torch.backends.cudnn.allow_tf32,
            "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "threads": torch.get_num_threads(),
        },
    }


def _device(kind: str) -> dict:
    if kind == "cpu":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        name = f"{platform.machine()} {platform.system()}"
        return {"kind": kind, "name": name, "memory_bytes": memory, "capability": ""}
    about = torch.cuda.get_device_properties(torch.cuda.current_device())
    capability = f"{about.major}.{about.minor}"
    return {
        "kind": kind,
        "name": about.name,
        "memory_bytes": about.total_memory,
        "capability": capability,
    }


def _versions() -> dict:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or "") if torch.cuda.is_available() else "",
    }


def _findings(loop: Loop) -> dict:
    parameters = list(loop.network.named_parameters())
    trained = [(k, p) for k, p in parameters if p.requires_grad]
    return {
        "parameters": {
            "total": sum(p.numel() for _, p in parameters),
            "trainable": sum(p.numel() for _, p in trained),
            "trainable_tensors": len(trained),
        },
        "trainable": [k for k, _ in trained],
        "frozen": [k for k, p in parameters if not p.requires_grad],
        "epoch_iterations": loop.plan["epoch_iterations"] or len(loop.batches),
        "counts": {"images": loop.images, "iterations": loop.done - loop.first},
        "targets": loop.targets,
        "modules": list(probe.MODULES),
        "probe_index": loop.probe.index,
        "parameter_hash": loop.probe.parameter_hash,
        "state_hash": loop.probe.state_hash,
        "buffer_hash": loop.probe.buffer_hash,
        "modes": loop.modes,
        "memory": _memory(loop),
    }


def _memory(loop: Loop) -> dict:
    cuda = loop.device == "cuda"
    return {
        "allocated_peak": torch.cuda.max_memory_allocated() if cuda else 0,
        "reserved_peak": torch.cuda.max_memory_reserved() if cuda else 0,
        "process_peak": probe.resident_peak(),
        "device_process_peak": probe.card_peak() if cuda else 0,
        "series": loop.probe.series,
    }


def _arrays(loop: Loop) -> dict:
    losses = np.array(loop.losses, np.float64).reshape(-1, 3)
    windows = np.array(loop.watch.windows, np.float64).reshape(-1, 3)
    return {
        "loss_classification": losses[:, 0],
        "loss_box": losses[:, 1],
        "loss": losses[:, 2],
        "lr": np.array(loop.trace["lr"], np.float64),
        "ids": np.array(loop.trace["ids"], np.int64),
        "flips": np.array(loop.trace["flips"], bool),
        "groups": np.array(loop.trace["groups"], np.int64),
        "epochs": np.array(loop.trace["epochs"], np.int64),
        "core_s": np.array(loop.watch.seconds("core")),
        "copy_s": np.array(loop.watch.seconds("copy")),
        "data_s": np.array(loop.watch.data_s),
        "host_core_s": np.array(loop.watch.host_core_s),
        "window_s": windows[:, 0],
        "window_iterations": windows[:, 1].astype(np.int64),
        "window_start": windows[:, 2].astype(np.int64),
        **loop.probe.arrays(),
        **loop.tables,
    }


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a collective that waits for a dead rank must not keep this one alive
