"""The NPUs of this host, their state, and the images of a set shared among them: a worker a card."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

import numpy as np

from plugins.drivers.subject import Subject
from plugins.failure import LabError

LIMIT_S = 30
# A row of `npu-smi info -m`: NPU ID, chip ID, the logic ID that set_device takes, and the chip's name;
# a controller on the card has no logic ID.
CHIP = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+\S", re.MULTILINE)
# Lines of `npu-smi info -t common -i NPU -c CHIP` (CANN's reference of the command): the share of the
# cores in use, their clock now and their rated one.
STATE = {
    "usage": re.compile(r"^\s*Aicore Usage Rate\(%\)\s*:\s*(\d+)", re.MULTILINE),
    "clock": re.compile(r"^\s*Aicore curFreq\(MHZ\)\s*:\s*(\d+)", re.MULTILINE),
    "rated": re.compile(r"^\s*Aicore Freq\(MHZ\)\s*:\s*(\d+)", re.MULTILINE),
}


def numbers(chosen: Sequence[str] = (), *, real: bool = True) -> list[int]:
    """The cards to use: the chosen ones, else all that we may use if they are real, else number 0."""
    if not all(one.isdigit() for one in chosen) or len(set(chosen)) < len(chosen):
        raise LabError(f"devices = {' '.join(chosen)}: give numbers of NPUs, each once, as 0 1")
    return [int(one) for one in chosen] or (list(_places()) if real else []) or [0]


def _places() -> dict[int, tuple[str, str]]:
    """NPU and chip, as npu-smi counts them, by the number that set_device takes.

    CANN counts the logic ids that ASCEND_RT_VISIBLE_DEVICES names from 0, and reads no further than to
    the first one that is none (its reference of that variable); npu-smi lists them all regardless.
    """
    places = {int(logic): (npu, chip) for npu, chip, logic in CHIP.findall(_told("-m"))}
    named = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
    if named is None:
        return places
    shown = takewhile(lambda one: one.isdigit() and int(one) in places, named.split(","))
    return {number: places[int(logic)] for number, logic in enumerate(shown)}


def _told(*arguments: str) -> str:
    """What `npu-smi info` prints; nothing where it is absent, fails or hangs."""
    tool = shutil.which("npu-smi")
    if tool is None:
        return ""
    command = [tool, "info", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def place(number: int) -> tuple[str, str]:
    """NPU and chip of a card; asked before any step, so that `state` can be read right after one."""
    return _places().get(number, (str(number), "0"))


def state(npu: str, chip: str) -> dict[str, int]:
    """Usage in %, clock and rated clock in MHz of a card, as far as npu-smi tells them."""
    text = _told("-t", "common", "-i", npu, "-c", chip)
    found = {name: pattern.search(text) for name, pattern in STATE.items()}
    return {name: int(match.group(1)) for name, match in found.items() if match}


def disturbance(before: dict[str, int], *after: dict[str, int], idle: float) -> str:
    """Why times between these states of a card say nothing; empty where they may count.

    Somebody used it before the first step, or its clock fell from one block of steps to a later one: it
    was throttled, or set anew. A clock that rises has only met more work: the blocks are of unlike length.

    Args:
        after: right after blocks of steps. idle: usage in % that is nobody's.
    """
    if before.get("usage", 0) > idle:
        return f"{before['usage']} % of the card's cores were in use before the first step"
    for name, what in (("clock", "clock"), ("rated", "rated clock")):
        seen = [one[name] for one in after if name in one]
        for earlier, later in zip(seen, seen[1:]):
            if later < earlier:
                return f"the card's {what} fell from {earlier} to {later} MHz"
    return ""


def _each(jobs: Sequence[tuple[Subject, list[Path]]]) -> list[dict[str, np.ndarray]]:
    """What each card finds on its images, all at once; if one fails, or on Ctrl-C, all are ended."""
    with ThreadPoolExecutor(len(jobs)) as threads:
        waiting = [threads.submit(one.runs.detect, "aie", some) for one, some in jobs]
        try:
            return [job.result() for job in waiting]
        except BaseException:
            for one, _ in jobs:
                one.lab.kill("infer")  # the lab may be the session's own: others go on
            raise


class Cards:
    """One subject on several NPUs; the first is the one of its own lab."""

    def __init__(self, subject: Subject, npus: Sequence[int]) -> None:
        others = [subject.beside(f"npu{npu}", npu) for npu in npus[1:]]
        self.npus, self.subjects = list(npus), [subject, *others]

    def detect(self, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """As Runs.detect on the compiled model, every k-th image on a card, in the order of `paths`.

        Beside the detections `npu` (n,) says which card each image was on. A LabError unless each
        image was judged exactly once.
        """
        first = self.subjects[0]
        first.model(), first.lab.library("infer")  # made once, before the others ask for them
        shares = [np.arange(len(paths))[k :: len(self.npus)] for k in range(len(self.npus))]
        work = [(s, share) for s, share in zip(self.subjects, shares) if len(share)]
        jobs = [(one, [paths[i] for i in share]) for one, share in work]
        parts = (
            [one.runs.detect("aie", some) for one, some in jobs] if len(jobs) == 1 else _each(jobs)
        )
        found = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        found["npu"] = np.concatenate(
            [np.full(len(p["boxes"]), n) for n, p in zip(self.npus, parts)]
        )
        index = np.concatenate([share for _, share in work])
        if len(found["boxes"]) != len(index) or len(index) != len(paths):
            raise LabError(
                f"{len(paths)} images were given to npus {self.npus} and {len(found['boxes'])} came "
                "back; look at workers/infer*.log of the run"
            )
        order = np.argsort(index)
        return {k: values[order] for k, values in found.items()}
