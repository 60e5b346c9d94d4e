"""Makes the weights that golden/ holds: a trained checkpoint, or the statistics of seeded weights."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from plugins.drivers.cache import sources
from plugins.drivers.subject import ROOT, Picture, Subject
from plugins.store import Producer, Store

TRAINING_LIMIT_S = 4 * 3600.0


def make(subject: Subject, reason: str, annotations: Path) -> bool:
    """Make a subject's weights and accept them into golden/; whether they differ from before."""
    kind = subject.contract.weights.kind
    arrays = _trained(subject, annotations) if kind == "checkpoint" else _measured(subject)
    found = subject.lab.call("export", "versions").result
    producer = Producer(
        backend=f"{kind} weights",
        runtime="cpu",
        machine=f"{platform.machine()} {platform.system()}",
        versions={name: found[name] for name in ("python", "torch", "torchvision", "numpy")},
        inputs={"code": sources("model", "seeded", "shapes_training", "images")},
    )
    name = str(Path(subject.contract.weights.path).relative_to("golden"))
    return Store(ROOT / "golden", reason=reason).accept(name, arrays, producer=producer)


def _trained(subject: Subject, annotations: Path) -> dict[str, np.ndarray]:
    plan = subject.contract.training
    size = subject.contract.input.sizes[0].side
    reply = subject.lab.worker("shapes_training").call(
        "train",
        timeout=TRAINING_LIMIT_S,
        spec=subject.spec,
        preprocess=subject.contract.input.preprocess(size),
        annotations=str(annotations),
        iterations=plan.iterations,
        batch=plan.batch,
        rate=plan.rate,
        seed=plan.seed,
    )
    return {name: value.astype(np.float16) for name, value in reply.arrays.items()}


def _measured(subject: Subject) -> dict[str, np.ndarray]:
    pictures = [
        Picture(case.name, ROOT / case.image, case.side)
        for case in subject.contract.case
        if case.kind == "photograph"
    ]
    images = {picture.name: subject.prepared(picture)[0] for picture in pictures}
    seed = subject.contract.weights.seed
    return subject.lab.call(
        "export", "calibrate", timeout=TRAINING_LIMIT_S, arrays=images, spec=subject.spec, seed=seed
    ).arrays
