"""How sure a loss is, at the edges: the margin itself, an error of nothing, one image that leans."""

from __future__ import annotations

from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import noninferiority, sequential
from plugins.checks.noninferiority import Paired, bound, check_not_inferior
from plugins.checks.sequential import Decision, Look
from plugins.failure import Inconclusive
from tests.training_records import failing


def matched(*images: int, found=()) -> SimpleNamespace:
    """Matches as far as they are asked for: images, and on which an object is found."""
    objects = SimpleNamespace(images=np.array(images))
    rows = np.arange(len(images))
    what = np.array([0 if k in found else -1 for k in rows])
    return SimpleNamespace(objects=objects, image=rows, what=what)


def paired(low: float, high: float, margin: float = 1.0) -> Paired:
    ten = matched(*range(10))
    return Paired(ten, ten, 0.5, low, high, 0.25, margin, 0.01, 0.02)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 1.0, "PASS"),
        (0.0, 1.001, "INCONCLUSIVE"),
        (1.0, 2.0, "INCONCLUSIVE"),
        (1.001, 2.0, "WORSE"),
        (-np.inf, np.inf, "INCONCLUSIVE"),
        (-np.inf, 0.5, "PASS"),
        (2.0, np.inf, "WORSE"),
    ],
)
def test_a_verdict_is_where_the_bounds_lie_beside_the_margin(low, high, verdict):
    assert paired(low, high).verdict == verdict


def test_a_measurement_is_told_with_its_errors():
    assert paired(0.1, 0.9).text() == (
        "0.5 points lost, 0.1 to 0.9 at 98 and 99 % on 10 images; a loss of 0.25 would show"
    )


def test_only_what_is_sure_passes_or_fails(monkeypatch):
    monkeypatch.setattr(noninferiority, "explain", lambda device, reference: ["a line"])
    check_not_inferior(paired(0.0, 1.0))
    with pytest.raises(
        Inconclusive, match="at most 1 points lost, surely, cannot be told yet: 0.5"
    ):
        check_not_inferior(paired(0.0, 2.0))
    failure = failing(check_not_inferior, paired(1.5, 2.0))
    assert failure.what == "mAP falls behind the reference"
    assert (failure.needed, failure.worst) == ("drop 1.5 points", ["a line"])


def test_an_error_of_nothing_is_no_bound():
    assert bound(np.array([1.0, 2.0, 3.0]), 2.0, 0.0) == np.inf


def even(count: int = 1001, spread: float = 2.0) -> np.ndarray:
    """Normal quantiles: their skewness is 0."""
    places = (np.arange(count) + 0.5) / count
    return 5 + spread * np.array([NormalDist().inv_cdf(p) for p in places])


@pytest.mark.parametrize("error", [0.01, 0.05])
def test_a_bound_of_resamples_that_do_not_lean_is_the_normal_one(error):
    values = even()
    factor = NormalDist().inv_cdf(1 - error)
    expected = 7 + factor * values.std(ddof=1)
    assert bound(values, 7.0, error) == pytest.approx(expected, rel=1e-6)


def test_a_bound_is_wider_where_the_resamples_lean_that_way_and_no_narrower_where_they_do_not():
    values = np.exp(even(spread=0.5) - 5)
    factor, spread = NormalDist().inv_cdf(0.99), values.std(ddof=1)
    lean = ((values - values.mean()) ** 3).mean() / spread**3
    wide = factor + lean * (2 * factor**2 + 1) / 6
    assert bound(values, 9.0, 0.01) == pytest.approx(9 + wide * spread)
    assert bound(-values, 9.0, 0.01) == pytest.approx(9 + factor * spread)


def test_a_bound_is_never_nearer_than_the_resamples_own_quantile():
    values = even()
    assert bound(values, -50.0, 0.05) == pytest.approx(np.quantile(values, 0.95))
    assert bound(np.full(9, 3.0), 1.0, 0.05) == 3.0
    assert bound(np.full(9, 3.0), 4.0, 0.05) == 4.0


@pytest.fixture
def resampled(monkeypatch):
    """mAP of each resample of what is given: its own `values`, on whatever was drawn."""
    seen = {}

    def draw(images, resamples, seed):
        seen.update(images=images, resamples=resamples, seed=seed)
        return "weights"

    monkeypatch.setattr(noninferiority, "draw", draw)
    monkeypatch.setattr(
        noninferiority, "mean_average_precision", lambda one, weights: np.array(one.values)
    )
    monkeypatch.setattr(noninferiority, "statistics", lambda one: {"AP": one.ap})
    return seen


def with_values(ap: float, values, *images: int) -> SimpleNamespace:
    made = matched(*(images or (1, 2, 3)))
    made.values, made.ap = values, ap
    return made


