"""The door to torch_aie: a real one first, every option by name, and no silent emulation.

The real ones here are stand-ins that record how they are called; the emulator is ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.contracts import load_all
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Worker, WorkerRefused

HERE = Path(__file__).resolve().parent
OPTIONS = load_all()["retinanet_r50_fpn_3x"].compile.options()
PRELUDE = """
import os
import torch
SEEN = torch._C._jit_get_schemas_for_operator("aie::batch_nms")
if "SEEN_FILE" in os.environ:
    open(os.environ["SEEN_FILE"], "w").write(str(len(SEEN)))
CALLS = []
class PrecisionPolicy:
    FP16 = "the FP16 policy"
class Input:
    def __init__(self, shape, dtype):
        self.described = [list(shape), str(dtype)]
def set_device(number):
    CALLS.append(["set_device", number])
def record(**arguments):
    arguments["inputs"] = [i.described for i in arguments["inputs"]]
    CALLS.append(arguments)
    return "compiled"
"""
FIRST_RELEASE = """
def compile(module, inputs, precision_policy=None, *, truncate_long_and_double=True,
            require_full_compilation=False, allow_tensor_replace_int=False, min_block_size=3,
            torch_executed_ops=(), soc_version="Ascend310P3", optimization_level=0):
    return record(**{k: v for k, v in locals().items() if k != "torch_executed_ops"})
"""
OLDER_RELEASE = """
def compile(module, inputs, precision_policy=None, *, soc_version="Ascend310"):
    return record(**locals())
"""
LATER_RELEASE = """
def compile(module, ir="default", inputs=None, **kwargs):
    return record(module=module, ir=ir, inputs=inputs, **kwargs)
"""
WITHOUT_SIGNATURE = """
class Compile:
    __signature__ = "none"
    def __call__(self, module, **kwargs):
        return record(module=module, **kwargs)
compile = Compile()
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    log = tmp_path_factory.mktemp("adapter") / "worker.log"
    env = {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    with Worker("torch_roles", log=log, env=env) as worker:
        yield worker


@pytest.fixture(scope="module")
def emulating(tmp_path_factory):
    """Another process: what the emulator registers stays."""
    log = tmp_path_factory.mktemp("emulating") / "worker.log"
    env = {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    with Worker("torch_roles", log=log, env=env) as worker:
        yield worker


@pytest.fixture
def install(tmp_path):
    """Write a stand-in for a real runtime; the folder that it lies in."""

    def install(name: str, body: str = FIRST_RELEASE, prelude: str = PRELUDE) -> str:
        folder = tmp_path / f"{name}_installed"
        folder.mkdir()
        (folder / f"{name}.py").write_text(prelude + body)
        return str(folder)

    return install


def test_the_reference_runs_the_graph_as_it_is_written(worker):
    """torch 2.0 optimises after the first pass: the second would have other bits."""
    assert worker.call("optimised").result == {"inside": [False], "afterwards": True}


@pytest.mark.parametrize("name", ["torch_aie", "mindietorch"])
def test_a_real_runtime_is_preferred_to_the_emulator(worker, install, name):
    bound = worker.call("bind", folders=[install(name, '__version__ = "9.9"\n')]).result
    assert bound == {
        "name": name, "version": f"{name} 9.9", "emulated": False, "calls": [["set_device", 0]],
    }  # fmt: skip


def test_of_two_real_runtimes_the_newer_product_is_taken(worker, install):
    folders = [install("torch_aie"), install("mindietorch")]
    bound = worker.call("bind", folders=folders).result
    assert (bound["name"], bound["version"]) == ("mindietorch", "mindietorch of unknown version")


@pytest.mark.parametrize(
    ("prelude", "reason"),
    [
        ("raise ImportError('libascendcl.so: cannot open')", "libascendcl.so: cannot open"),
        ("raise SystemError", "SystemError()"),
        (
            "def set_device(n): raise RuntimeError('no device 0')",
            "no device 0",
        ),
    ],
)
def test_a_real_runtime_that_does_not_work_never_becomes_an_emulated_run(
    worker, install, prelude, reason
):
    with pytest.raises(WorkerRefused) as refusal:
        worker.call("bind", folders=[install("torch_aie", "", prelude)])
    assert str(refusal.value) == (
        f"torch_aie is installed but does not work: {reason}; source CANN's set_env.sh and use the "
        "torch that it was built for"
    )


def compiled(worker, install, release: str) -> dict:
    folders = [install("mindietorch", release)]
    return worker.call("compile_module", folders=folders, options=OPTIONS).result


EVERYTHING = {
    **OPTIONS,
    "module": "a module",
    "precision_policy": "the FP16 policy",
    "inputs": [[[1, 3, 8, 8], "torch.float32"], [[1, 2], "torch.float32"]],
}


@pytest.mark.parametrize(
    ("release", "more"),
    [(FIRST_RELEASE, {}), (LATER_RELEASE, {"ir": "ts"}), (WITHOUT_SIGNATURE, {})],
)
def test_every_option_goes_by_name_and_ir_only_where_it_is_known(worker, install, release, more):
    answer = compiled(worker, install, release)
    assert answer == {"compiled": "compiled", "unknown": [], "call": {**EVERYTHING, **more}}


def test_options_that_a_release_does_not_know_are_left_out_and_told(worker, install):
    answer = compiled(worker, install, OLDER_RELEASE)
    known = ("module", "inputs", "precision_policy", "soc_version")
    assert answer["call"] == {name: EVERYTHING[name] for name in known}
    assert answer["unknown"] == sorted(set(OPTIONS) - set(known))


def test_the_census_counts_what_runs_in_torch_wherever_it_stands(worker):
    counted = worker.call("left_in_torch").result
    assert counted["aten::relu"] == 2
    assert counted["aten::exp"] == 1
    assert not any("execute" in name for name in counted)


def test_our_operators_come_before_the_emulator_and_compute(emulating):
    answer = emulating.call("operators", library=str(ensure_library())).result
    assert answer == {"early": False, "emulated": True, "num": 1.0}


def test_our_operators_come_after_a_real_runtime_in_every_call(install, tmp_path):
    """The other way round, the real one's registration ends the process."""
    seen = tmp_path / "seen"
    env = {"PYTHONPATH": install("torch_aie"), "SEEN_FILE": str(seen), "OMP_NUM_THREADS": "1"}
    with Worker("infer", log=tmp_path / "infer.log", env=env) as worker:
        with pytest.raises(WorkerRefused, match="none.ts: no such file"):
            worker.call("describe", path="none.ts", library=str(ensure_library()))
        assert seen.read_text() == "0"
        versions = worker.call("versions", library=str(ensure_library())).result
    assert versions["emulated"] is False
    assert versions["runtime"] == "torch_aie of unknown version"


def test_few_models_stay_open_and_those_are_the_last_used(emulating):
    answer = emulating.call("turns", order=list("abcdabea")).result
    assert answer == {"made": list("abcde"), "held": list("dbea")}
    again = emulating.call("turns", order=["c"]).result
    assert again == {"made": ["c"], "held": list("beac")}
