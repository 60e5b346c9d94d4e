"""Checks of the exported file: accepted, and rejected in words."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from plugins.checks import export as checks
from plugins.contracts import Recipe
from plugins.contracts.operators import Published, load_weights
from plugins.failure import CheckFailure, Inconclusive
from tests.oracles import TOLERANCE, detections, oracle

SUBJECT = "retinanet_r50_fpn_3x"
CLAMP = 4.135166556742356  # log(1000 / 16)
RECIPE = Recipe(200, 0.05, 0.5, 200, 100)
CALL = {
    "score_threshold": 0.05, "iou_threshold": 0.5, "max_size_per_class": 200, "max_total_size": 100,
}  # fmt: skip
CENSUS = {
    "nms": [CALL], "topk": [200] * 5, "operators": {"aten::conv2d": 9}, "devices": ["cpu"],
    "exponent_limits": [CLAMP] * 10, "broken": [],
}  # fmt: skip
RELATION = {
    "refusal": "", "frozen": False, "score_bias_mean": -3.0, "score_bias_spread": 1.0,
    "score_weight_std": 0.03, "differing": [], "tensors": 301, "head": 4, "format": "float32",
    "explicit": False, "initial": [],
}  # fmt: skip
KNOWN = load_weights()
UNTRAINED = {"score_bias_mean": -4.595, "score_bias_spread": 0.0, "score_weight_std": 0.01}
HEAD = [f"head.{name}" for name in "abcd"]


def failure_of(check, *arguments, **named) -> CheckFailure:
    with pytest.raises(CheckFailure) as failure:
        check(*arguments, **named)
    return failure.value


def test_a_published_file_is_of_no_subject_of_ours_unless_it_is_declared():
    assert Published("a model zoo's", "5bd44e", "a page").subject == ""


def test_rounded_weights_are_no_training():
    moved = {**RELATION, "differing": [*HEAD, "backbone.a"], "rounded": "bfloat16"}
    failure = failure_of(checks.check_weights, moved, KNOWN.untrained)
    assert failure.what == "the declared weights were rounded to bfloat16"


def test_a_file_loads_or_says_why_it_does_not():
    checks.check_loaded("")
    assert "truncated" in failure_of(checks.check_loaded, "model.ts: truncated").what


def test_the_recipe_s_graph_is_accepted():
    checks.check_recipe(CENSUS, RECIPE, levels=5)


def test_what_the_graph_computes_is_not_read_from_constants():
    unknown = {**CENSUS, "nms": [{**CALL, "iou_threshold": None}], "topk": [None] * 5}
    checks.check_recipe(unknown, RECIPE, levels=5)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"nms": []}, "the graph calls aie::batch_nms 0 times"),
        ({"nms": [CALL] * 5}, "the graph calls aie::batch_nms 5 times"),
        ({"nms": [{**CALL, "iou_threshold": 0.6}]}, "aie::batch_nms has another iou_threshold"),
        ({"nms": [{**CALL, "max_total_size": 99}]}, "aie::batch_nms has another max_total_size"),
        (
            {"exponent_limits": [CLAMP, None]},
            "the exponent of box sizes is limited otherwise",
        ),
        ({"exponent_limits": [88.0]}, "the exponent of box sizes is limited otherwise"),
        ({"topk": [1000] * 5}, "candidates are chosen otherwise"),
        ({"topk": [200] * 4}, "candidates are chosen otherwise"),
        ({"topk": [200] * 4 + [100]}, "candidates are chosen otherwise"),
    ],
)
def test_another_graph_fails_by_what_is_unlike(change, what):
    assert failure_of(checks.check_recipe, {**CENSUS, **change}, RECIPE, levels=5).what == what


def test_broken_tensors_are_named():
    checks.check_constants(CENSUS)
    failure = failure_of(checks.check_constants, {**CENSUS, "broken": ["head.cls_score.bias"]})
    assert failure.what == "tensors of the file are broken"
    assert failure.worst == ["head.cls_score.bias"]


def test_only_the_cpu_may_be_written_into_the_graph():
    checks.check_devices(CENSUS)
    checks.check_devices({**CENSUS, "devices": []})
    failure = failure_of(checks.check_devices, {**CENSUS, "devices": ["cpu", "cuda:0"]})
    assert (failure.what, failure.actual) == ("a device is written into the graph", "cuda:0")


def test_the_declared_weights_are_accepted():
    checks.check_weights(RELATION, KNOWN.untrained)
    checks.check_weights({**RELATION, "explicit": True}, KNOWN.untrained)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"refusal": "3 tensors are missing"}, "the file does not hold the weights of this model"),
        (UNTRAINED, "the class head is untrained"),
        ({"initial": ["backbone.fpn_lateral3"]}, "only a part of the weights was loaded"),
        ({"differing": ["a"]}, "hold the declared weights"),
        ({"differing": ["a", *HEAD[:3]]}, "hold the declared weights"),
        (
            {"differing": ["a", *HEAD], "explicit": True},
            "hold the declared weights",
        ),
    ],
)
def test_other_weights_fail(change, what):
    assert what in failure_of(checks.check_weights, {**RELATION, **change}, KNOWN.untrained).what


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"differing": ["a", *HEAD]}, "weights that nobody declared"),
        ({"refusal": "301 tensors are missing", "frozen": True}, "nameless constants"),
    ],
)
def test_weights_that_cannot_be_compared_are_inconclusive(change, what):
    with pytest.raises(Inconclusive, match=what):
        checks.check_weights({**RELATION, **change}, KNOWN.untrained)


def test_the_published_weights_of_the_subject_are_accepted():
    checks.check_origin({"md5": "5bd44e" + 26 * "0"}, KNOWN.published, SUBJECT)


@pytest.mark.parametrize("name", ["retinanet_R_50_FPN_1x", "retinanet_R_101_FPN_3x"])
def test_another_published_model_is_called_by_its_name(name):
    md5 = next(one.md5 for one in KNOWN.published if one.name == name) + 26 * "0"
    failure = failure_of(checks.check_origin, {"md5": md5}, KNOWN.published, SUBJECT)
    assert failure.what == f"the weights are those of another model, {name}"
    assert failure.expected.startswith("retinanet_R_50_FPN_3x, MD5 5bd44e...")
    assert failure.actual == f"MD5 {md5}"


def test_weights_that_nobody_published_are_not_called_right():
    with pytest.raises(Inconclusive, match="no published one: MD5 0000"):
        checks.check_origin({"md5": 32 * "0"}, KNOWN.published, SUBJECT)


TRUTH = oracle(detections((0, 0.9, 10, 10, 60, 60), (1, 0.8, 100, 30, 200, 90)))
RESULT = [TRUTH.result.boxes, TRUTH.result.labels[:, None], TRUTH.result.scores]


def at(side: int, outputs=RESULT, refusal: str = "") -> SimpleNamespace:
    return SimpleNamespace(side=side, outputs=outputs, refusal=refusal, oracle=TRUTH)


def test_a_graph_that_means_the_same_at_both_sizes_is_accepted():
    checks.check_sizes([at(256), at(320)], TOLERANCE)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (at(320, refusal="shape mismatch"), "at 320: shape mismatch"),
        (at(320, [RESULT[0] + 99, *RESULT[1:]]), "at 320: "),
        (at(320, [np.zeros_like(o) for o in RESULT]), "at 320: "),
    ],
)
def test_a_graph_that_is_wrong_at_one_size_depends_on_it(other, said):
    failure = failure_of(checks.check_sizes, [at(256), other], TOLERANCE)
    assert failure.what == "the graph depends on the size that was traced"
    assert failure.actual.startswith(said)


def test_a_graph_that_is_wrong_everywhere_is_not_blamed_on_its_size():
    with pytest.raises(Inconclusive, match="the graph is wrong at every size"):
        checks.check_sizes([at(256, refusal="x"), at(320, refusal="x")], TOLERANCE)


@pytest.mark.parametrize("part", ["graph", "constants", "weights"])
def test_two_exports_differ_by_the_part_that_is_named(part):
    same = {"graph": "a" * 64, "constants": "b" * 64, "weights": "c" * 64}
    checks.check_same_graph(same, dict(same))
    failure = failure_of(checks.check_same_graph, {**same, part: "d" * 64}, same)
    assert failure.what == f"what was traced changes the {part} of the file"
    assert failure.actual.startswith(f"{part} dddddddddddd instead of ")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_limit_in_another_notation_is_the_same_limit(sign):
    def judge(limit):
        checks.check_recipe({**CENSUS, "exponent_limits": [limit]}, RECIPE, levels=5)

    judge(CLAMP * (1 + sign * 0.99e-3))
    failure = failure_of(judge, CLAMP * (1 + sign * 1.01e-3))
    assert failure.actual.endswith("in 1 of 1 exponentials")
    assert failure_of(judge, 4.5).actual.startswith("by 4.5, ")
    assert failure_of(judge, None).actual.startswith("by nothing, ")
    assert CLAMP == pytest.approx(checks.SCALE_CLAMP, rel=1e-12)


@pytest.mark.parametrize(
    ("differing", "what"),
    [(["a"], "a does not hold the declared weights"), (["a", "b"], "2 tensors do not hold")],
)
def test_one_tensor_is_named_and_more_are_counted(differing, what):
    change = {**RELATION, "differing": differing}
    assert failure_of(checks.check_weights, change, KNOWN.untrained).what.startswith(what)


@pytest.mark.parametrize(("form", "said"), [("bfloat16", True), ("float32", False)])
def test_weights_that_bfloat16_holds_exactly_are_said_to_be(form, said):
    relation = {**RELATION, "differing": ["a"], "format": form}
    failure = failure_of(checks.check_weights, relation, KNOWN.untrained)
    end = ", all of them exact in bfloat16" if said else ""
    assert failure.actual == f"1 of 301 differ{end}"


PRIOR = SimpleNamespace(relative=0.25, score_bias=-4.0, score_std=0.5)
NEW = {"score_bias_mean": -4.0, "score_bias_spread": 0.0, "score_weight_std": 0.5, "initial": []}


@pytest.mark.parametrize(
    ("change", "untrained"),
    [
        ({}, True),
        ({"score_bias_mean": -3.76}, True),
        ({"score_bias_mean": -3.75}, False),
        ({"score_bias_mean": -4.25}, False),
        ({"score_bias_mean": -9.0}, False),
        ({"score_bias_spread": 0.24}, True),
        ({"score_bias_spread": 0.25}, False),
        ({"score_weight_std": 0.62}, True),
        ({"score_weight_std": 0.625}, False),
        ({"score_weight_std": 0.375}, False),
        ({"score_weight_std": 0.01}, False),
    ],
)
def test_a_head_is_untrained_when_all_three_figures_are_near_those_of_a_new_one(change, untrained):
    if untrained:
        failure = failure_of(checks.check_trained, {**NEW, **change}, PRIOR)
        assert failure.what == "the class head is untrained"
    else:
        checks.check_trained({**NEW, **change}, PRIOR)


def test_layers_that_were_never_loaded_are_named():
    trained = {**NEW, "score_bias_mean": 0.0, "initial": ["backbone.a"]}
    failure = failure_of(checks.check_trained, trained, PRIOR)
    assert failure.what == "only a part of the weights was loaded"
    assert failure.worst == ["backbone.a"]


def test_the_sizes_at_which_the_graph_is_right_are_said():
    some = [at(256), at(320, refusal="x"), at(384)]
    failure = failure_of(checks.check_sizes, some, TOLERANCE)
    assert failure.expected == "the recipe's detections at every size, as at 256, 384"
    assert failure.actual == "at 320: x"
