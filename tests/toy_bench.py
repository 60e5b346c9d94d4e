"""A bench for self-tests of the runner: each fault of it says by its name what becomes of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.bite.fault import Alarm, Fault


def fault(name: str, **more: object) -> Fault:
    return Fault(name, f"the fault {name}", "toy.clause", "the cause", ("NM2",), **more)


FAULTS = [
    *map(fault, ("caught", "unseen", "elsewhere", "unnamed", "undecided")),
    *(fault(name, missed="nobody looks there") for name in ("known", "found_after_all")),
    *map(fault, ("breaks", "dies", "sleeps")),
]
TWINS = [
    Fault("other", "good in another way", "", ""),
    Fault("open", "good, and one clause cannot tell", "toy.clause", ""),
    Fault("blamed", "good, and blamed", "", ""),
]
SAID = {
    "caught": [("toy.first", "failed", "something"), ("toy.clause", "failed", "see: the cause")],
    "elsewhere": [("toy.first", "failed", "something")],
    "unnamed": [("toy.clause", "failed", "something"), ("toy.clause", "failed", "the cause")],
    "undecided": [("toy.clause", "inconclusive", "the cause")],
    "found_after_all": [("toy.clause", "failed", "the cause")],
    "open": [("toy.clause", "inconclusive", "too little is known")],
    "blamed": [("toy.first", "error", "something")],
}


class Bench:
    """Appends each name to the file TOY_LOG and says what SAID has for it."""

    judged = 3

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def judge(self, fault: Fault | None) -> list[Alarm]:
        name = fault.name if fault else "clean"
        with open(os.environ["TOY_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{name}\n")
        if name == "breaks":
            raise RuntimeError("the bench is broken")
        if name == "dies":
            os._exit(3)
        if name == "sleeps":
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            Path(os.environ["TOY_LOG"]).with_name("child").write_text(str(child.pid))
            child.wait()
        return [Alarm(*one) for one in SAID.get(name, ())]
