"""The float64 oracles against slow NumPy references that share no line with them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from plugins.drivers.process import Worker
from tests.oracles import overlap

HERE = Path(__file__).resolve().parent
CLASSES, LEVELS, ROWS = 3, 2, 30
RECIPE = {
    "topk_per_class": 20, "score_threshold": 0.05, "iou_threshold": 0.5, "max_size_per_class": 200,
    "max_total_size": 100,
}  # fmt: skip
STOCK = {"topk_per_level": 25, "score_threshold": 0.05, "iou_threshold": 0.5, "max_total_size": 100}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    log = tmp_path_factory.mktemp("oracle") / "worker.log"
    env = {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    with Worker("torch_roles", log=log, env=env) as worker:
        yield worker


def heads(seed: int) -> dict:
    """Logits, deltas and anchors of two levels; boxes crowd around the origin, where some
    coordinates are negative."""
    random = np.random.RandomState(seed)
    arrays = {}
    for level in range(LEVELS):
        corner = random.uniform(-60, 40, (ROWS, 2))
        side = random.uniform(20, 60, (ROWS, 2))
        arrays[f"logits{level}"] = random.normal(-2, 2, (ROWS, CLASSES))
        arrays[f"deltas{level}"] = random.normal(0, 0.3, (ROWS, 4))
        arrays[f"anchors{level}"] = np.concatenate([corner, corner + side], 1)
    arrays["deltas0"][0, 2] = 50.0  # beyond the clamp of the exponential
    return arrays


def decoded(delta, anchor) -> np.ndarray:
    """detectron2's rule in scalars."""
    width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x = anchor[0] + width / 2 + delta[0] * width
    y = anchor[1] + height / 2 + delta[1] * height
    width *= math.exp(min(delta[2], math.log(1000 / 16)))
    height *= math.exp(min(delta[3], math.log(1000 / 16)))
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def candidates(arrays: dict, chosen) -> list:
    """(score, label, box) of the chosen (level, row, class), best first."""
    rows = []
    for level, row, label in chosen:
        score = 1 / (1 + math.exp(-arrays[f"logits{level}"][row, label]))
        box = decoded(arrays[f"deltas{level}"][row], arrays[f"anchors{level}"][row])
        rows.append((score, label, box))
    return sorted(rows, key=lambda r: -r[0])


def best_of_each_class(arrays: dict, count: int):
    for level in range(LEVELS):
        logits = arrays[f"logits{level}"]
        for label in range(CLASSES):
            for row in np.argsort(-logits[:, label])[:count]:
                yield level, row, label


def near_ties_of_the_last(arrays: dict, count: int):
    """What rounding can put before the last of a class and level: within 0.15 logits of it."""
    for level in range(LEVELS):
        logits = arrays[f"logits{level}"]
        for label in range(CLASSES):
            order = np.argsort(-logits[:, label])
            last = logits[order[count - 1], label]
            for row in order[count : count + 56]:
                if logits[row, label] >= last - 0.15:
                    yield level, row, label


def best_of_each_level(arrays: dict, count: int, threshold: float):
    least = math.log(threshold / (1 - threshold))
    for level in range(LEVELS):
        logits = arrays[f"logits{level}"]
        pairs = [(logits[r, c], r, c) for r in range(ROWS) for c in range(CLASSES)]
        for logit, row, label in sorted(pairs, reverse=True)[:count]:
            if logit > least:
                yield level, row, label


def survivors(rows: list, per_class: int, total: int) -> list:
    """Indices that greedy NMS leaves above the threshold of 0.05, class by class, best first."""
    kept: list = []
    for index, (score, label, box) in enumerate(rows):
        mine = [k for k in kept if rows[k][1] == label]
        if score > 0.05 and all(overlap(rows[k][2], box) <= 0.5 for k in mine):
            kept.append(index)
    counted = [k for n, k in enumerate(kept)
               if sum(rows[j][1] == rows[k][1] for j in kept[:n]) < per_class]  # fmt: skip
    return counted[:total]


