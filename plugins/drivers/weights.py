"""Makes the weights that golden/ holds: python -m plugins.drivers.weights SUBJECT REASON.

A checkpoint is trained on the synthetic set (minutes on one core); seeded weights need statistics
measured on the photographs of their contract (half a minute).
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import numpy as np

from plugins import contracts
from plugins.drivers.cache import sources
from plugins.drivers.lab import Lab
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


def main() -> None:
    """The command line."""
    known = contracts.load_all()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subject", choices=sorted(known))
    parser.add_argument("reason", help="why the weights change; recorded in golden/manifest.toml")
    arguments = parser.parse_args()
    contract = known[arguments.subject]
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(interpreters={}, artifacts=Path(folder), run=Path(folder), tell=print)
        try:
            annotations = Path(folder)
            if contract.training:
                from fixtures.shapes_set import write_set  # the set is a fixture; only this needs it

                annotations = write_set(folder, "train", contract.training.images)
            changed = make(Subject(contract, lab), arguments.reason, annotations)
        finally:
            lab.close()
    print(f"{contract.weights.path}: {'rewritten' if changed else 'the same as before'}")


if __name__ == "__main__":
    main()
