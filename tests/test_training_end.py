"""How a run ends, on what it ran, and what it found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from plugins.checks import training_end as end
from plugins.checks.accuracy import score
from tests.training_records import failing

# --- G13: the end ---


def events(*last: dict, ranks: int = 2) -> list[list[dict]]:
    """Each rank's events; `last` replaces the ends of the first ranks."""
    told = [[{"event": "CORE", "rank": k, "iteration": 59}] for k in range(ranks)]
    ends = [*last, *({"event": "FINISHED", "iteration": 60} for _ in range(ranks - len(last)))]
    return [[*one, {"rank": k, **ends[k]}] if ends[k] else one for k, one in enumerate(told)]


POISONED = {"event": "NONFINITE", "iteration": 1, "images": [42], "sentence": "not finite: 42"}


def test_a_run_has_finished_when_every_rank_says_so():
    end.check_finished(events(), code=0, iterations=60)


@pytest.mark.parametrize(
    ("told", "code", "what"),
    [
        (events(POISONED), 4, "the loss is not finite"),
        (events(POISONED), 0, "the loss is not finite"),
        (events({}), 0, "a failed run is reported as a success"),
        (events({"event": "ERROR", "sentence": "s"}), 1, "the run did not finish"),
        (
            events({"event": "FINISHED", "iteration": 59}),
            0,
            "a failed run is reported as a success",
        ),
        (events({"event": "ERROR", "iteration": 60}), 0, "a failed run is reported as a success"),
        (events(), 1, "a finished run is reported as a failure"),
        ([[], []], 0, "a failed run is reported as a success"),
        ([], 0, "no rank said anything"),
    ],
)
def test_any_other_end_fails_by_name(told, code, what):
    assert failing(end.check_finished, told, code=code, iterations=60).what == what


def test_a_loss_that_is_not_finite_is_traced_to_rank_iteration_and_image():
    failure = failing(end.check_finished, events({}, POISONED), code=4)
    assert failure.actual == "rank 1, iteration 1, images 42"


POISON = {"rank": 1, "iteration": 1, "image": 42}


def test_a_poisoned_image_stops_the_whole_job():
    end.check_stopped(events({}, POISONED), code=4, **POISON)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (events({}, POISONED), 0),  # the exit code was lost
        (events(), 0),  # nobody noticed
        (events({"event": "FINISHED"}, POISONED), 4),  # one rank went on
        (events({}, {}), 1),  # it only crashed
        (events(POISONED, {}), 4),  # another rank
        (events({}, {**POISONED, "images": [41]}), 4),
        (events({}, {**POISONED, "images": [41, 42]}), 4),
        (events({}, {**POISONED, "iteration": 2}), 4),
    ],
)
def test_a_poison_that_is_not_traced_fails(told, code):
    failing(end.check_stopped, told, code=code, **POISON)


A100 = {
    "kind": "cuda",
    "name": "NVIDIA A100-SXM4-40GB",
    "memory_bytes": 40 * 2**30,
    "capability": "8.0",
}


def test_a_device_is_what_it_is_claimed_to_be():
    end.check_devices([A100, A100], kind="cuda", name="A100")
    h200 = {**A100, "name": "NVIDIA H200"}
    end.check_devices([h200], kind="cuda")
    for devices in ([h200], [A100, h200], [{**A100, "kind": "cpu"}]):
        failing(end.check_devices, devices, kind="cuda", name="A100")
    larger = {**A100, "memory_bytes": 80 * 2**30}
    assert "different" in failing(end.check_devices, [A100, larger], kind="cuda").what


def test_ranks_of_other_software_are_not_one_experiment():
    end.check_same_software([{"torch": "2"}] * 2, [{"threads": 1}] * 2)
    failing(end.check_same_software, [{"torch": "2"}, {"torch": "1"}], [{"threads": 1}] * 2)
    failing(end.check_same_software, [{"torch": "2"}] * 2, [{"threads": 1}, {"threads": 2}])


# --- the scorer, from a table against the annotations as written ---


@pytest.fixture
def annotations(tmp_path):
    """Two images with an object each, and one without."""
    note = {"bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0}
    path = tmp_path / "instances.json"
    content = {
        "images": [{"id": i, "width": 99, "height": 99} for i in (5, 6, 7)],
        "annotations": [
            {**note, "id": n, "image_id": i, "category_id": c}
            for n, i, c in ((1, 5, 3), (2, 6, 18))
        ],
        "categories": [{"id": 3}, {"id": 18}],
    }
    path.write_text(json.dumps(content))
    return path


TABLE = np.array([[5, 10, 20, 30, 40, 0.9, 3], [6, 10, 20, 30, 40, 0.8, 18]], float)


def test_a_table_is_scored_against_the_annotations_as_written(annotations):
    assert score(annotations, [5, 6, 7], TABLE).ap == pytest.approx(100.0)
    assert score(annotations, [5, 6, 7], TABLE[:1]).ap == pytest.approx(50.0)


def test_labels_shifted_by_one_score_nothing(annotations):
    shifted = TABLE + np.array([0, 0, 0, 0, 0, 0, 1])
    assert score(annotations, [5, 6, 7], shifted).ap == 0.0


def test_corners_for_sides_and_boxes_not_scaled_back_score_less(annotations):
    for change in ([0, 0, 0, 10, 20, 0, 0], [0, 10, 20, 30, 40, 0, 0]):
        assert score(annotations, [5, 6, 7], TABLE + np.array(change)).ap < 60.0


def test_detections_of_other_images_are_refused(annotations):
    failure = failing(score, annotations, [5, 7], TABLE)
    assert failure.what == "detections are of images that are not scored"
    assert failure.worst == ["image 6"]
