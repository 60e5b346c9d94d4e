"""The smallest change that the bands of the pipeline and of the parity with detectron2 catch."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from unittest import mock

import numpy as np

from plugins.checks import images as checks
from plugins.checks.stages import check_stages
from plugins.contracts import Contract
from plugins.contracts.operators import Pipeline
from plugins.store import Store
from tests.bisection import fails, smallest

ROOT = Path(__file__).resolve().parents[1]
with mock.patch.object(sys, "path", [str(ROOT / "plugins" / "workers"), *sys.path]):
    images = importlib.import_module("images")  # by its bare name, as in a worker
PHOTOGRAPHS = sorted((ROOT / "fixtures" / "data").glob("*.jpg"))
BOXES = np.array([[0, 0, 1, 1], [0, 0, 1344, 1344], [448, 269, 672, 336], [-168, -3, 1353, 2016.0]])
GEOMETRY = (640, 427, 1199, 800)


def measure(contract: Contract, bands: Pipeline) -> dict[str, float]:
    """Deviation -> the smallest that is caught on some photograph.

    image_px: the photograph resampled so far to the right; contrast: a share of each pixel less the
    mean; mean_levels: in grey levels.
    """
    rule = contract.input.preprocess(contract.input.sizes[0].side)
    read = [images.read(path) for path in PHOTOGRAPHS]
    return {
        "image_px": min(
            smallest(lambda px, p=p: _caught(p, rule, bands, px=px), 1e-3) for p in read
        ),
        "contrast": min(
            smallest(lambda by, p=p: _caught(p, rule, bands, contrast=by), 1e-4) for p in read
        ),
        "mean_levels": smallest(lambda by: _caught(read[0], rule, bands, mean=by), 1e-7),
        "restored_px": smallest(lambda px: _restored(px, bands), 1e-4),
    }


def noise(contract: Contract) -> dict[str, float]:
    """The same quantities of the clean pipeline: what the bands must let pass."""
    rule = contract.input.preprocess(contract.input.sizes[0].side)
    error = 0.0
    for path in PHOTOGRAPHS:
        inner, reference = _inner(path, rule)
        error = max(error, float(np.abs(inner - (reference - rule["mean"])).max()))
    restored = images.restore(BOXES, images.Geometry(*GEOMETRY))
    scale = np.array([GEOMETRY[0] / GEOMETRY[2], GEOMETRY[1] / GEOMETRY[3]] * 2)
    return {"grey_levels": error, "restored_px": float(np.abs(restored - BOXES * scale).max())}


def _inner(path: Path, rule: dict) -> tuple[np.ndarray, np.ndarray]:
    """The clean pipeline's pixels, and those of the rule in float64."""
    tensor, (_, _, width, height) = images.prepare(path, **rule)
    inner = tensor.reshape(tensor.shape[-3:])[:, :height, :width].transpose(1, 2, 0)
    return inner, checks.resized(images.read(path), width, height)


def _caught(pixels, rule: dict, bands: Pipeline, px=0.0, contrast=0.0, mean=0.0) -> bool:
    """Seeded in the resize itself, which then rounds to whole levels as OpenCV does."""
    height, width = pixels.shape[:2]
    sizes = checks.expected_size(width, height, shortest=rule["shortest"], longest=rule["longest"])
    resized = _shifted(pixels, *sizes, px)
    about = np.asarray(rule["mean"])
    levels = np.rint(np.clip(about + (resized - about) * (1 + contrast), 0, 255))
    tensor = np.zeros((3, rule["size"], rule["size"]), np.float32)
    inner = levels.astype(np.float32) - about.astype(np.float32) + np.float32(mean)
    tensor[:, : sizes[1], : sizes[0]] = inner.transpose(2, 0, 1)
    return fails(checks.check_input, tensor, pixels, **rule, band=bands.grey_levels)


def _shifted(pixels: np.ndarray, width: int, height: int, px: float) -> np.ndarray:
    """Resized as by checks.resized, sampled so many px of the result further right."""
    whole = checks.resized(pixels, width, height)
    places = np.clip(np.arange(width) + px, 0, width - 1)
    low = np.floor(places).astype(int)
    part = (places - low)[None, :, None]
    return whole[:, low] * (1 - part) + whole[:, np.minimum(low + 1, width - 1)] * part


def _restored(px: float, bands: Pipeline) -> bool:
    restored = images.restore(BOXES, images.Geometry(*GEOMETRY)) + px
    return fails(checks.check_restored, restored, BOXES, GEOMETRY, tolerance=bands.restored_px)


def parity(contract: Contract, golden: Store) -> dict[str, float]:
    """one_value: the change of one sampled value of a stage, as a share of the stage's largest."""
    recorded = golden.arrays(f"{contract.id}/detectron2.npz")

    def caught(stage: str, share: float) -> bool:
        values = recorded[stage].copy()
        at = np.unravel_index(np.abs(values).argmax(), values.shape)
        values[at] = values[at] * np.float32(1 + share)
        return fails(check_stages, {**recorded, stage: values}, recorded, contract.parity)

    every = [smallest(lambda share, s=s: caught(s, share), 1e-8) for s in recorded]
    return {"one_value": max(every)}
