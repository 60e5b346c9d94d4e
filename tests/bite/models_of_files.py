"""Rows of the model file: it is cut, empty, or no model of this kind.

The file of each name is built by tests/faulty_models.py.
"""

from __future__ import annotations

from tests.bite.fault import Fault

FILES = [
    Fault(
        "unknown_operator",
        "the graph calls an operator of a library that nobody loads",
        "export.loads",
        "elsewhere::identity",
        ("EX12",),
    ),
    Fault(
        "classifier",
        "the file is a classifier",
        "export.recipe",
        "calls aie::batch_nms 0 times",
    ),
    Fault(
        "function",
        "the file is a function of an image without weights",
        "export.recipe",
        "calls aie::batch_nms 0 times",
    ),
    Fault(
        "truncated",
        "the second half of the file is missing",
        "export.loads",
        "the file does not load",
        quick=True,
    ),
    Fault("zip_of_text", "an archive without a model", "export.loads", "the file does not load"),
    Fault("state_dict", "weights without a graph", "export.loads", "the file does not load"),
    Fault("empty", "an empty file", "export.loads", "the file does not load", ("ST5",)),
    Fault("text", "a pointer that stands for the file", "export.loads", "the file does not load"),
    Fault("missing", "there is no file", "gate.usage", "there is no file"),
    Fault("folder", "a folder of that name", "gate.usage", "there is no file"),
]
