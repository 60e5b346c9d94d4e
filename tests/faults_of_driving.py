"""Faults between the trainer and its driver: what ranks leave behind, and which plan they follow."""

from __future__ import annotations

import os

import diary
import probe
import train
from loop import Loop

GOOD = 0.9  # of the first loss


def only_rank_0_records():
    write = probe.write
    probe.write = lambda folder, rank, *found: rank or write(folder, rank, *found)


def record_cut_short():
    """As by a disk that was full in the middle of the last file."""
    write = probe.write

    def fault(folder, rank, record, arrays):
        write(folder, rank, record, arrays)
        path = folder / f"rank{rank}.npz"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    probe.write = fault


def ranks_alone():
    """Each rank takes itself for the only one."""
    main = train.main

    def fault(path):
        os.environ.update(RANK="0", WORLD_SIZE="1")
        return main(path)

    train.main = fault


def last_rank_is_silent():
    """It trains and writes its record, and its last word is lost."""
    tell = diary.Diary.tell

    def fault(self, event, *more, **facts):
        if not (event == "FINISHED" and int(os.environ["RANK"])):
            tell(self, event, *more, **facts)

    diary.Diary.tell = fault


def batch_halved():
    """To make room in memory, and the rest of the recipe stays as it is."""
    make = Loop.__init__

    def init(self, plan, *args):
        make(self, {**plan, "batch": plan["batch"] // 2}, *args)

    Loop.__init__ = init


def first_passage():
    """Steps are left out as soon as the loss has once been good, and they are counted all the same."""
    step = Loop._step

    def fault(self, images, targets):
        if not self.losses or float(self.losses[-1][2]) > GOOD * float(self.losses[0][2]):
            return step(self, images, targets)
        self.trace["lr"].append(self.optimiser.param_groups[0]["lr"])
        self.rates.step()
        self.losses.append(self.losses[-1])

    Loop._step = fault
