"""The NPUs of this host, and the images of a set shared among them: one infer worker a card.

Clocks, temperature and other users of a card are not looked at: nothing that we have says which fields
npu-smi has for them on a 310P. A baseline that differs from itself betrays them in a timed run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from plugins.drivers.subject import Subject
from plugins.failure import LabError

LIMIT_S = 30
# A row of `npu-smi info -m`: NPU ID, chip ID, the logic ID that set_device takes, and the chip's name;
# a controller on the card has no logic ID.
CHIP = re.compile(r"^\s*\d+\s+\d+\s+(\d+)\s+\S", re.MULTILINE)


def numbers(chosen: Sequence[str] = ()) -> list[int]:
    """The cards to use: the chosen ones, else all that npu-smi lists, else number 0."""
    if not all(one.isdigit() for one in chosen) or len(set(chosen)) < len(chosen):
        raise LabError(f"devices = {' '.join(chosen)}: give numbers of NPUs, each once, as 0 1")
    return [int(one) for one in chosen] or _listed() or [0]


def _listed() -> list[int]:
    tool = shutil.which("npu-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, "info", "-m"], capture_output=True, text=True, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [int(number) for number in CHIP.findall(done.stdout)]


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
        with ThreadPoolExecutor(len(work)) as threads:
            parts = list(
                threads.map(lambda job: job[0].runs.detect("aie", [paths[i] for i in job[1]]), work)
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
