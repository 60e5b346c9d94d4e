"""What self-tests of training runs ask: the plan, who is alive, a run that somebody else started."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "training_program.py"
PLAN = {"threads": 1, "seed": 3, "deterministic": True, "device": "cpu", "checkpoint": None}
LIMITS = {"limit_s": 60, "stall_s": 20}


def alive(folder):
    """The processes that have a folder among their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words.split("\0"))
    return found


def soon(condition, seconds=20):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def started_by_another(folder, python):
    """A process that launches a run which hangs."""
    plan = {**PLAN, "fault": {"kind": "has a child", "rank": 1}}
    code = (
        f"from pathlib import Path; from plugins.drivers.training import launch; launch({plan},"
        f"python={python!r}, folder=Path({str(folder)!r}) / 'run', program=Path({str(PROGRAM)!r}),"
        "per_node=2, limit_s=60, stall_s=60)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=HERE.parent, stderr=subprocess.DEVNULL
    )
