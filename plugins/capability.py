"""What this machine can do: a closed vocabulary, probed once, and what becomes of its absence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from plugins import machine, options, probe
from plugins.training_device import TrainingDevice, a_slice

VOCABULARY = {
    "npu": "an Ascend 310P with its driver, and torch_aie or mindietorch in the infer interpreter",
    "cuda": "an NVIDIA GPU with its driver, and a torch in the train interpreter that can use it",
    "a100": "a driver, a torch in the train interpreter that can use it, and a whole NVIDIA A100",
    "cuda2": "two GPUs",
    "cuda8": "eight GPUs, for 1x8",
    "cuda16": "eight GPUs, and a second machine named by --rendezvous, for 2x8",
    "detectron2": "detectron2 in the export interpreter",
    "coco": "--coco-root",
    "weights": "--weights",
    "all_images": "--all-images",
    "export_env": "torch 1.10 in the export interpreter, as the source exports",
}
MODULES = ("torch", "torchvision", "torch_aie", "mindietorch", "torch_npu", "detectron2")
AIE_MODULES = ("mindietorch", "torch_aie")  # the worker binds the first that is there
OURS = Path(__file__).resolve().parent
EMULATED_SIGN = "EMULATED = True"
CARDS = OURS / "workers" / "cards.py"
PROBE_SECONDS, CARDS_SECONDS = 30, 180
GIVEN = {"coco": "coco_root", "weights": "weights", "all_images": "all_images"}
Modules = dict[str, dict[str, str]]  # module -> its origin and version
CARDS_NEEDED = {"cuda2": 2, "cuda8": 8, "cuda16": 8}


class Capabilities:
    """The capabilities of one run; every probe runs at most once, on first use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._whys: dict[str, str] = {}
        self._answers: dict[str, tuple[Modules, str]] = {}

    def present(self, capability: str) -> bool:
        """Whether a capability of the vocabulary is present; another name is a KeyError."""
        return not self.why(capability)

    def why(self, capability: str) -> str:
        """Why a capability is absent, as a clause of a sentence; empty when it is present."""
        if capability not in self._whys:
            VOCABULARY[capability]
            self._whys[capability] = self._found_why(capability)
        return self._whys[capability]

    def _found_why(self, capability: str) -> str:
        if capability in GIVEN:
            given = options.get(self._config, GIVEN[capability])
            return "" if given else f"{VOCABULARY[capability]} is not given"
        if capability in CARDS_NEEDED:
            return self._why_fewer(capability, CARDS_NEEDED[capability])
        return getattr(self, f"_why_{capability}")()

    def runtime(self) -> str:
        """What the npu lane runs on, e.g. "Ascend310P3 (torch_aie 6.3.rc2)"."""
        if not self.present("npu"):
            return "emulated 310P3 (torch_aie emulator)"
        name, module = next(iter(self._aie.items()))
        return f"Ascend{self._chip} ({name} {module['version'] or 'of unknown version'})"

    def training_device(self) -> TrainingDevice:
        """What the a100 lane runs on: an A100, another NVIDIA GPU, or the CPU stand-in."""
        if not self.present("cuda"):
            return TrainingDevice()
        cards = self._seen["cards"]
        memory = -(-cards[0]["memory"] // 2**30)  # a part of the last GiB is the driver's
        return TrainingDevice("cuda", len(cards), cards[0]["name"], memory, cards[0]["capability"])

    def training_runtime(self) -> str:
        """The same as the header and every figure name it."""
        return self.training_device().runtime

    def modules(self, role: str) -> Modules:
        """The modules among MODULES that the interpreter of a role has; none if it is no Python."""
        modules, _ = self._answer(role)
        return modules

    def why_no_python(self, role: str) -> str:
        """Why the interpreter of a role cannot be one, in a sentence; empty where it answers."""
        _, why = self._answer(role)
        return why

    def _answer(self, role: str) -> tuple[Modules, str]:
        python = options.interpreter(self._config, role)
        if python not in self._answers:
            self._answers[python] = probe.asked(python, MODULES)
        return self._answers[python]

    @cached_property
    def _chip(self) -> str:
        match = re.search(r"\b310P\d?\b", _output("npu-smi", "info"))
        return match.group() if match else ""

    @cached_property
    def _gpus(self) -> list[str]:
        return re.findall(r"^GPU \d+: (.+?) \(UUID", _output("nvidia-smi", "-L"), re.MULTILINE)

    @cached_property
    def _aie(self) -> dict[str, dict[str, str]]:
        seen = self.modules("infer")
        return {
            name: seen[name] for name in AIE_MODULES if name in seen and not _emulator(seen[name])
        }

    def _why_npu(self) -> str:
        if not self._chip:
            return _tool_why("npu-smi", "info", "an Ascend 310P")
        return "" if self._aie else self._no_module("infer", *AIE_MODULES)

    @cached_property
    def _seen(self) -> dict[str, Any]:
        """What torch of the train interpreter sees: a child asks it, since it takes seconds."""
        asked = _output(
            options.interpreter(self._config, "train"), str(CARDS), seconds=CARDS_SECONDS
        )
        return json.loads(asked) if asked else {}

    def _why_cuda(self) -> str:
        if not self._gpus:
            return _tool_why("nvidia-smi", "-L", "a GPU")
        if "torch" not in self.modules("train"):
            return self._no_module("train", "torch")
        python = options.interpreter(self._config, "train")
        if not self._seen:
            return f"torch of {python} does not load; run: {python} {CARDS}"
        if self._seen["cards"]:
            return ""
        torch = f"torch {self._seen['torch']} of {python}"
        if not self._seen["cuda"]:
            return (
                f"{torch} is built without CUDA, although there is {self._gpus[0]}; install a CUDA"
                " build of it, or name another Python by interpreter_train"
            )
        cause = self._seen["warning"] or "none is listed to it: see CUDA_VISIBLE_DEVICES and MIG"
        return f"{torch} (CUDA {self._seen['cuda']}) can use no GPU: {cause}"

    def _why_a100(self) -> str:
        if self.why("cuda"):
            return self.why("cuda")
        device = self.training_device()
        if device.is_a100():
            return ""
        return f"the GPU is {a_slice(device.name) or device.name}"

    def _why_fewer(self, capability: str, cards: int) -> str:
        count = self.training_device().count
        if count < cards:
            return self.why("cuda") or f"torch sees {count} GPUs"
        alone = capability == "cuda16" and not options.get(self._config, "rendezvous")
        return "--rendezvous names no second machine" if alone else ""

    def _why_detectron2(self) -> str:
        found = "detectron2" in self.modules("export")
        return "" if found else self._no_module("export", "detectron2")

    def _why_export_env(self) -> str:
        version = self.modules("export").get("torch", {}).get("version", "")
        if version.startswith("1.10."):
            return ""
        has = f"torch {version}" if version else "no torch"
        return f"the export interpreter has {has}, not torch 1.10 (interpreter_export)"

    def _no_module(self, role: str, *names: str) -> str:
        python = options.interpreter(self._config, role)
        return f"{python} has no {' or '.join(names)} (interpreter_{role})"


KEY = pytest.StashKey[Capabilities]()


def _emulator(module: dict[str, str]) -> bool:
    origin = Path(module["origin"])
    if OURS in origin.resolve().parents:
        return True
    return origin.suffix == ".py" and EMULATED_SIGN in origin.read_text("utf-8", "replace")


def _output(tool: str, *arguments: str, seconds: float = PROBE_SECONDS) -> str:
    """What a tool prints, or nothing where it is absent, fails or hangs."""
    path = shutil.which(tool)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _tool_why(tool: str, argument: str, thing: str) -> str:
    if shutil.which(tool) is None:
        return f"{tool} is not on PATH"
    return f"'{tool} {argument}' does not list {thing}"


def needs(item: pytest.Item) -> list[str]:
    """The capabilities that an item's `requires` markers name, in order, once each."""
    names = (name for mark in item.iter_markers("requires") for name in mark.args)
    return list(dict.fromkeys(names))


def _check_names(config: pytest.Config, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in VOCABULARY:
            options.refuse(
                config, f"{where}: {name!r} is no capability; choose from {', '.join(VOCABULARY)}"
            )


def of(config: pytest.Config) -> Capabilities:
    """The capabilities of a run; a plugin that is configured before this one may ask too."""
    return config.stash.setdefault(KEY, Capabilities(config))


def pytest_configure(config: pytest.Config) -> None:
    of(config)
    _check_names(config, options.get(config, "require"), "--require")


def pytest_report_header(config: pytest.Config) -> str:
    capabilities = config.stash[KEY]
    npu, a100 = capabilities.runtime(), capabilities.training_runtime()
    if a100.startswith("cpu"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
        a100 += f": {machine.processors()}, {memory} GiB"
    return f"lanes: npu runs on {npu}; a100 runs on {a100}"


def _no_python(config: pytest.Config, role: str, why: str) -> str:
    name = f"interpreter_{role}"
    cure = next(setting.cure for setting in options.SETTINGS if setting.name == name)
    return f"{name}: {options.interpreter(config, role)} does not run as Python ({why}); {cure}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    config = session.config
    for role in options.ROLES:
        why = config.stash[KEY].why_no_python(role)
        if why:
            options.refuse(config, _no_python(config, role, why))
    for name in options.get(config, "require"):
        why = config.stash[KEY].why(name)
        if why:
            options.refuse(config, f"--require {name}: {why}; it needs {VOCABULARY[name]}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("requires"):
            if not mark.args or mark.kwargs:
                options.refuse(config, f'{item.nodeid}: write requires("npu", ...), names only')
            _check_names(config, mark.args, f"{item.nodeid}: requires")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = _absent(item)
    if absent:
        raise pytest.skip.Exception(f"needs {absent}", _use_item_location=True)


def _absent(item: pytest.Item) -> str | None:
    capabilities = item.config.stash[KEY]
    return next((name for name in needs(item) if not capabilities.present(name)), None)
