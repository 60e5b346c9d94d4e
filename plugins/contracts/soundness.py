"""What a well-formed contract may still not say: whatever would disarm or confuse a check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plugins.contracts import Contract
    from plugins.contracts.decisions import Accuracy

DTYPES = ("float16", "float32", "float64", "int32", "int64")
BACKENDS = ("reference", "aie")
KINDS = ("photograph", "scene", "hostile")
SENTENCE = 5  # words, at least
ROUNDING = 1e-9  # of sums of shares
LOGIT_RANGE = 3  # what lies between two scores of 0.18 and 0.82: as good as no tolerance


def problems(contract: Contract) -> Iterator[tuple[str, str]]:
    """Each fault of a contract: the key, and what is wrong with it."""
    yield from _lists(contract)
    yield from _tolerances(contract)
    yield from _toothless(contract)
    yield from _derivations(contract)
    yield from _decisions(contract)
    yield from _outputs(contract)
    yield from _cases(contract)


def _lists(contract: Contract) -> Iterator[tuple[str, str]]:
    for key in ("category_ids", "output", "case", "tolerance", "accuracy", "comparison"):
        if not getattr(contract, key):
            yield key, "must not be empty: nothing would be checked"
    ids, classes = contract.category_ids, contract.architecture.classes
    if ids != sorted(set(ids)):
        yield "category_ids", "must ascend, each once: a label is an index into it"
    if len(ids) != classes:
        yield "category_ids", f"has {len(ids)} ids, but architecture.classes is {classes}"


def _tolerances(contract: Contract) -> Iterator[tuple[str, str]]:
    for backend in BACKENDS:
        if backend not in contract.tolerance:
            yield f"tolerance.{backend}", f"is missing; each of {', '.join(BACKENDS)} needs one"
    for backend, tolerance in contract.tolerance.items():
        for name, value in dataclasses.asdict(tolerance).items():
            if isinstance(value, float) and value < 0:
                yield f"tolerance.{backend}.{name}", f"must not be negative, not {value:g}"
        if tolerance.borderline >= 1:
            yield f"tolerance.{backend}.borderline", "must be a share below 1"


def _toothless(contract: Contract) -> Iterator[tuple[str, str]]:
    """Figures that are finite and allow everything: a whole side, a whole share, a floor of zero."""
    side = min((size.side for size in contract.input.sizes), default=0)
    limits = {"box_px": side, "box_relative": 1, "score_logit": LOGIT_RANGE}
    for backend, tolerance in contract.tolerance.items():
        for name, limit in limits.items():
            if not getattr(tolerance, name) < limit:
                yield (
                    f"tolerance.{backend}.{name}",
                    f"must be below {limit:g}: it allows everything",
                )
    for index, one in enumerate(contract.accuracy):
        if not 0 < one.floor <= 100:
            yield f"accuracy[{index}].floor", f"must be in percent, above 0, not {one.floor:g}"
        if not 0 <= one.allowed_drop < one.floor:
            yield f"accuracy[{index}].allowed_drop", "must be points from 0 to below the floor"
    for index, one in enumerate(contract.throughput):
        if not one.floor > 0:
            yield f"throughput[{index}].floor", f"must be above 0 img/s, not {one.floor:g}"
        if not 0 <= one.allowed_drop < 1:
            yield f"throughput[{index}].allowed_drop", "must be a share below 1"


def _derivations(contract: Contract) -> Iterator[tuple[str, str]]:
    declared = {f"tolerance.{backend}": t for backend, t in contract.tolerance.items()}
    for name in ("accuracy", "throughput", "comparison"):
        declared.update({f"{name}[{i}]": one for i, one in enumerate(getattr(contract, name))})
    for key, one in declared.items():
        text = one.derivation
        if len(text.split()) < SENTENCE:
            what = f"'{text}' is no derivation; say in a sentence where the figures come from"
            yield f"{key}.derivation", what


def _decisions(contract: Contract) -> Iterator[tuple[str, str]]:
    """Plans that could not decide, or would decide by too little."""
    for index, one in enumerate(contract.accuracy):
        for name, what in _looks(one):
            yield f"accuracy[{index}].paired.{name}", what
    for index, plan in enumerate(contract.comparison):
        key = f"comparison[{index}]"
        for name in ("margin", "error", "drift"):
            limit = 0.5 if name == "error" else 2
            if not 0 < getattr(plan, name) < limit:
                yield f"{key}.{name}", f"must be a share above 0 and below {limit:g}"
        if plan.processes < 2:
            yield f"{key}.processes", "must be at least 2: one has nothing to recur in"
        if plan.quads < 1 or plan.steps < 1:
            yield f"{key}.quads", "and steps must be at least 1"
        elif plan.processes > 1 and 0.5 ** (2 * plan.quads) > plan.error / (plan.processes - 1):
            yield f"{key}.quads", "are too few: two processes of them decide nothing"
    for share in [*contract.timing.tail, contract.timing.tail_confidence]:
        if not 0 < share < 1:
            yield "timing.tail", f"and its confidence are shares between 0 and 1, not {share:g}"


def _looks(accuracy: Accuracy) -> Iterator[tuple[str, str]]:
    """Faults of a sequential plan: errors that do not add up, or looks too early to see anything."""
    plan = accuracy.paired
    if not plan.looks or plan.looks != sorted(set(plan.looks)) or plan.looks[0] < 2:
        yield "looks", "must be ascending numbers of images, from 2 on"
        return
    if not 0.5 < plan.confidence < 1:
        yield "confidence", "must be a share between 0.5 and 1"
    for name in ("accept", "reject"):
        errors = getattr(plan, name)
        if len(errors) != len(plan.looks):
            yield name, f"must have one error for each of the {len(plan.looks)} looks"
            return
        if min(errors) < 0 or not errors[-1]:
            yield name, "must not be negative, and not 0 at the last look: it would not decide"
        if sum(errors) > (1 - plan.confidence) * (1 + ROUNDING):
            what = (
                f"spends {sum(errors):.4g}, more than confidence leaves: {1 - plan.confidence:.4g}"
            )
            yield name, what
    if min((e for e in plan.accept + plan.reject if e > 0), default=1) * plan.resamples < 1:
        yield "resamples", "are too few: no resample lies beyond a bound"
    first = next((n for n, error in zip(plan.looks, plan.accept) if error > 0), plan.looks[-1])
    missed = (1 - accuracy.allowed_drop / accuracy.floor) ** first
    if not missed <= plan.unseen < 1:
        yield "accept", f"begins too early: {first} images miss a rare loss with {missed:.2g}"


def _outputs(contract: Contract) -> Iterator[tuple[str, str]]:
    declared = [("input.dtype", contract.input.dtype)]
    for index, output in enumerate(contract.output):
        for key in ("axes", "shape", "device_dtypes"):
            if not getattr(output, key):
                yield f"output[{index}].{key}", "must not be empty: nothing would be checked"
        if len(output.axes) != len(output.shape):
            yield f"output[{index}].axes", f"names {len(output.axes)} axes of {len(output.shape)}"
        declared.append((f"output[{index}].dtype", output.dtype))
        declared += [(f"output[{index}].device_dtypes", d) for d in output.device_dtypes]
    for key, dtype in declared:
        if dtype not in DTYPES:
            yield key, f"'{dtype}' is none of {', '.join(DTYPES)}"


def _cases(contract: Contract) -> Iterator[tuple[str, str]]:
    sides, seen = [size.side for size in contract.input.sizes], set()
    if not sides:
        yield "input.sizes", "must not be empty: the first is the side that ships"
    for index, case in enumerate(contract.case):
        key = f"case[{index}]"
        if case.name in seen:
            yield f"{key}.name", f"'{case.name}' is taken; a case is recorded under its name"
        if case.side not in sides:
            yield f"{key}.side", f"{case.side} is not among the input's sides {sides}"
        if case.kind not in KINDS:
            yield f"{key}.kind", f"'{case.kind}' is none of {', '.join(KINDS)}"
        if case.kind != "hostile" and not (case.detections > 0 and case.classes > 0):
            yield f"{key}.detections", "a lively case must show some, of some classes"
        seen.add(case.name)