def table(rows: list) -> np.ndarray:
    return np.array([[score, label, *box] for score, label, box in rows]).reshape(-1, 6)


def found(arrays: dict, kind: str) -> np.ndarray:
    columns = [arrays[f"{kind}_{name}"] for name in ("scores", "labels", "boxes")]
    return np.concatenate([columns[0][:, None], columns[1][:, None], columns[2]], axis=1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("per_class", "total"), [(200, 100), (3, 100), (200, 5)])
def test_the_recipe_is_the_slow_reference_s(worker, seed, per_class, total):
    arrays, band = heads(seed), 0.5
    recipe = {**RECIPE, "max_size_per_class": per_class, "max_total_size": total}
    answer = worker.call(
        "judge", arrays=arrays, levels=LEVELS, recipe=recipe, stock=STOCK, band=band
    ).arrays
    rows = candidates(arrays, best_of_each_class(arrays, 20))
    kept = survivors(rows, per_class, total)
    lowest = rows[kept[-1]][0] if len(kept) == total else 0.05
    spare = candidates(arrays, near_ties_of_the_last(arrays, 20))
    near = [
        r
        for r in sorted(rows + spare, key=lambda r: -r[0])
        if math.log(r[0] / (1 - r[0])) >= math.log(lowest / (1 - lowest)) - band
    ]
    assert found(answer, "recipe") == pytest.approx(table(near), rel=1e-9)
    ranks = answer["recipe_kept"]
    result = found(answer, "recipe")[np.flatnonzero(ranks >= 0)]
    assert result == pytest.approx(table([rows[k] for k in kept]), rel=1e-9)
    assert ranks[ranks >= 0].tolist() == list(range(len(kept)))
    assert answer["recipe_over"] == [sum(score > 0.05 for score, _, _ in rows)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("total", [100, 4])
def test_stock_is_the_slow_reference_s(worker, seed, total):
    arrays, stock = heads(seed), {**STOCK, "max_total_size": total}
    answer = worker.call(
        "judge", arrays=arrays, levels=LEVELS, recipe=RECIPE, stock=stock, band=0.5
    ).arrays
    rows = candidates(arrays, best_of_each_level(arrays, 25, 0.05))
    wanted = [rows[k] for k in survivors(rows, 10**9, total)]
    assert found(answer, "stock") == pytest.approx(table(wanted), rel=1e-9)


def test_where_nothing_scores_nothing_is_found(worker):
    arrays = {k: v - 99 if k.startswith("logits") else v for k, v in heads(0).items()}
    answer = worker.call(
        "judge", arrays=arrays, levels=LEVELS, recipe=RECIPE, stock=STOCK, band=0.5
    ).arrays
    assert {k: len(v) for k, v in answer.items() if k != "recipe_over"} == {
        "stock_boxes": 0, "stock_scores": 0, "stock_labels": 0, "recipe_boxes": 0,
        "recipe_scores": 0, "recipe_labels": 0, "recipe_kept": 0,
    }  # fmt: skip


def test_a_box_left_of_and_above_the_image_meets_no_box_of_another_class(worker):
    """Moved by the largest coordinate, 131 px, the second would lie on the first. Both score 0.055,
    just above the threshold."""
    logit = math.log(0.055 / 0.945)
    arrays = {
        "logits0": np.array([[logit, -9.0], [-9.0, logit]]),
        "deltas0": np.zeros((2, 4)),
        "anchors0": np.array([[90.0, 90, 130, 130], [-41.0, -41, -1, -1]]),
    }
    recipe = {**RECIPE, "topk_per_class": 2}
    answer = worker.call(
        "judge", arrays=arrays, levels=1, recipe=recipe, stock=STOCK, band=0.5
    ).arrays
    assert sorted(answer["stock_labels"]) == [0, 1]
    assert sorted(answer["recipe_labels"][answer["recipe_kept"] >= 0]) == [0, 1]
