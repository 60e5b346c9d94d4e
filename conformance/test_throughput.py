"""The throughput: images per second at batch 1, on the device's own clock, on real images."""

import pytest

from plugins.checks.throughput import check_complete, check_rate, floor_text

pytestmark = pytest.mark.npu


@pytest.mark.clause("throughput.compute")
def test_compute_alone_holds_its_floor(timed_steps, contract, npu_runtime, figure):
    """What the source publishes: without the copies to and from the device."""
    timing = timed_steps(copies=False)
    rate = timing.rate(copies=False)
    figure("compute", rate, "img/s", expected=floor_text(contract.throughput, npu_runtime))
    check_complete(timing)
    check_rate(rate, contract.throughput, npu_runtime)


@pytest.mark.clause("throughput.with_copies")
def test_a_whole_step_is_measured_too(timed_steps, npu_runtime, figure):
    """What a user gets: copy in, compute, copy out. It has no published floor."""
    timing = timed_steps(copies=True)
    figure("with copies", timing.rate(copies=True), "img/s")
    check_complete(timing)
