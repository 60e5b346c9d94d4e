"""The detectron2 of this interpreter: which one it is, and how it is imported."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import tempfile
from pathlib import Path

# The files that decide what the network computes, and the revisions whose content we know.
PARTS = (
    "layers/batch_norm.py",
    "layers/nms.py",
    "layers/wrappers.py",
    "modeling/anchor_generator.py",
    "modeling/backbone/fpn.py",
    "modeling/backbone/resnet.py",
    "modeling/box_regression.py",
    "modeling/meta_arch/retinanet.py",
    "structures/boxes.py",
)
KNOWN = {
    "260e55d16eb9cfc30200d78609f46dfaacd82bf5ce16cbfe2ac7e600cab8f18d": "60fd4885",
    "2b5907938c6e3fd478b4cbafb6bfa0f8c109c0f93c3ea28544631d5ff274f5b5": "60fd4885, rewritten",
}
# Where a patched tree looks for the operators when it is imported, relative to the working folder.
EXPECTED_LIBRARY = Path("mmdet_ops", "build", "libmmdet_ops.so")


def identity() -> str:
    """Revision, told by the files, and version of the installed detectron2; empty without one."""
    place = folder()
    if place is None:
        return ""
    try:
        version = f"version {importlib.metadata.version('detectron2')}"
    except importlib.metadata.PackageNotFoundError:
        version = "not installed by pip"
    sha = hashlib.sha256()
    for part in PARTS:
        sha.update((place / part).read_bytes() if (place / part).is_file() else b"absent")
    revision = KNOWN.get(sha.hexdigest(), f"unknown revision, sources {sha.hexdigest()[:12]}")
    return f"{revision}, {version}"


def folder():
    """Where the package lies, found without importing it; None if there is none."""
    spec = importlib.util.find_spec("detectron2")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def patched() -> bool:
    """Whether the imported detectron2 carries the published rewrite already."""
    return hasattr(importlib.import_module("detectron2.layers.nms"), "batch_nms_op")


@contextlib.contextmanager
def beside(library: str):
    """A working folder in which a patched tree finds the operators of this torch."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, EXPECTED_LIBRARY)
        link.parent.mkdir(parents=True)
        link.symlink_to(os.path.abspath(library))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
