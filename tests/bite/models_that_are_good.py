"""Good model files of unusual making: nothing may be red about any of them."""

from __future__ import annotations

from tests.bite.fault import Fault

WEIGHTS = "export.weights"  # cannot be told good from bad where nobody declared them
TWINS = [
    Fault("three_outputs", "without the meaningless fourth output", "", ""),
    Fault("traced_at_other_size", "traced at the other of its sizes", "", ""),
    Fault("inlined", "its graph is inlined, with common parts joined", "", ""),
    Fault("frozen", "its weights are constants of the graph", WEIGHTS, "", quick=True),
    Fault("float32_nms", "float32 candidates go into the operator", "", ""),
    Fault("candidates_reordered", "candidates come in another order", "", ""),
    Fault("labels_by_int32", "labels go through int32", "", ""),
    Fault("fine_tuned", "all weights were trained a little further", WEIGHTS, "", quick=True),
    Fault("head_fine_tuned", "its head was trained a little further", WEIGHTS, ""),
    Fault("slow", "does twice the arithmetic", "", ""),
]
