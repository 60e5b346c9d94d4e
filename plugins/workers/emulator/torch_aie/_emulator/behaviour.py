"""Switches for what is not known about the real device, or differs between its releases.

Each is an environment variable TORCH_AIE_EMULATOR_<NAME>, read whenever it matters, so that a test
can turn one in a child process. The first choice is the default.
"""

from __future__ import annotations

import os

CHOICES = {
    # Which kernel stands behind aie::batch_nms.
    "NMS": ("legacy-310P", "ops-cv"),
    # Older samples pass CPU tensors straight in; whether 7.0.RC1 takes them is not documented.
    "CPU_INPUT": ("accept", "refuse"),
    # Samples contradict each other on non-contiguous inputs.
    "STRIDED_INPUT": ("accept", "refuse"),
    # The runtime has an output pool; with "reuse" a later forward overwrites held outputs.
    "OUTPUT_MEMORY": ("fresh", "reuse"),
    # truncate_long_and_double makes int32 outputs plausible; published tables say int64.
    "INT64_OUTPUT": ("keep", "truncate"),
    # "off" computes in the graph's own precision, unfolded: bit-equal to the ScriptModule.
    "ROUNDING": ("on", "off"),
}


def choice(name: str) -> str:
    """The value in force for one switch; RuntimeError when the variable holds an unknown word."""
    variable = f"TORCH_AIE_EMULATOR_{name}"
    value = os.environ.get(variable, CHOICES[name][0])
    if value not in CHOICES[name]:
        raise RuntimeError(f"{variable} is '{value}'; set it to one of {', '.join(CHOICES[name])}")
    return value
