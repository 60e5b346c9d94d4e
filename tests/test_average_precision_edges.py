"""Precision, its mean and the resampled mean: by hand, or against copies instead of weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import average_precision, bootstrap
from plugins.checks.matching import BITS, Matches, Objects, match
from tests.scenes import scene

# --- precision and recall ---


@pytest.mark.parametrize(
    ("found", "ignored", "objects", "steps"),
    [
        ("1", "0", 1, [(101, 1.0)]),
        ("0", "0", 1, [(101, 0.0)]),
        ("", "", 3, [(101, 0.0)]),
        ("10", "00", 2, [(51, 1.0), (50, 0.0)]),
        ("01", "00", 2, [(51, 0.5), (50, 0.0)]),
        ("01", "10", 2, [(51, 1.0), (50, 0.0)]),
        ("1001", "0000", 2, [(51, 1.0), (50, 0.5)]),
        ("1001", "0110", 2, [(101, 1.0)]),
        ("0011", "0000", 2, [(101, 0.5)]),
        ("1011", "0000", 4, [(26, 1.0), (50, 0.75), (25, 0.0)]),
    ],
)
def test_precision_is_the_greatest_from_a_recall_on(found, ignored, objects, steps):
    values = average_precision.interpolated(
        np.array([c == "1" for c in found], bool),
        np.array([c == "1" for c in ignored], bool),
        objects,
    )
    expected = np.concatenate([np.full(count, value) for count, value in steps])
    assert values == pytest.approx(expected, abs=1e-12)


def few(found, rank=None, category=None, counted=(0, 0, 2)) -> Matches:
    """Matches alike at all thresholds and in all ranges; objects of categories 0 and 2, none of 1."""
    n = len(found)
    category = np.array(category or [0] * n)
    crowd = np.zeros(len(counted), bool)
    area = np.full(len(counted), 2000.0)
    objects = Objects(
        np.arange(4),
        np.array([1, 3, 7]),
        np.arange(len(counted)),
        np.array(counted),
        np.zeros((len(counted), 4)),
        area,
        crowd,
    )
    hits = np.broadcast_to(np.where(found, BITS.sum(), 0)[:, None], (n, 4)).astype(np.uint16)
    none = np.zeros_like(hits)
    rank, image = np.array(rank or [0] * n), np.arange(n) % 4
    boxes, scores = np.zeros((n, 4)), np.linspace(0.9, 0.1, n)
    return Matches(objects, image, category, rank, boxes, scores, hits, none, np.full(n, -1))


def test_a_class_without_objects_has_no_curve_and_no_mean_counts_it():
    found = few([1, 0, 1, 1], category=[0, 0, 0, 2])
    precision, recall = average_precision.curves(found)
    assert precision.shape == (10, 101, 3) and recall.shape == (10, 3)
    assert (precision[:, :, 1] == -1).all() and (recall == [1.0, -1.0, 1.0]).all()
    ap = (51 + 50 * 2 / 3) / 101
    figures = average_precision.statistics(found)
    assert figures["AP"] == pytest.approx(100 * (ap + 1) / 2)
    assert figures["AR 100"] == 100.0
    assert figures["AP small"] == -100.0 and figures["AR large"] == -100.0


def test_only_detections_of_a_low_rank_count_towards_a_few():
    found = few([1, 1, 1, 1], rank=[0, 1, 9, 10], counted=[0] * 4)
    for most, recall in ((1, 0.25), (2, 0.5), (10, 0.75), (100, 1.0)):
        assert (average_precision.curves(found, "all", most)[1][:, 0] == recall).all()
    figures = average_precision.statistics(found)
    assert [figures[f"AR {n}"] for n in (1, 10, 100)] == [25.0, 75.0, 100.0]


def test_each_statistic_is_of_its_thresholds_and_its_range():
    """Found up to IoU 0.5, 0.7 and 0.75; of one range after another."""
    for reached, share in ((1, 10.0), (5, 50.0), (6, 60.0), (10, 100.0)):
        found = few([1], counted=[0])
        found.found[:] = BITS[:reached].sum()
        figures = average_precision.statistics(found)
        assert figures["AP"] == pytest.approx(share) and figures["AR 100"] == pytest.approx(share)
        assert figures["AP50"] == pytest.approx(100.0)
        assert figures["AP75"] == pytest.approx(100.0 * (reached > 5))
    for column, area in ((1, "small"), (2, "medium"), (3, "large")):
        found = few([1], counted=[0])
        found.objects.area[:] = {"small": 100.0, "medium": 2000.0, "large": 20000.0}[area]
        found.found[:] = 0
        found.found[:, column] = BITS.sum()
        figures = average_precision.statistics(found)
        assert [name for name in figures if figures[name] == pytest.approx(100.0)] == [
            f"AP {area}",
            f"AR {area}",
        ]


# --- resamples ---


def test_a_resample_counts_an_image_fifteen_times_at_most():
    assert bootstrap.draw(1, 3, 0).tolist() == [[1, 1, 1]]
    drawn = bootstrap.draw(30, 4, 5)
    assert drawn.dtype == np.uint8 and drawn.flags["C_CONTIGUOUS"]
    random = np.random.RandomState(5)
    for column in drawn.T:
        assert column.tolist() == np.bincount(random.randint(0, 30, 30), minlength=30).tolist()


def test_a_weight_beyond_fifteen_is_cut(monkeypatch):
    monkeypatch.setattr(
        bootstrap.np.random,
        "RandomState",
        lambda seed: SimpleNamespace(randint=lambda low, high, n: np.zeros(n, int)),
    )
    assert bootstrap.draw(20, 1, 0)[:, 0].tolist() == [15] + [0] * 19
    assert bootstrap.draw(15, 1, 0)[0, 0] == 15


def slow_map(found, weights) -> list[float]:
    """mAP of copies: each detection and each object as often as its image."""
    answer = []
    for column in weights.T:
        values = []
        for k, mine in enumerate(found.of_category()):
            times = column[found.image[mine]]
            plain = (found.objects.category == k) & ~found.objects.ignored[:, 0]
            objects = int(column[found.objects.image[plain]].sum())
            if objects:
                values += [
                    average_precision.interpolated(
                        *(np.repeat(flags[:, t], times) for flags in found.judged(mine, 0)),
                        objects,
                    ).mean()
                    for t in range(10)
                ]
        answer.append(100 * np.mean(values) if values else np.nan)
    return answer


def test_a_class_with_one_object_counts_as_much_as_any():
    found = few([1, 0, 1], category=[0, 0, 2], counted=[0, 2])
    weights = np.array([[1, 1], [1, 1], [1, 1], [1, 0]], np.uint8)
    assert bootstrap.mean_average_precision(found, weights) == pytest.approx([100, 100], abs=0.1)


@pytest.mark.parametrize(
    ("together", "block", "width", "cached"),
    [(16, 1 << 23, 250, 1 << 17), (1, 64, 3, 6), (3, 1 << 23, 4, 20), (2, 1, 1, 1)],
)
def test_a_weight_is_so_many_copies_however_many_are_summed_together(
    monkeypatch, together, block, width, cached
):
    for name, value in (
        ("TOGETHER", together),
        ("BLOCK", block),
        ("WIDE", width),
        ("CACHED", cached),
    ):
        monkeypatch.setattr(bootstrap, name, value)
    found, random = match(*scene(7, images=23)), np.random.RandomState(0)
    weights = random.choice([0, 0, 1, 2, 15], (23, 9)).astype(np.uint8)
    weights[:, 0], weights[:, 1] = 1, 15
    obtained = bootstrap.mean_average_precision(found, weights)
    assert obtained == pytest.approx(slow_map(found, weights), abs=0.01)
    assert obtained[0] == pytest.approx(obtained[1], abs=1e-3)


def test_a_resample_without_objects_has_no_map():
    found = match(*scene(7, images=23))
    weights = np.zeros((23, 2), np.uint8)
    weights[:, 1] = 1
    obtained = bootstrap.mean_average_precision(found, weights)
    assert np.isnan(obtained[0]) and np.isfinite(obtained[1])


def test_objects_and_the_sums_of_detections_are_weighted_by_image():
    found, random = match(*scene(7, images=23)), np.random.RandomState(1)
    weights = random.randint(0, 16, (23, 3)).astype(np.uint8)
    counted = bootstrap._weighted_objects(found.objects, weights)
    for k in range(3):
        plain = (found.objects.category == k) & ~found.objects.crowd
        assert counted[k].tolist() == weights[found.objects.image[plain]].sum(0).tolist()
    at = np.array([0, 1, 15, 16, 17, 40, 149])
    sums = bootstrap._running(found.image, at, weights)
    assert np.array_equal(sums, weights[found.image].cumsum(0)[at])
    out = np.array([0, 3, 17])
    passed = bootstrap._passed(found.image[out], out, np.array([0, 2, 3, 17, 30]), weights)
    expected = np.cumsum([np.zeros(3), *weights[found.image[out]].astype(float)], 0)
    assert np.array_equal(passed, expected[[1, 1, 2, 3, 3]])


@pytest.mark.parametrize(
    ("drawn", "judged", "objects", "total"),
    [
        ([1], [1], 1, 101.0),
        ([1], [2], 1, 50.5),
        ([1], [1], 2, 51.0),
        ([2], [2], 4, 51.0),
        ([0, 1], [0, 1], 1, 101.0),
        ([0, 1], [3, 4], 1, 25.25),
        ([1, 1], [1, 4], 2, 51 + 25.0),
        ([1, 1], [4, 4], 2, 50.5),
        ([1, 1, 1], [1, 3, 4], 3, 34 + 67 * 0.75),
        ([1], [1], 0, 0.0),
        ([1, 2], [1, 3], 3, 101.0),
    ],
)
def test_each_recall_point_is_paid_by_the_find_that_reaches_it_first(drawn, judged, objects, total):
    found = bootstrap._interpolated(
        np.array(drawn, np.uint8)[:, None],
        np.array(judged, np.float32)[:, None],
        np.array([objects], np.float32),
    )
    assert found[0] == pytest.approx(total, rel=1e-5)


def test_running_sums_are_made_in_place():
    rows = np.array([[1.0, 2], [3, 4], [5, 6]])
    assert bootstrap._summed(rows) is rows and rows.tolist() == [[1, 2], [4, 6], [9, 12]]
