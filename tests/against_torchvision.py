"""Runs in a child: argv[1] is libmmdet_ops.so. Prints how far torchvision's operators are away."""

import json
import sys

import torch
import torchvision

torch.ops.load_library(sys.argv[1])
random = torch.Generator().manual_seed(0)

# Whole-numbered corners: torchvision tells classes apart by an offset, which must not round.
corners = torch.randint(0, 200, (400, 5, 2), generator=random).float()
boxes = torch.cat([corners, corners + torch.randint(8, 64, (400, 5, 2), generator=random)], -1)
scores = torch.randperm(2000, generator=random).add(1).div(2001).view(400, 5)  # no ties
ours = torch.ops.aie.batch_nms(boxes[None], scores[None], 0.05, 0.5, 200, 100)
rows, labels = (scores > 0.05).nonzero(as_tuple=True)
kept = torchvision.ops.batched_nms(boxes[rows, labels], scores[rows, labels], labels, 0.5)[:100]
theirs = (boxes[rows, labels][kept], scores[rows, labels][kept], labels[kept])

feature = torch.randn(2, 3, 20, 30, generator=random)
start, size = torch.rand(2, 40, 2, generator=random) * 60
image = (torch.arange(40) % 2)[:, None]
rois = torch.cat([image, 2 * start - 20, 2 * start - 20 + size], 1)
largest, difference = 0.0, 0.0
for aligned in (True, False):
    for samples in (0, 2):
        pooled = torch.ops.aie.roi_extractor(
            [feature], rois, aligned, 56, 7, 5, "avg", 0, samples, [0.25]
        )
        wanted = torchvision.ops.roi_align(feature, rois, (7, 5), 0.25, samples, aligned)
        largest = max(largest, float(wanted.abs().max()))
        difference = max(difference, float((pooled - wanted).abs().max()))

print(
    json.dumps(
        {
            "nms_survivors": int(ours[3]),
            "nms_differences": sum(
                int((mine.reshape(yours.shape) != yours).sum()) for mine, yours in zip(ours, theirs)
            ),
            "roi_relative_difference": difference / largest,
        }
    )
)
