"""aie::batch_nms and aie::roi_extractor beside torchvision's operators on the same work, one thread."""

from __future__ import annotations

import pytest
import torch
import torchvision

from plugins.drivers.ops_library import ensure_library

ANCHORS, CLASSES = 1000, 80
COUNTS = {
    "300 candidates": 300,
    "10 000 candidates": 10000,
    "80 000 candidates": 80000,
    "80 000 on one spot": 80000,
}


@pytest.fixture(scope="module", autouse=True)
def operators(tmp_path_factory):
    """Our library, for this torch."""
    torch.set_num_threads(1)
    import sys

    log = tmp_path_factory.mktemp("build") / "log"
    torch.ops.load_library(str(ensure_library(sys.executable, log=log, tell=print)))


def candidates(kind: str):
    """Boxes (1, N, C, 4) and scores (1, N, C) float16, so many of them above the threshold."""
    random = torch.Generator().manual_seed(0)
    shape = (ANCHORS, CLASSES)
    corner = torch.rand(*shape, 2, generator=random) * 1200
    size = torch.rand(*shape, 2, generator=random) * 100 + 8
    if "spot" in kind:
        corner, size = corner / 600 + 100, torch.full((*shape, 2), 200.0)
    scores = torch.rand(shape, generator=random) * 0.94 + 0.055
    above = torch.zeros(ANCHORS * CLASSES, dtype=torch.bool)
    above[torch.randperm(ANCHORS * CLASSES, generator=random)[: COUNTS[kind]]] = True
    scores = torch.where(above.view(shape), scores, scores * 0.03)
    return torch.cat([corner, corner + size], -1).half()[None], scores.half()[None]


def of_torchvision(boxes, scores):
    """The same by torchvision: the 100 best that survive, class by class."""
    index = (scores[0] > 0.05).nonzero()
    found, weights = boxes[0][index[:, 0], index[:, 1]].float(), scores[0][tuple(index.T)].float()
    kept = torchvision.ops.batched_nms(found, weights, index[:, 1], 0.5)[:100]
    return found[kept], weights[kept], index[kept, 1]


@pytest.mark.parametrize("who", ["ours", "torchvision", "each score read once"])
@pytest.mark.parametrize("kind", COUNTS)
def bench_batch_nms(rival, kind, who):
    boxes, scores = candidates(kind)

    def ours():
        return torch.ops.aie.batch_nms(boxes, scores, 0.05, 0.5, 200, 100)

    def theirs():
        return of_torchvision(boxes, scores)

    work = {"ours": ours, "torchvision": theirs}.get(who, lambda: scores.view(torch.int16).amax())
    result = rival(f"batch_nms, {kind}", who, work)
    if who == "ours":  # the same survivors, or the comparison says nothing
        count = int(result[3][0])
        assert torch.equal(result[1][0, :count].float(), theirs()[1][:count])


@pytest.mark.parametrize("who", ["ours", "torchvision"])
def bench_roi_extractor(rival, who):
    random = torch.Generator().manual_seed(1)
    features = torch.randn(2, 256, 100, 168, generator=random)
    corner = torch.rand(500, 2, generator=random) * torch.tensor([500.0, 300.0])
    size = torch.rand(500, 2, generator=random) * 110 + 1
    image = torch.randint(0, 2, (500, 1), generator=random).float()
    rois = torch.cat([image, corner, corner + size], 1)

    def ours():
        return torch.ops.aie.roi_extractor([features], rois, True, 56, 7, 7, "avg", 0, 2, [0.25])

    def theirs():
        return torchvision.ops.roi_align(features, rois, 7, 0.25, 2, True)

    assert torch.allclose(ours(), theirs(), atol=1e-4)
    work = ours if who == "ours" else theirs
    rival("roi_extractor, 500 regions", who, work, rounds=7)
