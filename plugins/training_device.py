"""The device of the training lane in words, as the header and every figure name it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingDevice:
    """The device of the training lane, as torch sees it: how many cards, and what the first is.

    `kind` is "cuda" or "cpu", `memory_gib` its memory in GiB, `capability` such as "sm_80".
    """

    kind: str = "cpu"
    count: int = 0
    name: str = ""
    memory_gib: int = 0
    capability: str = ""

    def is_a100(self) -> bool:
        """Whether it is an A100, and a whole one; an RTX A1000 is none."""
        return bool(re.search(r"\bA100\b", self.name)) and not a_slice(self.name)

    @property
    def runtime(self) -> str:
        """The device in words: "NVIDIA H200 (140 GiB, sm_90, not an A100)", "cpu (stand-in)"."""
        if self.kind == "cpu":
            return "cpu (stand-in)"
        name = self.name if self.name.startswith("NVIDIA") else f"NVIDIA {self.name}"
        facts = [f"{self.memory_gib} GiB", self.capability]
        facts += ["a MIG slice"] if a_slice(self.name) else []
        facts += [] if self.is_a100() else ["not an A100"]
        return f"{name} ({', '.join(facts)})"


def a_slice(name: str) -> str:
    """A MIG slice named as such; it is a fraction of its card, whatever card that is."""
    return f"{name}, a MIG slice and no whole card" if " MIG " in f"{name} " else ""
