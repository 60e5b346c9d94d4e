"""Two artifacts in turns: alike passes, slower is called, noise is not, a wobbling machine is invalid."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from fixtures import parity
from plugins.checks.comparison import NEW, check_no_slower, compare, interval
from plugins.checks.throughput import steps_needed, tail, tail_text
from plugins.contracts import Comparison, load_all
from plugins.drivers import interleaved
from plugins.drivers.cache import file_digest
from plugins.drivers.lab import Lab
from plugins.failure import CheckFailure, Inconclusive

PLAN = Comparison("lab", 0.02, 0.01, 4, 12, 5, 0.05, 0.005, 1.03, "chosen here")


def measured(processes=2, *, slower=1.0, noise=0.01, seed=0, quads=12):
    """Seconds (processes, quads, 4, steps) of two artifacts, the new one `slower` times as slow."""
    random = np.random.RandomState(seed)
    seconds = 0.05 * np.exp(random.normal(0, noise, (processes, quads, 4, 5)))
    seconds[:, :, NEW] *= slower
    return seconds


@pytest.mark.parametrize(
    ("slower", "verdict"),
    [(1.0, "PASS"), (1.005, "PASS"), (1.05, "REGRESSED"), (2.0, "REGRESSED"), (0.9, "IMPROVED")],
)
def test_each_change_has_its_verdict(slower, verdict):
    found = compare(measured(slower=slower), PLAN)
    assert found.verdict == verdict
    assert found.low <= found.ratio <= found.high
    assert found.ratio == pytest.approx(slower, rel=0.01)


def test_a_regression_fails_with_its_figures_and_the_gates_own():
    found = compare(measured(slower=1.05), PLAN)
    with pytest.raises(CheckFailure, match="regressed against the old artifact") as failure:
        check_no_slower(found)
    assert failure.value.expected == "<= 1.02 (alarms 0.5 %, finds 1.03)"
    assert "24 quads in 2 processes" in failure.value.actual
    assert len(failure.value.worst) == 2


def test_what_passes_or_improved_or_was_not_asked_is_accepted():
    check_no_slower(compare(measured(), PLAN))
    check_no_slower(compare(measured(slower=0.8), PLAN))
    check_no_slower(None)


def test_a_card_that_was_disturbed_decides_nothing_however_clear_the_times():
    found = compare(measured(slower=2.0), PLAN, "40 % of the card's cores were in use")
    assert found.verdict == "INVALID"
    with pytest.raises(Inconclusive, match="INVALID comparison: 40 % of the card's cores"):
        check_no_slower(found)


def test_one_process_decides_nothing():
    found = compare(measured(1, slower=2.0), PLAN)
    assert found.verdict == "INCONCLUSIVE"
    with pytest.raises(Inconclusive, match="cannot be told yet"):
        check_no_slower(found)


def test_a_slowness_that_does_not_recur_is_not_decided():
    seconds = measured(3)
    seconds[:2, :, NEW] *= 1.5
    found = compare(seconds, PLAN)
    assert found.low > 1.02
    assert found.verdict == "INCONCLUSIVE"
    assert found.processes[1] > 1.4 > 1.02 > found.processes[2]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda s: s[0, 6:].__imul__(1.3), "within a process"),
        (lambda s: s[1].__imul__(1.3), "between processes"),
    ],
)
def test_a_machine_that_changes_its_pace_makes_the_comparison_invalid(spoil, why):
    seconds = measured()
    spoil(seconds)
    found = compare(seconds, PLAN)
    assert found.verdict == "INVALID"
    with pytest.raises(Inconclusive, match=f"INVALID comparison: .* {why}"):
        check_no_slower(found)


def test_a_drift_that_hits_both_alike_is_no_slowdown():
    over_quads = np.linspace(1, 1.04, 12)[:, None, None]
    within_quads = np.linspace(1, 1.12, 4)[:, None]
    assert compare(measured() * over_quads, PLAN).verdict == "PASS"
    assert compare(measured() * within_quads, PLAN).ratio == pytest.approx(1, abs=0.005)


def test_equal_artifacts_rarely_raise_an_alarm():
    verdicts = [compare(measured(noise=0.02, seed=seed), PLAN).verdict for seed in range(300)]
    assert sum(verdict in ("REGRESSED", "IMPROVED") for verdict in verdicts) <= 3
    assert verdicts.count("PASS") > 200


def test_a_change_on_the_margin_is_rarely_passed():
    runs = (measured(noise=0.02, seed=seed, slower=1.02) for seed in range(300))
    assert sum(compare(seconds, PLAN).verdict == "PASS" for seconds in runs) <= 8


def test_the_bounds_hold_as_often_as_they_promise():
    random = np.random.RandomState(0)
    missed = 0
    for _ in range(1000):
        _, low, high = interval(random.laplace(0.3, 1.0, 12), 0.05)
        missed += not low <= 0.3 <= high
    assert missed <= 120  # 5 % on each side; 120 of 1000 has a chance of 2 %


def test_too_few_values_have_no_bounds():
    assert interval(np.arange(6.0), 0.01)[1:] == (-np.inf, np.inf)
    assert interval(np.arange(7.0), 0.01)[1:] == (0.0, 6.0)  # all signs alike: 1 of 128


def test_a_class_that_nobody_calibrated_says_so():
    plan = Comparison("Ascend310P3", 0.02, 0.01, 4, 12, 5, 0.05, None, None, "not measured")
    assert compare(measured(), plan).promise() == "<= 1.02 (not calibrated here)"


def test_every_contract_plans_enough_quads_to_decide():
    for contract in load_all().values():
        for plan in contract.comparison:
            seconds = measured(2, quads=plan.quads, slower=1 + 2 * plan.margin, noise=1e-4)
            assert compare(seconds, plan).verdict == "REGRESSED", (contract.id, plan.machine)


class Equipment:
    """A lab of which only the end and the hashes are told."""

    def __init__(self, told: list) -> None:
        self.npu, self.told, self.hashes = 0, told, {"model of toy": "the judged"}

    def record(self, name: str, digest: str) -> None:
        self.hashes[name] = digest

    def close(self) -> None:
        self.told.append("closed")

    unrecorded = Lab.unrecorded
    digest_of = staticmethod(file_digest)


def test_the_artifacts_take_turns_in_a_worker_of_their_own(monkeypatch, tmp_path):
    told = []
    lab = Equipment(told)

    def subject(name):
        runs = SimpleNamespace(
            open=lambda backend, side: told.append(f"open {name}"),
            hold=lambda pictures: None,
            step=lambda backend, turn: told.append(name) or [9.0, 1.0 + turn, 9.0],
        )
        contract = SimpleNamespace(input=SimpleNamespace(sizes=[SimpleNamespace(side=256)]))
        return SimpleNamespace(runs=runs, contract=contract, lab=lab, id="toy")

    def made(contract, unrecorded, given):
        unrecorded.hashes["model of toy"] = "another"
        return subject("old")

    new = subject("new")
    judged = SimpleNamespace(lab=lab, id="toy", beside=lambda place, npu: new)
    monkeypatch.setattr(interleaved, "Subject", made)
    (tmp_path / "o.ts").write_bytes(b"old")
    file = tmp_path / "o.ts"
    found = interleaved.quads(
        judged, file, [], process=0, warmup=0, quads=2, steps=2, done=lambda: told.append("done")
    )
    assert lab.hashes == {
        "model of toy": "the judged",
        "what toy is compared with": hashlib.sha256(b"old").hexdigest(),
    }
    assert told == [
        *("open new", "open old"),
        *(2 * (["old"] * 2 + ["new"] * 4 + ["old"] * 2)),
        *("done", "closed"),
    ]
    np.testing.assert_array_equal(found, np.tile([1.0, 2.0], (2, 4, 1)))


@pytest.mark.parametrize(("share", "steps"), [(0.5, 8), (0.9, 51), (0.99, 528)])
def test_a_tail_needs_its_steps(share, steps):
    seconds = np.linspace(0.01, 0.02, steps)
    assert steps_needed(share, 0.99) == steps
    assert tail(seconds, share, 0.99) is not None
    assert tail(seconds[1:], share, 0.99) is None
    assert tail_text(seconds[1:], share, 0.99) == f"needs {steps} steps, has {steps - 1}"


def test_the_tails_interval_holds_whatever_the_times_are():
    random, held = np.random.RandomState(1), 0
    for _ in range(500):
        found = tail(random.exponential(size=200), 0.9, 0.95)
        held += found.low <= -np.log(0.1) <= found.high
    assert held >= 465  # 95 % promised


def test_a_tail_is_told_in_milliseconds():
    assert tail_text(np.arange(1, 101) / 1e3, 0.5, 0.99) == "50 ms (37 to 64)"
    assert tail(np.arange(1.0, 3001), 0.5, 0.99).value == 1500.0


def test_detectron2_s_twins_leave_no_hash_of_their_own(monkeypatch):
    lab = Equipment([])

    def made(contract, unrecorded, given):
        unrecorded.hashes["model of toy"] = f"another, {given}"
        return SimpleNamespace(runs=SimpleNamespace(outputs=lambda backend, picture: [given]))

    monkeypatch.setattr(parity, "Subject", made)
    subject = SimpleNamespace(lab=lab, contract=None, export=lambda side, by, source: source)
    case = SimpleNamespace(subject=subject, picture=SimpleNamespace(side=704))
    assert parity._outputs(case, "detectron2") == ["detectron2"]
    assert lab.hashes == {"model of toy": "the judged"}
