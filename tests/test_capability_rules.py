"""Each capability by itself: what makes it present, and why it is absent, in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugins import capability, options
from plugins.capability import Capabilities
from plugins.training_device import TrainingDevice
from tests.standins import Config

MARK = pytest.mark
SMI = "| 0     310P3           | OK |"
GPU = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)\nGPU 1: NVIDIA T4 (UUID: GPU-2)\n"
CARD = {"name": "NVIDIA A100-SXM4-40GB", "memory": 39 * 2**30 + 1, "capability": "sm_80"}
H200 = {"name": "NVIDIA H200", "memory": 140 * 2**30, "capability": "sm_90"}


@pytest.fixture
def machine(monkeypatch):
    """A machine of tools and modules that a test names; a function that makes its capabilities."""

    def make(*, npu=SMI, gpu=GPU, cards=(), modules=None, asked=None, **settings) -> Capabilities:
        config = Config()
        for role in ("export", "infer", "train"):
            config.give(f"interpreter_{role}", Path(f"/{role}/python"))
        for name, value in settings.items():
            config.give(name, value)
        seen = {
            "cards": list(cards),
            "torch": "2.1",
            "cuda": "12.1",
            "warning": "",
            **(asked or {}),
        }
        text = {"npu-smi": npu, "nvidia-smi": gpu, "/train/python": json.dumps(seen)}
        text["/train/python"] = "" if asked == {} else text["/train/python"]
        calls = []

        def output(tool, *arguments, seconds=30):
            calls.append((tool, *arguments, seconds))
            return text[tool]

        monkeypatch.setattr(capability, "_output", output)
        monkeypatch.setattr(capability.shutil, "which", lambda tool: "/bin/tool")
        known = modules or {}
        asks = lambda python, names: (known.get(python, {}), "")  # noqa: E731
        monkeypatch.setattr(capability.probe, "asked", asks)
        made = Capabilities(config)
        made.calls = calls
        return made

    return make


def module(version="", origin="/site/torch_aie/__init__.py") -> dict:
    return {"origin": origin, "version": version}


TORCH = {"/train/python": {"torch": module("2.1")}}


def test_another_name_is_none(machine):
    with pytest.raises(KeyError):
        machine().present("tpu")


def test_each_probe_runs_once(machine):
    made = machine(modules=TORCH, cards=[CARD])
    for _ in range(2):
        assert made.present("cuda") and made.why("cuda") == ""
        assert not made.present("npu")
    tools = [call[0] for call in made.calls]
    assert sorted(tools) == ["/train/python", "npu-smi", "nvidia-smi"]
    asked = next(call for call in made.calls if call[0] == "/train/python")
    assert asked[1].endswith("plugins/workers/cards.py") and asked[2] == 180


@pytest.mark.parametrize("name", ["torch_aie", "mindietorch"])
def test_a_310p_with_its_module_is_the_npu(machine, name, tmp_path):
    origin = tmp_path / "__init__.py"
    origin.write_text("")
    infer = {"/infer/python": {name: module("6.3.rc2", str(origin))}}
    made = machine(modules=infer)
    assert (made.why("npu"), made.runtime()) == ("", f"Ascend310P3 ({name} 6.3.rc2)")
    infer["/infer/python"][name]["version"] = ""
    assert machine(modules=infer).runtime() == f"Ascend310P3 ({name} of unknown version)"


def test_of_two_modules_the_one_that_the_worker_binds_is_named(machine, tmp_path):
    (tmp_path / "__init__.py").touch()
    both = {name: module("1", str(tmp_path / "__init__.py")) for name in capability.MODULES}
    assert machine(modules={"/infer/python": both}).runtime() == "Ascend310P3 (mindietorch 1)"


def test_an_emulated_module_is_no_npu(machine, tmp_path):
    origin = tmp_path / "__init__.py"
    origin.write_text("EMULATED = True\n")
    found = machine(modules={"/infer/python": {"torch_aie": module("1", str(origin))}})
    assert found.why("npu") == "/infer/python has no mindietorch or torch_aie (interpreter_infer)"
    assert found.runtime() == "emulated 310P3 (torch_aie emulator)"


@pytest.mark.parametrize(
    ("name", "text", "emulated"),
    [
        ("a.py", "x = 1\nEMULATED = True\n", True),
        ("a.py", "x = 1\n", False),
        ("a.so", "EMULATED = True", False),
        ("a.py", "\xff", False),
    ],
)
def test_an_emulator_says_that_it_is_one(tmp_path, name, text, emulated):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert capability._emulator(module(origin=str(tmp_path / name))) is emulated


def test_whatever_is_ours_is_an_emulator():
    assert capability._emulator(module(origin=options.__file__))


@pytest.mark.parametrize(
    ("text", "chip"),
    [("| 310P3 |", "310P3"), ("310P", "310P"), ("| 310 |", ""), ("910B", ""), ("x310P3", ""), ("", "")],
)  # fmt: skip
def test_a_310p_is_told_from_other_chips(machine, text, chip):
    assert machine(npu=text)._chip == chip


def test_without_a_310p_the_tool_is_named(machine):
    made = machine(npu="")
    assert made.why("npu") == "'npu-smi info' does not list an Ascend 310P"
    assert made.calls == [("npu-smi", "info", 30)]
    made = machine(gpu="")
    assert made.why("cuda") == "'nvidia-smi -L' does not list a GPU"
    assert made.calls == [("nvidia-smi", "-L", 30)]


def test_a_tool_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(capability.shutil, "which", lambda tool: None)
    assert capability._tool_why("npu-smi", "info", "x") == "npu-smi is not on PATH"
    assert capability._output("npu-smi", "info") == ""


def test_a_gpu_needs_a_torch_that_can_use_it(machine):
    assert machine().why("cuda") == "/train/python has no torch (interpreter_train)"
    gone = machine(modules=TORCH, asked={})
    assert gone.why("cuda") == (
        f"torch of /train/python does not load; run: /train/python {capability.CARDS}"
    )
    cpu = machine(modules=TORCH, asked={"cuda": ""})
    assert cpu.why("cuda").startswith(
        "torch 2.1 of /train/python is built without CUDA, although there is NVIDIA A100-SXM4-40GB;"
    )
    old = machine(modules=TORCH, asked={"warning": "the driver is too old"})
    can = "torch 2.1 of /train/python (CUDA 12.1) can use no GPU"
    assert old.why("cuda") == f"{can}: the driver is too old"
    assert machine(modules=TORCH).why("cuda") == (
        f"{can}: none is listed to it: see CUDA_VISIBLE_DEVICES and MIG"
    )


def test_the_device_of_the_training_lane(machine):
    a100 = TrainingDevice("cuda", 2, "NVIDIA A100-SXM4-40GB", 40, "sm_80")
    assert machine(modules=TORCH, cards=[CARD, H200]).training_device() == a100
    assert machine(modules=TORCH, cards=[H200]).training_device().memory_gib == 140
    assert machine(modules=TORCH).training_device() == TrainingDevice()
    assert machine(gpu="").training_runtime() == "cpu (stand-in)"
    runtime = machine(modules=TORCH, cards=[H200]).training_runtime()
    assert runtime == "NVIDIA H200 (140 GiB, sm_90, not an A100)"


def test_an_a100_is_a_whole_one(machine):
    assert machine(modules=TORCH, cards=[CARD]).why("a100") == ""
    assert machine(modules=TORCH, cards=[H200]).why("a100") == "the GPU is NVIDIA H200"
    part = {**CARD, "name": "NVIDIA A100 MIG 1g.5gb"}
    assert machine(modules=TORCH, cards=[part]).why("a100") == (
        "the GPU is NVIDIA A100 MIG 1g.5gb, a MIG slice and no whole card"
    )
    assert machine(gpu="").why("a100") == "'nvidia-smi -L' does not list a GPU"


@pytest.mark.parametrize(("name", "count"), [("cuda2", 2), ("cuda8", 8), ("cuda16", 8)])
def test_a_number_of_gpus_is_what_torch_sees(machine, name, count):
    given = {"modules": TORCH, "rendezvous": "host:1"}
    assert machine(cards=[CARD] * count, **given).why(name) == ""
    assert machine(cards=[CARD] * (count + 1), **given).present(name)
    few = machine(cards=[CARD] * (count - 1), **given)
    assert few.why(name) == f"torch sees {count - 1} GPUs"
    assert machine(gpu="", **given).why(name) == "'nvidia-smi -L' does not list a GPU"


def test_two_machines_have_to_meet(machine):
    made = machine(cards=[CARD] * 8, modules=TORCH)
    assert made.why("cuda16") == "--rendezvous names no second machine"


@pytest.mark.parametrize(
    ("name", "setting", "flag"),
    [
        ("coco", "coco_root", "--coco-root"),
        ("weights", "weights", "--weights"),
        ("all_images", "all_images", "--all-images"),
    ],
)
def test_what_is_given_is_present(machine, name, setting, flag):
    assert machine(**{setting: Path("x")}).why(name) == ""
    assert machine().why(name) == f"{flag} is not given"


def test_detectron2_is_in_the_export_interpreter(machine):
    assert machine(modules={"/export/python": {"detectron2": module()}}).why("detectron2") == ""
    found = machine(modules={"/infer/python": {"detectron2": module()}})
    assert found.why("detectron2") == "/export/python has no detectron2 (interpreter_export)"


@pytest.mark.parametrize(
    ("seen", "has"),
    [
        ({"torch": module("1.10.1")}, ""), ({"torch": module("1.10.0")}, ""),
        ({"torch": module("1.1")}, "torch 1.1"), ({"torch": module("1.100")}, "torch 1.100"),
        ({"torch": module("")}, "no torch"), ({}, "no torch"),
    ],
)  # fmt: skip
def test_the_source_exports_with_torch_1_10(machine, seen, has):
    why = f"the export interpreter has {has}, not torch 1.10 (interpreter_export)" if has else ""
    assert machine(modules={"/export/python": seen}).why("export_env") == why
