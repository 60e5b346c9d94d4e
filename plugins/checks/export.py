"""The exported file: does it load, is its graph the recipe, are its weights whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from plugins.checks.agreement import check_against_oracle
from plugins.checks.detections import detections_of
from plugins.failure import CheckFailure, Inconclusive

NMS = "aie::batch_nms"
# detectron2's limit of the size deltas, Box2BoxTransform.
SCALE_CLAMP = math.log(1000 / 16)
SAME_LIMIT = 1e-3  # a limit written in another notation is the same limit


def check_loaded(sentence: str) -> None:
    """The file loads in the torch that infers; `sentence` says why it does not, or nothing."""
    if sentence:
        raise CheckFailure(
            f"the file does not load: {sentence}",
            expected="a TorchScript file that the inference torch loads",
            actual="an error",
        )


def check_recipe(census: Mapping, recipe, *, levels: int) -> None:
    """One NMS operator with the contract's attributes, and its candidates from topk per level."""
    calls = census["nms"]
    if len(calls) != 1:
        raise CheckFailure(
            f"the graph calls {NMS} {len(calls)} times",
            expected="1 call: detections of all levels are suppressed together, on the device",
            actual=f"{len(calls)} calls among {sum(census['operators'].values())} operators",
        )
    for name, value in calls[0].items():
        if value is not None and value != getattr(recipe, name):
            raise CheckFailure(
                f"{NMS} has another {name}", expected=f"{getattr(recipe, name)}", actual=f"{value}"
            )
    _check_exponent(census["exponent_limits"])
    found = [k for k in census["topk"] if k is not None]
    if found and found != [recipe.topk_per_class] * levels:
        raise CheckFailure(
            "candidates are chosen otherwise",
            expected=f"topk of {recipe.topk_per_class} on each of {levels} levels",
            actual=f"topk of {', '.join(map(str, found))}",
        )


def _check_exponent(limits: Sequence) -> None:
    """Box sizes are exponentials: without detectron2's limit a single wild delta overflows."""
    wrong = [x for x in limits if x is None or abs(x - SCALE_CLAMP) > SAME_LIMIT * SCALE_CLAMP]
    if wrong:
        shown = "nothing" if wrong[0] is None else f"{wrong[0]:.4g}"
        raise CheckFailure(
            "the exponent of box sizes is limited otherwise",
            expected=f"at most log(1000 / 16) = {SCALE_CLAMP:.4g}",
            actual=f"by {shown}, in {len(wrong)} of {len(limits)} exponentials",
        )


def check_constants(census: Mapping) -> None:
    """Neither weights nor constants hold NaN or infinity."""
    if census["broken"]:
        raise CheckFailure(
            "tensors of the file are broken",
            expected="finite numbers in every weight and constant",
            actual=f"{len(census['broken'])} hold NaN or infinity",
            worst=census["broken"],
        )


def check_devices(census: Mapping) -> None:
    """A device name in the graph would pin the model to it."""
    foreign = [d for d in census["devices"] if d != "cpu"]
    if foreign:
        raise CheckFailure(
            "a device is written into the graph", expected="cpu, if any", actual=", ".join(foreign)
        )


def check_weights(relation: Mapping, untrained) -> None:
    """All declared tensors, bit by bit; or, of weights that nobody declared, a trained network."""
    _check_readable(relation)
    _check_head(relation, untrained)
    differing, total = relation["differing"], relation["tensors"]
    # Whatever is trained further, the head moves. Where a part of it is still the declared one, the
    # file is the declared model with something lost.
    head_moved = sum(name.startswith("head.") for name in differing) == relation["head"]
    rounded = ", all of them exact in bfloat16" if relation["format"] == "bfloat16" else ""
    if relation.get("rounded"):
        raise CheckFailure(
            f"the declared weights were rounded to {relation['rounded']}",
            expected=f"{total} tensors equal to those declared, bit by bit",
            actual=f"{len(differing)} of {total} are the declared ones in {relation['rounded']}",
        )
    if differing and (relation["explicit"] or not head_moved):
        raise CheckFailure(
            f"{_some(differing)} not hold the declared weights",
            expected=f"{total} tensors equal to those declared, bit by bit",
            actual=f"{len(differing)} of {total} differ{rounded}",
            worst=differing,
        )
    _check_all_loaded(relation)
    if differing:
        raise Inconclusive(
            f"the file holds weights that nobody declared ({len(differing)} of {total} tensors "
            f"differ{rounded}); its numbers are judged with its own weights; name them by --weights"
        )


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} does" if len(names) == 1 else f"{len(names)} tensors do"


