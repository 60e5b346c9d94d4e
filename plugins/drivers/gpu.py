"""The state of the NVIDIA cards around a timed run, and what makes such a run worthless."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Optional

LIMIT_S = 30
# our name -> nvidia-smi's, the newest first; a driver that knows none of them leaves a field out
FIELDS = {
    "index": ("index",),
    "name": ("name",),
    "uuid": ("uuid",),
    "driver": ("driver_version",),
    "memory_total_mib": ("memory.total",),
    "memory_used_mib": ("memory.used",),
    "clock_sm_mhz": ("clocks.sm",),
    "clock_memory_mhz": ("clocks.mem",),
    "clock_sm_limit_mhz": ("clocks.max.sm",),
    "clock_sm_application_mhz": ("clocks.applications.graphics",),
    "power_w": ("power.draw",),
    "power_limit_w": ("power.limit",),
    "temperature_c": ("temperature.gpu",),
    "persistence": ("persistence_mode",),
    "mig": ("mig.mode.current",),
    "addressing": ("addressing_mode",),
    "ecc_uncorrected": ("ecc.errors.uncorrected.volatile.total",),
    "throttle": ("clocks_event_reasons.active", "clocks_throttle_reasons.active"),
    "hw_thermal_slowdown_us": ("clocks_event_reasons_counters.hw_thermal_slowdown",),
    "sw_thermal_slowdown_us": ("clocks_event_reasons_counters.sw_thermal_slowdown",),
    "hw_power_brake_us": ("clocks_event_reasons_counters.hw_power_brake_slowdown",),
}
TEXTS = {"name", "uuid", "driver", "persistence", "mig", "addressing", "throttle"}
FIXED = ("clock_sm_limit_mhz", "clock_sm_application_mhz", "power_limit_w", "persistence", "mig")
# Bits of the reasons that slow a card down for a cause outside the run (NVML); a power cap under
# load and clocks that somebody set are a card's ordinary life.
SLOWED = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
UNKNOWN_FIELD = re.compile(r'Field "([^"]+)" is not a valid field')


def state() -> dict:
    """What nvidia-smi tells now: {"driver", "gpus": [...], "processes": [...]}; {} without it.

    Only of the cards that CUDA_VISIBLE_DEVICES leaves us, in its order. Each has the names of FIELDS
    that its driver knows, numbers in the unit that a name ends with (None where the card has none),
    "throttle" as a list of reasons. A process has "pid", "uuid" of its card (or of a slice of it) and
    "memory_mib"; those of other containers may not be listed.
    """
    every = _gpus({ours: list(names) for ours, names in FIELDS.items()})
    gpus = _visible(every)
    if not gpus:
        return {}
    others = {gpu["uuid"] for gpu in every} - {gpu["uuid"] for gpu in gpus}
    apps = _query("compute-apps", ["pid", "gpu_uuid", "used_memory"])[0] or []
    processes = [
        {"pid": int(pid), "uuid": uuid, "memory_mib": _number(memory)}
        for pid, uuid, memory in (row for row in apps if len(row) == 3 and row[0].isdigit())
        if uuid not in others
    ]
    return {"driver": gpus[0].pop("driver", ""), "gpus": gpus, "processes": processes}


def _visible(gpus: list[dict]) -> list[dict]:
    """The cards that CUDA shows to our ranks; all of them where a slice is named, whose card is not told.

    Among unlike cards CUDA counts from the fastest, nvidia-smi by the bus: say CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or "MIG-" in named:
        return gpus
    found: list[dict] = []
    for name in map(str.strip, named.split(",")):
        known = [gpu for gpu in gpus if _is(gpu, name)]
        if not known:
            break  # CUDA ignores what follows a name that it does not know
        found += known[:1]
    return found


def _is(gpu: dict, name: str) -> bool:
    """Whether a name of CUDA's is a card's: its index, or how its UUID begins."""
    return gpu["index"] == _number(name) or (name[:4] == "GPU-" and gpu["uuid"].startswith(name))


def _gpus(names: dict[str, list[str]]) -> list[dict]:
    """One dictionary a card; a name that this driver does not know gives way to its older one."""
    while names:
        rows, unknown = _query("gpu", [some[0] for some in names.values()])
        if rows is not None:
            return [_card(dict(zip(names, row))) for row in rows if len(row) == len(names)]
        known = {ours: [name for name in some if name != unknown] for ours, some in names.items()}
        if known == names:
            break
        names = {ours: some for ours, some in known.items() if some}
    return []


def _query(what: str, fields: list[str]) -> tuple[Optional[list[list[str]]], str]:
    """The rows of a query; or None, and the field that nvidia-smi does not know."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None, ""
    command = [tool, f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None, ""
    if done.returncode:
        match = UNKNOWN_FIELD.search(done.stdout + done.stderr)
        return None, match.group(1) if match else ""
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return [[cell.strip() for cell in line.split(",")] for line in lines], ""


def _card(cells: dict[str, str]) -> dict:
    card = {name: cell if name in TEXTS else _number(cell) for name, cell in cells.items()}
    if "throttle" in card:
        card["throttle"] = _reasons(card["throttle"])
    return card


def _reasons(mask: str) -> list[str]:
    try:
        bits = int(mask, 16)
    except ValueError:
        return []
    return [reason for bit, reason in SLOWED.items() if bits & bit]


def _number(cell: str) -> Optional[float]:
    try:
        return float(cell.removesuffix(" us"))
    except ValueError:  # "[N/A]", "[Not Supported]"
        return None


def invalid(before: dict, after: dict, *, idle_mib: Optional[float] = None) -> str:
    """Why a timed run between two states says nothing; empty where it may count.

    Args:
        idle_mib: memory in use before the run above this is somebody's whom nvidia-smi hides,
            as it does across containers. None: do not look.
    """
    if not before and not after:
        return ""
    pairs = list(zip(before.get("gpus", []), after.get("gpus", [])))
    cards = [[gpu.get("uuid") for gpu in one.get("gpus", [])] for one in (before, after)]
    if cards[0] != cards[1]:
        return "not the same cards before and after"
    reasons = [reason for pair in pairs for reason in _changes(*pair)]
    return "; ".join([*reasons, *_shared(before, after, idle_mib)])


def _changes(before: dict, after: dict) -> list[str]:
    who = f"card {before.get('index', 0):g}"
    slowed = [reason for one in (before, after) for reason in one.get("throttle", [])]
    counters = (name for name in before if name.endswith("_us"))
    slowed += [
        name[: -len("_us")]
        .replace("_", " ")
        .replace("hw ", "hardware ")
        .replace("sw ", "software ")
        for name in counters
        if (after.get(name) or 0) > (before[name] or 0)
    ]
    said = [f"{who} was slowed down: {', '.join(dict.fromkeys(slowed))}"] if slowed else []
    for name in FIXED:
        if before.get(name) != after.get(name):
            said.append(f"{who}: {name} changed from {before.get(name)} to {after.get(name)}")
    if (after.get("ecc_uncorrected") or 0) > (before.get("ecc_uncorrected") or 0):
        said.append(f"{who} had uncorrected memory errors")
    return said


def _shared(before: dict, after: dict, idle_mib: Optional[float]) -> list[str]:
    """Who else works on the cards: our ranks are not there yet, and not there any more."""
    found = [app["pid"] for one in (before, after) for app in one.get("processes", [])]
    said = [f"shared with process {pid}" for pid in dict.fromkeys(found)]
    for gpu in before.get("gpus", []):
        used = gpu.get("memory_used_mib") or 0
        if idle_mib is not None and used > idle_mib and not found and _is_its_own(gpu):
            said.append(f"card {gpu.get('index', 0):g} had {used:g} MiB in use before the run")
    return said


def _is_its_own(gpu: dict) -> bool:
    """Whether a card's memory is in use only while somebody uses the card.

    A slice has neighbours with memory of their own; where memory is the system's (ATS), Linux keeps
    pages of processes that have ended.
    """
    return gpu.get("mig") != "Enabled" and gpu.get("addressing") != "ATS"
