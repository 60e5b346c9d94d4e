"""What figures come from: machine, processors, packages, and Ascend's driver, firmware and CANN.

Read from the tools and files that know; empty where there is none. The tools are asked once a run.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

ASCEND = Path("/usr/local/Ascend")
# Where CANN says what it is, best first. In version.cfg each part has a package number and then CANN's
# own version, [7.0.0.5.242:7.0.RC1]; version.info has the package number alone.
CANN_FILES = (
    ("*-linux/ascend_toolkit_install.info", r"^version\s*=\s*(\S+)"),
    ("version.cfg", r"^toolkit_running_version=\[[^:\]]*:([^\]]+)\]"),
    ("version.cfg", r"=\[[^:\]]*:([^\]]+)\]"),
    ("version.info", r"^Version\s*=\s*(\S+)"),
    ("compiler/version.info", r"^Version\s*=\s*(\S+)"),
)
TOOL_LIMIT_S = 30


def today() -> datetime.date:
    """The date in UTC, because machines and containers of several time zones share their records."""
    return datetime.datetime.now(datetime.timezone.utc).date()


def measured(command: str, *packages: str) -> dict[str, str]:
    """Where figures come from: what measured them, on what, and when; no machine's name, no path."""
    return {
        "command": command,
        "machine": f"{machine()}, {processors()}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "date": today().isoformat(),
    }


def version(package: str) -> str:
    """The version of a package that is installed here."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def system() -> dict[str, str]:
    """Machine class and processor, and what there is of Ascend's versions."""
    whole = {"machine": machine(), "cpu": processor(), **ascend()}
    return {name: version for name, version in whole.items() if version}


def ascend() -> dict[str, str]:
    """driver, firmware and CANN, each empty where it is not found."""
    return {"driver": driver(), "firmware": firmware(), "CANN": cann()}


def observed(worker: Mapping[str, str], real: bool) -> dict[str, str]:
    """The lines of the source's version table as they are here.

    Args:
        worker: what the inference worker tells of itself.
        real: whether its runtime is a real one; an emulator's version is no version.
    """
    _, _, version = worker["runtime"].partition(" ")
    known = {name: worker[name] for name in ("python", "torch", "torchvision")}
    return {**ascend(), **known, "torch_aie": version if real else ""}


def fingerprint(versions: Mapping) -> str:
    """Sixteen digits that are the same as long as nothing in `versions` changes."""
    text = json.dumps(versions, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def machine() -> str:
    """The machine class, as golden data records it: "x86_64 Linux"."""
    return f"{platform.machine()} {platform.system()}"


def processor() -> str:
    """The processor's name; float32 sums are cut in other places on another one."""
    found = _found(Path("/proc/cpuinfo"), r"^model name\s*:\s*(.+)$")
    return found or platform.processor()


def processors() -> str:
    """How many there are, and of which name: "2 x AMD EPYC"."""
    return f"{os.cpu_count()} x {processor() or machine()}"


def driver() -> str:
    """As the first line of `npu-smi info` has it, or the driver's own file."""
    match = re.search(r"Version:\s*(\S+)", _npu_smi("info"))
    return match.group(1) if match else _found(ASCEND / "driver/version.info", r"^Version=(\S+)")


def firmware() -> str:
    """As `npu-smi info -t board` has it for the first NPU, or the firmware's own file."""
    listed = re.search(r"NPU ID\s*:\s*(\d+)", _npu_smi("info", "-l"))
    board = _npu_smi("info", "-t", "board", "-i", listed.group(1) if listed else "0")
    match = re.search(r"Firmware Version\s*:\s*(\S+)", board)
    return match.group(1) if match else _found(ASCEND / "firmware/version.info", r"^Version=(\S+)")


def cann() -> str:
    """The toolkit's version, from the first of its files that has one."""
    found = (_found(path, pattern) for path, pattern in _cann_files())
    return next(filter(None, found), "")


def _cann_files() -> Iterator[tuple[Path, str]]:
    named = [os.environ.get(name) for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH")]
    own = Path.home() / "Ascend"  # where it goes for a user who is not root
    usual = [
        root / place for root in (ASCEND, own) for place in ("ascend-toolkit/latest", "latest")
    ]
    for place in [*map(Path, filter(None, named)), *usual]:
        for name, pattern in CANN_FILES:
            for path in sorted(place.glob(name)):
                yield path, pattern


def _found(path: Path, pattern: str) -> str:
    """The first group of a pattern in a file; empty where the file is absent or says other things."""
    try:
        match = re.search(pattern, path.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return match.group(1).strip() if match else ""


def _npu_smi(*arguments: str) -> str:
    """What npu-smi prints; nothing where it is absent or hangs."""
    tool = shutil.which("npu-smi")
    return _output(tool, *arguments) if tool else ""


@functools.cache
def _output(tool: str, *arguments: str) -> str:
    try:
        run = subprocess.run(
            [tool, *arguments], capture_output=True, text=True, timeout=TOOL_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout
