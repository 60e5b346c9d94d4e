"""What a well-formed training contract may still not say: whatever would disarm a check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugins.contracts.training import Training

SENTENCE = 5  # words, at least
SENTENCES = ("derivation", "source", "doubt")
SHARES = (
    "skipped",
    "loss",
    "gradient",
    "map",
    "flip",
    "target_map",
    "sum",
    "harness",
    "efficiency",
)
PRECISIONS = ("fp32", "amp", "fp16")


def problems(contract: Training) -> Iterator[tuple[str, str]]:
    """Each fault of the contract: the key, and what is wrong with it."""
    yield from _values(contract, "")
    yield from _names(contract)
    yield from _recipe(contract)
    yield from _rows(contract)
    yield from _gates(contract)
    yield from _short(contract)


def _values(one: Any, key: str) -> Iterator[tuple[str, str]]:
    """Of a tree of dataclasses: sentences are sentences, nothing is negative or empty."""
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            inner = f"{key}.{field.name}" if key else field.name
            yield from _values(getattr(one, field.name), inner)
    elif isinstance(one, list):
        if not one:
            yield key, "must not be empty: nothing would be checked"
        for index, value in enumerate(one):
            yield from _values(value, f"{key}[{index}]")
    else:
        yield from _leaf(one, key)


def _leaf(one: Any, key: str) -> Iterator[tuple[str, str]]:
    name = key.rsplit(".", 1)[-1]
    if name in SENTENCES and len(one.split()) < SENTENCE:
        yield key, f"'{one}' is none; say in a sentence where the figures come from"
    if isinstance(one, (int, float)) and one < 0:
        yield key, f"must not be negative, not {one:g}"
    if name in SHARES and isinstance(one, float) and one >= 1:
        yield key, f"must be a share below 1, not {one:g}"


def _names(contract: Training) -> Iterator[tuple[str, str]]:
    for key, field in (
        ("configuration", "name"),
        ("precision", "name"),
        ("machine", "name"),
        ("subject", "id"),
    ):
        seen = [getattr(one, field) for one in getattr(contract, key)]
        for name in {n for n in seen if seen.count(n) > 1}:
            yield f"{key}.{field}", f"'{name}' is taken"
    for name in PRECISIONS:
        if name not in [p.name for p in contract.precision]:
            yield "precision", f"lacks {name}; each of {', '.join(PRECISIONS)} needs one"


def _recipe(contract: Training) -> Iterator[tuple[str, str]]:
    recipe = contract.recipe
    if recipe.milestones != sorted(set(recipe.milestones)):
        yield "recipe.milestones", "must ascend, each once"
    if recipe.milestones and recipe.milestones[-1] >= recipe.epochs:
        yield "recipe.milestones", f"must lie before epoch {recipe.epochs}"
    if not recipe.backbone_url.endswith(f"-{recipe.backbone_hash}.pth"):
        yield "recipe.backbone_hash", "is not the one that backbone_url ends with"


def _rows(contract: Training) -> Iterator[tuple[str, str]]:
    for index, one in enumerate(contract.configuration):
        if not (one.nodes and one.cards and one.lr):
            yield f"configuration[{index}]", "needs nodes, cards and lr above 0"
        for name, text in dataclasses.asdict(one.published).items():
            if isinstance(text, str) and not text.replace(".", "", 1).isdecimal():
                yield f"configuration[{index}].published.{name}", f"'{text}' is no decimal number"


def _gates(contract: Training) -> Iterator[tuple[str, str]]:
    gate = contract.gate
    if len(gate.distributed.iterations) != len(gate.distributed.allowed):
        yield "gate.distributed.allowed", "needs one number for each of iterations"
    if gate.band.seeds < 2:
        yield "gate.band.seeds", "must be at least 2: one seed has no spread"
    if gate.band.width < 1 or any(at < gate.band.width for at in gate.band.at):
        yield "gate.band.at", "must not lie before a whole width"
    if gate.repeat.losses:
        yield "gate.repeat.losses", "must be 0: bit-equal is bit-equal"


def _short(contract: Training) -> Iterator[tuple[str, str]]:
    """The short run crosses warm-up, plateau and every drop, or the trace would not show them."""
    short = contract.run.short
    for subject in contract.subject:
        for kind in ("cuda", "cpu"):
            size = subject.size(kind)
            if not size.batch:
                yield f"subject.{subject.id}.{kind}.batch", "must be above 0"
                continue
            epoch = short.images // size.batch
            whole = size.iterations > 2 * epoch  # a run of a step or two judges step 0 alone
            if whole and size.iterations <= epoch * short.milestones[-1]:
                yield "run.short.milestones", f"{subject.id} on {kind} ends before the last one"
            if whole and short.resume_at % epoch == 0:  # a lost place in the epoch would not show
                yield "run.short.resume_at", f"{subject.id} on {kind} has an epoch's border there"
