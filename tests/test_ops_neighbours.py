"""libmmdet_ops.so in a process where another library registers the namespace `aie` too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.drivers.ops_library import ensure_library

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("OPS_TEST_PYTHON", sys.executable)
FACTS = """import json, os, torch
root, new_abi = os.path.dirname(torch.__file__), torch.compiled_with_cxx11_abi()
print(json.dumps([root, torch.__version__, new_abi]))
"""
# argv: the libraries in the order of loading. Two identical boxes: one survives if it is computed.
LOAD_AND_RUN = """import ctypes, json, sys, torch
for path in sys.argv[1:]:
    torch.ops.load_library(path)
    handle = ctypes.CDLL(path)
    if hasattr(handle, "mmdet_ops_load_error"):
        handle.mmdet_ops_load_error.restype = ctypes.c_char_p
        problem = handle.mmdet_ops_load_error().decode()
aie, same = torch.ops.aie, torch.tensor([0., 0., 8., 8.]).expand(1, 2, 1, 4)
found = {"problem": problem}
if not problem:
    for device in ("cpu", "meta"):
        out = aie.batch_nms(same.to(device), torch.tensor([[[.9], [.8]]]).to(device), .05, .5, 2, 3)
        features = torch.full((1, 1, 4, 4), 7.).to(device)
        rois = torch.tensor([[0., 0., 0., 8., 8.]]).to(device)
        pooled = aie.roi_extractor([features], rois, True, 56, 1, 1, "avg", 0, 0, [.25])
        found[device] = [list(out[2].shape), pooled.dtype.is_floating_point]
        if device == "cpu":
            found["num"], found["pooled"] = float(out[3]), float(pooled)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def library() -> Path:
    return ensure_library(PYTHON)


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory) -> Path:
    """A library that has registered aie::batch_nms and aie::roi_extractor, answering ones."""
    facts = subprocess.run([PYTHON, "-c", FACTS], capture_output=True, text=True, check=True)
    root, version, new_abi = json.loads(facts.stdout)
    made = tmp_path_factory.mktemp("neighbour") / "libneighbour.so"
    include = [f"-isystem{root}/include", f"-isystem{root}/include/torch/csrc/api/include"]
    standard = "-std=c++14" if version.startswith("1.") else "-std=c++17"
    flags = ["-shared", "-fPIC", standard, f"-D_GLIBCXX_USE_CXX11_ABI={int(new_abi)}", *include]
    link = [f"-L{root}/lib", "-lc10", "-ltorch_cpu"]
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    command = [compiler, *flags, str(HERE / "neighbour.cpp"), "-o", str(made), *link]
    subprocess.run(command, check=True)
    return made


def load_and_run(*paths: Path, **env: str) -> subprocess.CompletedProcess:
    command = [PYTHON, "-c", LOAD_AND_RUN, *map(str, paths)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_loaded_after_a_placeholder_of_the_same_types_ours_computes(neighbour, library):
    run = load_and_run(neighbour, library)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["problem"] == ""
    assert (found["num"], found["pooled"]) == (1.0, 7.0)
    assert found["cpu"] == found["meta"] == [[3], True]


def test_loaded_after_a_library_of_other_types_ours_says_so_and_the_process_lives(
    neighbour, library
):
    run = load_and_run(neighbour, library, NEIGHBOUR_TYPES="other")
    assert run.returncode == 0, run.stderr
    problem = json.loads(run.stdout)["problem"]
    assert problem.startswith(
        "aie::batch_nms is already registered by another library as "
        "`aie::batch_nms(Tensor _0, Tensor _1) -> "
    )
    assert problem.endswith("load one of the two libraries, not both")
    assert f"mmdet_ops: {problem}" in run.stderr


def test_loaded_before_a_placeholder_the_placeholder_ends_the_process_and_torch_names_both(
    neighbour, library
):
    run = load_and_run(library, neighbour)
    assert run.returncode != 0
    for named in ("aie::batch_nms", "multiple times", "neighbour.cpp", "schema.cpp"):
        assert named in run.stderr
