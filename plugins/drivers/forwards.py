"""Forward passes that need not be repeated: of the CPU and of the emulator, never of a device.

What a file answers to an image is kept by everything that decides it: the file, the image, the rule
that prepares it, the operators, the compile options, the code of this folder, and the identity of the
worker: its code, the emulator's, the libraries, the processor, the threads and the variables (see
workers/identity.py). A change of any of them is another key. Clauses that repeat, save or hold a run
really run it, and compare it with what was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import numpy as np

from plugins.drivers.cache import digest, file_digest

if TYPE_CHECKING:
    from plugins.drivers.subject import Subject

Found = dict[str, np.ndarray]
FROM_CACHE = ", from the cache"


def kept(
    subject: Subject,
    backend: str,
    side: int,
    inputs: Sequence[str],
    make: Callable[[], Found],
) -> tuple[Found, bool]:
    """What `make` finds at an input side, and whether it was known before.

    Args:
        inputs: what it is found in, and of what kind: digests of image files or of prepared inputs.
    """
    known = worker_identity(subject)
    if backend != "reference" and not known["emulated"]:
        return make(), False  # a device is measured, each time
    key = [known["identity"], *_of_model(subject, backend, side), *inputs]
    return subject.lab.cache.arrays("forward", key, make)


def worker_identity(subject: Subject) -> dict:
    """What decides the bits of a pass in the infer worker, and whether its NPU is emulated."""
    return subject.once(
        "identity",
        lambda: subject.lab.call("infer", "identity", library=subject.lab.library("infer")).result,
    )


def _of_model(subject: Subject, backend: str, side: int) -> list:
    contract = subject.contract
    options = contract.compile.options() if backend == "aie" else {}
    opened = [subject.model(), Path(subject.lab.library("infer"))]
    ours = sorted(Path(__file__).parent.glob("*.py"))
    rule = [contract.input.shape(side), contract.input.preprocess(side)]
    digests = [*map(subject.lab.digest_of, opened), *map(file_digest, ours)]
    return [backend, digest(options), rule, *digests]
