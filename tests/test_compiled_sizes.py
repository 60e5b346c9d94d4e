"""Which input sizes the compilation is judged at: on a real NPU all, the shipped one among them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugins.checks.compiled import check_options, check_placement
from plugins.contracts import load_all
from plugins.drivers.process import WorkerFailed
from plugins.failure import CheckFailure, Inconclusive

CONTRACT = load_all()["retinanet_r50_fpn_3x"]
SHIPPED, SMALL = (one.side for one in CONTRACT.input.sizes)


@pytest.fixture
def real_npu() -> bool:
    return True


@pytest.fixture
def faults() -> dict:
    """Side -> what is wrong when it is compiled."""
    return {}


@pytest.fixture
def compiled_case(faults) -> SimpleNamespace:
    """The small case of a subject with faults."""

    def compiled(backend, side) -> dict:
        if isinstance(faults.get(side), Exception):
            raise faults[side]
        sound = {"left_in_torch": {}, "options_not_known": [], "options": {"inputs": "unknown"}}
        return {**sound, **faults.get(side, {})}

    subject = SimpleNamespace(contract=CONTRACT, runs=SimpleNamespace(open=compiled))
    return SimpleNamespace(subject=subject, picture=SimpleNamespace(side=SMALL))


def judge(compiled_at) -> None:
    """As the chapter does."""
    for side, info in compiled_at.items():
        check_placement(info["left_in_torch"], CONTRACT.compile.left_in_torch, side=side)
        options = {name: info["options"][name] for name in info["options"] if name != "inputs"}
        check_options(info["options"], options, CONTRACT.input.shape(side))


def test_a_real_npu_is_judged_at_every_declared_size(compiled_at):
    assert list(compiled_at) == [SHIPPED, SMALL] == [1344, 704]
    judge(compiled_at)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"left_in_torch": {"aten::topk": 5}}, "5 nodes of 1 operators are not compiled at 1344x"),
        ({"options": {"inputs": "[1, 3, 704, 704]"}}, "1 of 1 options are others"),
    ],
)
def test_a_fault_of_the_shipped_size_alone_is_found(faults, fault, words, request):
    faults[SHIPPED] = fault
    with pytest.raises(CheckFailure) as failure:
        judge(request.getfixturevalue("compiled_at"))
    assert failure.value.actual.startswith(words)


def test_a_size_that_does_not_compile_is_left_to_the_clause_that_says_why(faults, request):
    faults[SHIPPED] = WorkerFailed("RuntimeError: E19999: Inner Error!")
    with pytest.raises(Inconclusive, match="^it does not compile at 1344x1344: see outputs.runs$"):
        request.getfixturevalue("compiled_at")


@pytest.mark.parametrize("real_npu", [False])
def test_the_emulator_is_judged_at_the_smallest_size_alone(compiled_at):
    assert list(compiled_at) == [SMALL]
