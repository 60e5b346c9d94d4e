"""What a contract may not say, at the edges: the limit itself, and a step to either side of it."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

from plugins.contracts import Tolerance, soundness

SENTENCE = "It was measured on ten machines."


def plain(**fields) -> SimpleNamespace:
    return SimpleNamespace(**fields)


def tolerance() -> Tolerance:
    numbers = {"box_px": 0.5, "box_ulp": 1.0, "box_relative": 0.01}
    return Tolerance(**numbers, score_logit=0.5, score_ulp=1.0, borderline=0.1, derivation=SENTENCE)


def contract() -> SimpleNamespace:
    """A small contract of which nothing can be said."""
    paired = plain(
        looks=[2, 100], accept=[0.0, 0.01], reject=[0.005, 0.005], confidence=0.99, unseen=0.5,
        resamples=200, seed=1, derivation=SENTENCE,
    )  # fmt: skip
    return plain(
        category_ids=[1, 3],
        architecture=plain(classes=2),
        output=[plain(axes=["n", "4"], shape=[9, 4], dtype="float32", device_dtypes=["float16"])],
        input=plain(dtype="float32", sizes=[plain(side=64), plain(side=32)]),
        case=[
            plain(name="a", side=64, kind="scene", detections=1, classes=1),
            plain(name="b", side=32, kind="hostile", detections=0, classes=0),
        ],
        tolerance={"reference": tolerance(), "aie": tolerance()},
        accuracy=[plain(floor=40.0, allowed_drop=1.0, derivation=SENTENCE, paired=paired)],
        throughput=[plain(floor=20.0, allowed_drop=0.1, derivation=SENTENCE)],
        comparison=[
            plain(
                margin=0.1,
                error=0.01,
                drift=0.1,
                processes=2,
                quads=4,
                steps=1,
                derivation=SENTENCE,
            )
        ],
        timing=plain(tail=[0.9], tail_confidence=0.95),
    )


def said(*changes: tuple) -> dict[str, str]:
    """The faults of the contract with values put at dotted places."""
    made = copy.deepcopy(contract())
    for place, value in changes:
        *path, last = place.split(".")
        at = made
        for name in path:
            at = child(at, name)
        put(at, last, value)
    return dict(soundness.problems(made))


def child(at, name: str):
    if isinstance(at, list):
        return at[int(name)]
    return at[name] if isinstance(at, dict) else getattr(at, name)


def put(at, name: str, value) -> None:
    if isinstance(at, (dict, list)):
        at[int(name) if isinstance(at, list) else name] = value
    else:
        object.__setattr__(at, name, value)


def test_of_a_sound_contract_nothing_is_said():
    assert said() == {}


@pytest.mark.parametrize("key", ["output", "case", "tolerance", "accuracy", "comparison"])
def test_nothing_may_be_empty(key):
    empty = {} if key == "tolerance" else []
    assert said((key, empty))[key] == "must not be empty: nothing would be checked"
    assert said(("throughput", [])) == {}


def test_the_first_fault_is_said_whatever_cannot_be_computed_after_it():
    made = contract()
    made.category_ids, made.accuracy[0].floor = [], 0.0
    assert next(soundness.problems(made)) == (
        "category_ids",
        "must not be empty: nothing would be checked",
    )
    made.category_ids = [1, 3]
    assert next(soundness.problems(made))[0] == "accuracy[0].floor"


EDGES = [
    # place, the key that is named, values that are right, values that are wrong
    ("category_ids", "category_ids", [[1, 2]], [[3, 1], [1, 1], [1], [1, 2, 3]]),
    ("tolerance.aie.box_px", "tolerance.aie.box_px", [0.0, 31.9], [32.0, 64.0, -0.1]),
    ("tolerance.aie.box_relative", "tolerance.aie.box_relative", [0.0, 0.99], [1.0, -0.1]),
    ("tolerance.aie.score_logit", "tolerance.aie.score_logit", [0.0, 2.9], [3.0, -0.1]),
    ("tolerance.reference.score_ulp", "tolerance.reference.score_ulp", [0.0, 9.0], [-0.1]),
    ("tolerance.aie.borderline", "tolerance.aie.borderline", [0.0, 0.99], [1.0, -0.1]),
    ("accuracy.0.floor", "accuracy[0].floor", [100.0, 0.5], [-1.0, 100.1]),
    ("accuracy.0.allowed_drop", "accuracy[0].allowed_drop", [0.0, 39.9], [-0.1, 40.0]),
    ("throughput.0.floor", "throughput[0].floor", [0.1, 1.0], [0.0, -1.0]),
    ("throughput.0.allowed_drop", "throughput[0].allowed_drop", [0.0, 0.99], [1.0, -0.1]),
    ("accuracy.0.derivation", "accuracy[0].derivation", ["a b c d e"], ["a b c d", ""]),
    ("throughput.0.derivation", "throughput[0].derivation", ["a b c d e"], ["a b c d"]),
    ("comparison.0.derivation", "comparison[0].derivation", ["a b c d e"], ["a b c d"]),
    ("tolerance.aie.derivation", "tolerance.aie.derivation", ["a b c d e"], ["a b c d"]),
    ("comparison.0.margin", "comparison[0].margin", [0.01, 1.9], [0.0, -0.1, 2.0]),
    ("comparison.0.drift", "comparison[0].drift", [0.01, 1.9], [0.0, -0.1, 2.0]),
    ("comparison.0.error", "comparison[0].error", [0.49, 1 / 256], [0.0, 0.5, 1.0]),
    ("comparison.0.processes", "comparison[0].processes", [2, 3], [1, 0]),
    ("comparison.0.quads", "comparison[0].quads", [4, 9], [0, 3, 1]),
    ("comparison.0.steps", "comparison[0].quads", [1], [0]),
    ("comparison.0.processes", "comparison[0].quads", [3], [4]),  # 1/256 of an error of 0.01
    ("timing.tail", "timing.tail", [[0.01], [0.99, 0.5], []], [[0.0], [1.0], [0.5, -0.1]]),
    ("timing.tail_confidence", "timing.tail", [0.01, 0.99], [0.0, 1.0]),
    ("accuracy.0.paired.looks", "accuracy[0].paired.looks", 
     [[2, 100], [3, 100]], [[], [1, 100], [100, 2], [2, 2]]),
    ("accuracy.0.paired.confidence", "accuracy[0].paired.confidence", [0.51, 0.99], [0.5, 1.0, 1.1]),
    ("accuracy.0.paired.accept", "accuracy[0].paired.accept", 
     [[0.0, 0.01]], [[0.01], [0.0, 0.0], [-0.001, 0.01], [0.0, 0.0101]]),
    ("accuracy.0.paired.reject", "accuracy[0].paired.reject", 
     [[0.0, 0.01]], [[0.01, 0.0], [0.0, 0.0101], [0.01, 0.0, 0.0]]),
    ("accuracy.0.paired.resamples", "accuracy[0].paired.resamples", [200, 999], [199, 0]),
    ("output.0.axes", "output[0].axes", [["a", "b"]], [[], ["a"], ["a", "b", "c"]]),
    ("output.0.shape", "output[0].shape", [[1, 2]], [[]]),
    ("output.0.dtype", "output[0].dtype", ["int64", "float64"], ["half"]),
    ("output.0.device_dtypes", "output[0].device_dtypes", 
     [["int32", "float16"]], [[], ["half"], ["int32", "half"]]),
    ("input.dtype", "input.dtype", ["float16"], ["uint8"]),
    ("input.sizes", "input.sizes", [], [[]]),
    ("case.1.name", "case[1].name", ["c"], ["a"]),
    ("case.0.side", "case[0].side", [32], [33]),
    ("case.0.kind", "case[0].kind", ["photograph"], ["picture"]),
    ("case.0.detections", "case[0].detections", [2], [0, -1]),
    ("case.0.classes", "case[0].detections", [2], [0, -1]),
]  # fmt: skip


@pytest.mark.parametrize(("place", "key", "right", "wrong"), EDGES)
def test_each_value_has_its_edges(place, key, right, wrong):
    for value in right:
        assert key not in said((place, value)), value
    for value in wrong:
        assert key in said((place, value)), value


def test_one_quad_may_be_enough_and_none_is_not():
    assert said(("comparison.0.quads", 1), ("comparison.0.error", 0.49)) == {}
    assert said(("comparison.0.error", 1 / 256)) == {}
    assert said(("comparison.0.quads", 0)) == {
        "comparison[0].quads": "and steps must be at least 1"
    }


def test_without_a_side_no_distance_is_small():
    assert "tolerance.aie.box_px" in said(("input.sizes", []))


def test_both_backends_need_a_tolerance():
    for name in ("reference", "aie"):
        found = said(("tolerance", {name: tolerance()}))
        other = {"reference": "aie", "aie": "reference"}[name]
        assert list(found) == [f"tolerance.{other}"]


def test_of_errors_that_do_not_fit_the_looks_no_more_is_said():
    assert list(said(("accuracy.0.paired.looks", []), ("accuracy.0.paired.accept", []))) == [
        "accuracy[0].paired.looks"
    ]


def test_a_plan_that_never_decides_is_told_by_that_alone():
    zeros = [("accuracy.0.paired.looks", [2, 3, 100])]
    zeros += [(f"accuracy.0.paired.{name}", [0.0] * 3) for name in ("accept", "reject")]
    found = said(*zeros)
    assert set(found) == {"accuracy[0].paired.accept", "accuracy[0].paired.reject"}
    assert all("it would not decide" in what for what in found.values())


def test_errors_may_spend_what_confidence_leaves_but_for_rounding():
    third = [0.1 / 3] * 3
    plan = [("accuracy.0.paired.looks", [2, 50, 100]), ("accuracy.0.paired.confidence", 0.9)]
    found = said(
        *plan, ("accuracy.0.paired.accept", third), ("accuracy.0.paired.reject", third),
        ("accuracy.0.paired.unseen", 0.999),
    )  # fmt: skip
    assert found == {}


@pytest.mark.parametrize(
    ("accept", "unseen", "named"),
    [
        ([0.0, 0.01], 0.08, False),  # 100 images: 0.975^100 is 0.0795
        ([0.0, 0.01], 0.079, True),
        ([0.005, 0.005], 0.96, False),  # 2 images: 0.9506
        ([0.005, 0.005], 0.95, True),
        ([0.0, 0.01], 1.0, True),
    ],
)
def test_a_device_may_be_passed_once_enough_was_seen(accept, unseen, named):
    found = said(("accuracy.0.paired.accept", accept), ("accuracy.0.paired.unseen", unseen))
    assert ("accuracy[0].paired.accept" in found) is named


def test_a_rare_loss_may_be_missed_as_often_as_is_said():
    halved = [("accuracy.0.floor", 2.0), ("accuracy.0.paired.accept", [0.005, 0.005])]
    assert said(*halved, ("accuracy.0.paired.unseen", 0.25)) == {}  # 2 images: 0.5^2


def test_a_hostile_case_may_show_nothing():
    changes = [("case.0.kind", "hostile"), ("case.0.detections", 0), ("case.0.classes", 0)]
    assert said(*changes) == {}


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("category_ids", [1], "has 1 ids, but architecture.classes is 2"),
        ("case.0.side", 33, "33 is not among the input's sides [64, 32]"),
        ("case.1.name", "a", "'a' is taken; a case is recorded under its name"),
        ("output.0.axes", ["a"], "names 1 axes of 2"),
    ],
)
def test_a_fault_is_said_in_a_sentence(place, value, sentence):
    assert sentence in said((place, value)).values()
