"""Faults of evaluations: what is found is told wrongly, or the look leaves a trace."""

from __future__ import annotations

import contextlib

import evaluate
import numpy as np
import torch


def _found(change):
    """The rows of an image, changed: (n, 7) image_id, x, y, w, h, score, category_id."""
    rows = evaluate._rows
    evaluate._rows = lambda target, output: change(rows(target, output), target)


def _columns(**values):
    places = {"x": 1, "y": 2, "w": 3, "h": 4, "score": 5, "category": 6}

    def fault(rows, target):
        rows = rows.copy()
        before = rows.copy()
        for name, change in values.items():
            rows[:, places[name]] = change({k: before[:, i] for k, i in places.items()})
        return rows

    _found(fault)


def category_shifted():
    _columns(category=lambda t: t["category"] + 1)


def category_contiguous():
    """Places in a list of the four categories, not their ids."""
    _columns(category=lambda t: np.searchsorted([1, 3, 4, 7], t["category"]))


def xyxy():
    _columns(w=lambda t: t["x"] + t["w"], h=lambda t: t["y"] + t["h"])


def centres():
    _columns(x=lambda t: t["x"] + t["w"] / 2, y=lambda t: t["y"] + t["h"] / 2)


def half_a_pixel():
    _columns(x=lambda t: t["x"] + 0.5, y=lambda t: t["y"] + 0.5)


def scores_reversed():
    _columns(score=lambda t: 1 - t["score"])


def scores_in_percent():
    """The order is all that COCO's score uses."""
    _columns(score=lambda t: 100 * t["score"])


def scores_alike():
    _columns(score=lambda t: 0 * t["score"] + 0.5)


def not_resized_back():
    """Boxes stay in px of the network's input."""
    find = evaluate._found

    def fault(network, loader, device):
        network.transform.postprocess = lambda found, shapes, originals: found
        try:
            return find(network, loader, device)
        finally:
            del network.transform.postprocess

    evaluate._found = fault


def image_ids_by_place():
    """Detections are numbered by the order of images, not by their ids."""
    seen: dict = {}
    _found(
        lambda rows, target: _numbered(rows, seen.setdefault(int(target["image_id"]), len(seen)))
    )


def _numbered(rows, place):
    return np.hstack([np.full((len(rows), 1), float(place)), rows[:, 1:]])


def half_of_the_images():
    _found(lambda rows, target: rows[: len(rows) * (int(target["image_id"]) % 2)])


def found_twice():
    """Each detection comes twice, as from two ranks that padded their shares alike."""
    _found(lambda rows, target: np.vstack([rows, rows]))


def stays_in_eval():
    """Training goes on with a network of which a part was left in eval mode."""

    @contextlib.contextmanager
    def fault(network):
        network.eval()
        yield
        network.train()
        network.backbone.eval()

    evaluate._evaluating = fault


def draws_from_the_training():
    find = evaluate._found

    def fault(*args):
        torch.rand(1)
        return find(*args)

    evaluate._found = fault


def changes_a_weight():
    find = evaluate._found

    def fault(network, *args):
        table = find(network, *args)
        with torch.no_grad():
            network.head.regression_head.bbox_reg.bias[0] += 1e-7
        return table

    evaluate._found = fault


def score_threshold_high():
    """What is not quite sure is not reported."""

    @contextlib.contextmanager
    def fault(network):
        threshold, network.score_thresh = network.score_thresh, 0.5
        network.eval()
        yield
        network.score_thresh = threshold
        network.train()

    evaluate._evaluating = fault
