"""A device NMS that never ran: our own operator, which agrees with itself, must not answer for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.operators import DEVICE_CORPUS, DeviceNms
from fixtures.subjects import SHIPPED
from plugins import contracts
from plugins.checks.compiled import check_placement
from plugins.checks.device_nms import check_device_nms
from plugins.checks.ops import batch_nms_reference
from plugins.contracts.operators import load_operators
from plugins.drivers.lab import Lab
from tests.training_records import failing

HOUSE = Path(__file__).resolve().parent.parent
CASE = DEVICE_CORPUS[0]
NMS = "aie::batch_nms"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Asks the NMS compiled with more options than the contract's."""
    run = tmp_path_factory.mktemp("run")
    lab = Lab(interpreters={}, artifacts=HOUSE / ".artifacts", run=run)
    options = contracts.load_all()[SHIPPED].compile.options()
    yield lambda **more: DeviceNms(lab, {**options, **more})(CASE.boxes, CASE.scores, CASE.options)
    lab.close()


def test_an_operator_on_the_device_leaves_nothing_in_torch(compiled):
    _, left = compiled()
    assert left == {}


def test_our_own_operator_in_its_place_agrees_and_fails_by_name(compiled):
    found, left = compiled(torch_executed_ops=[NMS])
    wanted = batch_nms_reference(CASE.boxes.astype("float16"), CASE.scores, CASE.options)
    check_device_nms(found, wanted, CASE, load_operators().device_nms)
    failure = failing(check_placement, left, [])
    assert (failure.what, failure.worst) == ("operators fell back to torch", [f"{NMS}: 1"])