def _check_readable(relation: Mapping) -> None:
    """The tensors of this model are there by name, whole and finite."""
    if relation["refusal"] and relation["frozen"]:
        raise Inconclusive(
            "the file keeps its weights as nameless constants (frozen); its numbers are judged "
            "with the declared weights; export it without freezing"
        )
    if relation["refusal"]:
        raise CheckFailure(
            "the file does not hold the weights of this model",
            expected="every tensor of the declared architecture, by name, whole and finite",
            actual=relation["refusal"],
        )


def check_trained(facts: Mapping, untrained) -> None:
    """No layer is as detectron2 initialises it: what was not loaded, or never trained, is named."""
    _check_head(facts, untrained)
    _check_all_loaded(facts)


def _check_head(facts: Mapping, untrained) -> None:
    near = untrained.relative
    if (
        abs(facts["score_bias_mean"] - untrained.score_bias) < near
        and facts["score_bias_spread"] < near
        and abs(facts["score_weight_std"] / untrained.score_std - 1) < near
    ):
        raise CheckFailure(
            "the class head is untrained",
            expected="weights and biases that training has moved",
            actual=f"biases at the prior {untrained.score_bias:.4g}, weights of standard deviation "
            f"{facts['score_weight_std']:.4g}",
        )


def _check_all_loaded(facts: Mapping) -> None:
    initial = facts["initial"]
    if initial:
        raise CheckFailure(
            "only a part of the weights was loaded",
            expected="layers that training has moved, all of them",
            actual=f"{len(initial)} layers are as a new network has them: biases of zero, and a "
            "normalisation that changes nothing",
            worst=initial,
        )


def check_origin(facts: Mapping, published: Sequence, subject: str) -> None:
    """The weights file is the published one of this subject, by its hash."""
    known = [one for one in published if facts["md5"].startswith(one.md5)]
    mine = [one for one in published if one.subject == subject]
    expected = ", ".join(f"{one.name}, MD5 {one.md5}..." for one in mine)
    if known and known[0] not in mine:
        raise CheckFailure(
            f"the weights are those of another model, {known[0].name}",
            expected=expected,
            actual=f"MD5 {facts['md5']}",
        )
    if not known:
        raise Inconclusive(
            f"the weights file is no published one: MD5 {facts['md5']} instead of {expected}; its "
            "detections are judged with its own weights, and accuracy.map says what they are worth"
        )


def check_sizes(at_sizes: Sequence, tolerance) -> None:
    """The graph runs and means the same at every declared size, not only at the traced one."""
    wrong = {at.side: what for at in at_sizes for what in [_wrong(at, tolerance)] if what}
    if len(wrong) == len(at_sizes):
        raise Inconclusive("the graph is wrong at every size: see outputs.runs and numerics.recipe")
    if wrong:
        right = [str(at.side) for at in at_sizes if at.side not in wrong]
        raise CheckFailure(
            "the graph depends on the size that was traced",
            expected=f"the recipe's detections at every size, as at {', '.join(right)}",
            actual="; ".join(f"at {side}: {what}" for side, what in wrong.items()),
        )


def _wrong(at, tolerance) -> str:
    """What is wrong at one size, or nothing."""
    if at.refusal:
        return at.refusal
    try:
        check_against_oracle(detections_of(at.outputs), at.oracle, tolerance)
    except CheckFailure as failure:
        return failure.what
    return ""


def check_same_graph(found: Mapping, wanted: Mapping) -> None:
    """Two exports of the same network have the same graph, constants and weights."""
    for part in ("graph", "constants", "weights"):
        if found[part] != wanted[part]:
            raise CheckFailure(
                f"what was traced changes the {part} of the file",
                expected="the same file whatever image is traced",
                actual=f"{part} {found[part][:12]} instead of {wanted[part][:12]}",
            )