@pytest.mark.parametrize(("accept", "reject"), [(0.05, 0.01), (0.05, 0.0), (0.0, 0.01)])
def test_both_bounds_and_the_detectable_loss_come_from_the_same_resamples(
    resampled, accept, reject
):
    values = even(spread=0.5)
    device = with_values(40.0, np.append(0 * values, np.nan))
    reference = with_values(42.5, np.append(values, 1.0))
    found = noninferiority.compare(
        device, reference, margin=3.0, accept=accept, reject=reject, resamples=7, seed=8
    )
    assert resampled == {"images": 3, "resamples": 7, "seed": 8}
    assert (found.lost, found.margin, found.images) == (2.5, 3.0, 3)
    assert (found.accept, found.reject) == (accept, reject)
    assert found.high == bound(values, 2.5, accept)
    assert found.low == -bound(-values, -2.5, reject)
    factor = NormalDist().inv_cdf(1 - (reject or accept)) + NormalDist().inv_cdf(0.9)
    assert found.detectable == pytest.approx(factor * values.std(ddof=1))


def test_two_sets_of_images_are_not_compared(resampled):
    one, other = with_values(1.0, [1.0]), with_values(1.0, [1.0], 1, 2, 4)
    named = {"margin": 1.0, "accept": 0.1, "reject": 0.1, "resamples": 1, "seed": 1}
    failure = failing(noninferiority.compare, one, other, **named)
    assert failure.what == "device and reference were judged on different images"


# --- looks ---

LOOKS = [Look(10, 0.0, 0.01), Look(20, 0.02, 0.03), Look(30, 0.04, 0.05)]


@pytest.fixture
def decided(monkeypatch):
    """Decide by verdicts that are given; (decision, what each look asked)."""

    def run(*verdicts: str, device=(0, 1), reference=(0, 1), whole=None):
        asked, told = [], iter(verdicts)

        def compare(one, other, **named):
            asked.append((len(one.objects.images), named))
            return SimpleNamespace(verdict=next(told))

        monkeypatch.setattr(sequential, "compare", compare)
        decision = sequential.decide(
            LOOKS,
            lambda n: (matched(*range(n), found=device), matched(*range(n), found=reference)),
            margin=1.5,
            resamples=9,
            seed=4,
            whole=whole,
        )
        return decision, asked

    return run


OPEN = "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("verdicts", "taken"),
    [(["WORSE"], 1), (["PASS"], 1), ([OPEN, "PASS"], 2), ([OPEN, OPEN, OPEN], 3), ([OPEN, OPEN, "WORSE"], 3)],
)  # fmt: skip
def test_looks_are_taken_until_one_decides(decided, verdicts, taken):
    decision, asked = decided(*verdicts)
    assert [images for images, _ in asked] == [10, 20, 30][:taken]
    assert decision.last.verdict == verdicts[-1]
    assert all(
        (named["margin"], named["resamples"], named["seed"]) == (1.5, 9, 4) for _, named in asked
    )
    assert [(named["accept"], named["reject"]) for _, named in asked] == [
        (look.accept, look.reject) for look in LOOKS[:taken]
    ]


@pytest.mark.parametrize(("whole", "last"), [(30, 0.04), (31, 0.0), (None, 0.0)])
def test_while_an_image_is_lost_entirely_only_the_whole_set_may_pass(decided, whole, last):
    _, asked = decided(OPEN, OPEN, OPEN, device=(0,), reference=(0, 1), whole=whole)
    assert [named["accept"] for _, named in asked] == [0.0, 0.0, last]
    assert [named["reject"] for _, named in asked] == [0.01, 0.03, 0.05]
    _, asked = decided(OPEN, OPEN, OPEN, device=(0, 1), reference=(0,))
    assert [named["accept"] for _, named in asked] == [0.0, 0.02, 0.04]


@pytest.mark.parametrize(
    ("device", "reference", "lost"),
    [((), (0, 1), 2), ((0,), (0, 1), 1), ((0, 1), (), 0), ((1,), (0,), 1)],
)
def test_an_image_is_lost_where_the_reference_finds_some_and_the_device_none(
    device, reference, lost
):
    sides = matched(7, 8, 9, found=device), matched(7, 8, 9, found=reference)
    assert sequential.lost_images(*sides) == lost


def test_errors_are_spent_by_the_looks_that_were_taken():
    assert Decision(LOOKS, []).spent == (0, 0)
    assert Decision(LOOKS, [None]).spent == (0.0, 0.01)
    assert Decision(LOOKS, [None] * 3).spent == pytest.approx((0.06, 0.09))
    (only,) = sequential.only_the_last(LOOKS)
    assert only == Look(30, pytest.approx(0.06), pytest.approx(0.09))


def test_a_look_that_may_tell_nothing_has_no_detectable_loss(resampled):
    device, reference = with_values(40.0, even()), with_values(41.0, even())
    plan = {"margin": 3.0, "accept": 0.0, "reject": 0.0, "resamples": 7, "seed": 8}
    found = noninferiority.compare(device, reference, **plan)
    assert np.isnan(found.detectable) and found.verdict == "INCONCLUSIVE"
