"""What a well-formed contract may still not say: whatever would disarm or confuse a check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plugins.contracts import Contract

DTYPES = ("float16", "float32", "float64", "int32", "int64")
BACKENDS = ("reference", "aie")
KINDS = ("photograph", "scene", "hostile")
SENTENCE = 5  # words, at least


def problems(contract: Contract) -> Iterator[tuple[str, str]]:
    """Each fault of a contract: the key, and what is wrong with it."""
    yield from _lists(contract)
    yield from _tolerances(contract)
    yield from _derivations(contract)
    yield from _outputs(contract)
    yield from _cases(contract)


def _lists(contract: Contract) -> Iterator[tuple[str, str]]:
    for key in ("category_ids", "output", "case", "tolerance", "accuracy"):
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
            if name != "derivation" and value < 0:
                yield f"tolerance.{backend}.{name}", f"must not be negative, not {value:g}"
        if tolerance.borderline >= 1:
            yield f"tolerance.{backend}.borderline", "must be a share below 1"


def _derivations(contract: Contract) -> Iterator[tuple[str, str]]:
    declared = {f"tolerance.{backend}": t for backend, t in contract.tolerance.items()}
    for name in ("accuracy", "throughput"):
        declared.update({f"{name}[{i}]": one for i, one in enumerate(getattr(contract, name))})
    for key, one in declared.items():
        text = one.derivation
        if len(text.split()) < SENTENCE:
            what = f"'{text}' is no derivation; say in a sentence where the figures come from"
            yield f"{key}.derivation", what


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
