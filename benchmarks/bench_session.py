"""What a session costs before it judges anything, and what emulation adds to a forward pass."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HOUSE = Path(__file__).parents[1]
COLLECT = """
import sys, pytest
code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"])
assert not {"torch", "torchvision", "torch_aie", "detectron2"} & set(sys.modules)
sys.exit(code)
"""


def children() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark(timer=children)
@pytest.mark.parametrize("who", ["ours", "pytest on one empty test"])
def bench_collection(rival, who, tmp_path):
    """The whole suite, in an interpreter of its own; no framework may have been imported."""
    (tmp_path / "test_empty.py").write_text("def test_nothing(): pass\n")

    def collect():
        place = HOUSE if who == "ours" else tmp_path
        subprocess.run([sys.executable, "-c", COLLECT], cwd=place, check=True, stdout=-3)

    rival("collection of the whole suite", who, collect, rounds=5)


@pytest.fixture(scope="module")
def network():
    """Backbone and heads of the shipped model, traced at 448 px."""
    import model

    from plugins.contracts import load_all

    torch.set_num_threads(1)
    contract = load_all()["retinanet_r50_fpn_3x"]
    spec = {**vars(contract.architecture), "mean": contract.input.mean}
    whole = model.RetinaNet(spec).eval()

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = whole

        def forward(self, x):
            logits, deltas, _ = self.whole(x)
            return tuple(logits) + tuple(deltas)

    x = torch.zeros(1, 3, 448, 448)
    with torch.no_grad():
        return torch.jit.trace(Heads(), x, check_trace=False), x


@pytest.mark.parametrize("who", ["ours", "plain forward"])
def bench_emulation(rival, network, who):
    traced, x = network
    sys.path.insert(0, str(HOUSE / "plugins" / "workers" / "emulator"))
    import torch_aie

    with torch.no_grad():
        traced(x), traced(x)
    half = torch_aie.PrecisionPolicy.FP16
    compiled = torch_aie.compile(traced, [torch_aie.Input([1, 3, 448, 448])], half)
    stream, device = torch_aie.npu.Stream(), x.to("npu:0")

    def ours():
        with torch_aie.npu.stream(stream):
            compiled(device)
        stream.synchronize()

    def plain():
        with torch.no_grad():
            traced(x)

    work = ours if who == "ours" else plain
    rival("a forward pass at 448 px, emulated", who, work, rounds=5)
