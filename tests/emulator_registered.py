"""A process in which another library registers aie::batch_nms before torch_aie is imported."""

from __future__ import annotations

import json

import torch

library = torch.library.Library("aie", "DEF")
library.define("batch_nms(Tensor boxes) -> Tensor")
library.impl("batch_nms", lambda boxes: boxes + 6, "CompositeExplicitAutograd")

import torch_aie  # noqa: E402,F401

print(json.dumps({"answer": float(torch.ops.aie.batch_nms(torch.ones(())))}))
