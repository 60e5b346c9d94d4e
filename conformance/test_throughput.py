"""The throughput: images per second at batch 1, on the device's own clock, on real images."""

import pytest

from plugins.checks.comparison import check_no_slower
from plugins.checks.throughput import (
    check_clock,
    check_complete,
    check_rate,
    floor_text,
    tail_text,
)

pytestmark = pytest.mark.npu


@pytest.mark.clause("throughput.compute")
def test_compute_alone_holds_its_floor_and_is_no_slower_than_before(
    timed_steps, compared, contract, npu_runtime, real_npu, figure
):
    """What the source publishes: without the copies to and from the device."""
    timing = timed_steps(copies=False)
    rate = timing.rate(copies=False)
    floor = floor_text(contract.throughput, npu_runtime)
    figure("compute", rate, "img/s", expected=floor, images=1)
    if compared:
        figure(f"old time, {compared.verdict}", compared.ratio, "times", compared.promise())
    check_complete(timing)
    check_rate(rate, contract.throughput, npu_runtime, required=real_npu)
    check_no_slower(compared)


@pytest.mark.clause("throughput.with_copies")
def test_a_whole_step_is_measured_too(timed_steps, contract, npu_runtime, figure):
    """What a user gets: copy in, compute, copy out. It has no published floor."""
    timing = timed_steps(copies=True)
    figure("with copies", timing.rate(copies=True), "img/s", images=1)
    for share in contract.timing.tail:
        text = tail_text(timing.seconds.sum(1), share, contract.timing.tail_confidence)
        figure(f"p{100 * share:g}", text)
    check_complete(timing)


@pytest.mark.clause("throughput.clock")
def test_the_clock_tells_what_has_passed(timed_steps, contract):
    """Synchronised at each border, whole, warmed up, on real inputs, none of them from a cache."""
    plan = contract.timing
    check_clock(timed_steps(copies=True), plan.accounted, plan.known_input)
