"""Versions of what lies below Python, read from the tools and files that know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

CANN_PLACES = ("/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/latest")
VERSION = re.compile(r"\d+\.\d+[\w.]*", re.IGNORECASE)
TOOL_LIMIT_S = 30


def observed(worker: dict, real: bool) -> dict[str, str]:
    """The lines of the source's version table as they are here.

    Args:
        worker: what the inference worker tells of itself.
        real: whether its runtime is a real one; an emulator's version is no version.
    """
    runtime = worker["runtime"].split(" ", 1)
    return {
        "driver": driver(),
        "CANN": cann(),
        "python": worker["python"],
        "torch": worker["torch"],
        "torchvision": worker["torchvision"],
        "torch_aie": runtime[1] if real else "",
    }


def driver() -> str:
    """The version that npu-smi prints in its first lines; empty without the tool."""
    tool = shutil.which("npu-smi")
    if tool is None:
        return ""
    try:
        run = subprocess.run([tool, "info"], capture_output=True, text=True, timeout=TOOL_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"Version:\s*(\S+)", run.stdout)
    return match.group(1) if match else ""


def cann() -> str:
    """The toolkit's version file; empty without a toolkit."""
    places = [os.environ.get("ASCEND_TOOLKIT_HOME", ""), *CANN_PLACES]
    for place in filter(None, places):
        for name in ("version.cfg", "version.info", "compiler/version.info"):
            path = Path(place) / name
            if path.is_file():
                match = VERSION.search(path.read_text(errors="replace"))
                if match:
                    return match.group()
    return ""
