"""The kinds of faults that a published collection of them lists, in our words, by its ids.

A row of the matrix names the kinds that it is one of. A kind that no row can seed without hardware
stands in INEXPRESSIBLE with the reason; every other one must have a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.bite.benches import Row

KINDS = {
    "EX1": "a stub of ones stands where NMS should be",
    "EX2": "the trace began with uninitialised memory, or NaN is in the file",
    "EX3": "the traced size is frozen into anchors or shapes",
    "EX4": "the image-size output is not what it is declared to be",
    "EX5": "a device is written into the graph",
    "EX6": "outputs come in another order",
    "EX9": "only a part of the checkpoint was loaded",
    "EX10": "another torch exported than the one declared",
    "EX12": "the operator library does not fit: ABI or signature",
    "DE1": "anchors are off by half a stride",
    "DE3": "pyramid levels are reversed, or one is lost",
    "DE5": "candidates are chosen along the wrong axis, too few, or wrongly indexed",
    "DE6": "sigmoid is missing or applied twice",
    "DE8": "boxes are clipped, where the recipe does not",
    "DE9": "the exponent of a box's size overflows",
    "NM1": "the area of a large box overflows float16",
    "NM2": "a box exactly at the IoU threshold is treated wrongly",
    "NM3": "a score exactly at its threshold is treated wrongly",
    "NM4": "classes suppress each other",
    "NM5": "labels are shifted by one",
    "NM7": "the final limit is another, or does not keep the best",
    "NM8": "rows past the last detection hold what was there before",
    "NM9": "the number of detections is ignored or wrong",
    "NM11": "images of a batch leak into each other",
    "NM13": "a changed threshold changes nothing in the engine",
    "NM14": "empty or NaN boxes are kept",
    "PP1": "red and blue are swapped",
    "PP2": "mean or scale is missing, doubled or another",
    "PP3": "another interpolation kernel",
    "PP4": "the rule of the resized size is off, or rounds otherwise",
    "PP7": "grey or CMYK pictures are decoded otherwise",
    "PP8": "a reader's error is swallowed, and its image is missing",
    "PP9": "inputs of an earlier configuration are used",
    "PP10": "the set of images is cut or filtered without a word",
    "PP11": "another JPEG decoder",
    "LY1": "boxes are transposed",
    "LY3": "float16 bytes are read as float32",
    "LY4": "NHWC is passed for NCHW",
    "LY5": "output files are swapped",
    "LY6": "a dump of strided memory, or of another byte order",
    "LY8": "labels have become floats",
    "PR1": "another precision than declared is in effect",
    "PR2": "sums are accumulated in half precision",
    "PR4": "small numbers are flushed to zero",
    "PR6": "TF32 is on, and nobody said so",
    "PR7": "values are clipped as by a wrong calibration",
    "PR8": "a tolerance is wide enough to hide a drift",
    "RT1": "an operator falls back to the host",
    "RT2": "compiled for another chip",
    "RT3": "dynamic shapes where static ones were meant",
    "RT6": "results are read before the device has finished",
    "RT8": "two processes or threads spoil each other's results",
    "RT9": "another driver or CANN changes the result",
    "RT10": "two compilations are unlike",
    "RT11": "the device is throttled or unhealthy",
    "ST1": "results of an earlier run are scored as new",
    "ST2": "an old export is compiled",
    "ST4": "the newest file is another run's",
    "ST5": "golden data is empty or a placeholder",
    "ST7": "a compiled module of other options comes out of the cache",
    "MS1": "the clock is read before the device has finished",
    "MS2": "constant or empty inputs are timed",
    "MS3": "the warm-up is left out or counted",
    "MS6": "what is inside the timed window is not what is said",
    "MS7": "a clock that jumps or is too coarse",
    "MS8": "the card changes its clock while it is timed",
    "MS9": "a neighbour loads the machine while it is timed",
    "MS11": "results are cached by their input",
    "MS13": "a baseline that gives way step by step",
    "MS14": "another power mode or core affinity",
    "TR1": "learning rate or warm-up do not fit the global batch",
    "TR2": "a loss or its normaliser is another",
    "TR3": "anchors are matched to objects otherwise",
    "TR4": "frozen layers train, or trained ones are frozen",
    "TR6": "the sampler does not reshuffle, or shards overlap",
    "TR7": "repetitions that share a seed",
    "TR8": "the first passage over a threshold is sold as quality",
    "TR9": "samples are counted from the set, not from the steps",
    "TR11": "the loss scale collapses and steps are skipped",
    "TR12": "determinism is asked for too late",
    "TR14": "a loss of NaN is swallowed",
    "TR15": "rates and times contradict each other",
    "EV1": "only images with results are scored",
    "EV2": "categories are mapped wrongly",
    "EV3": "boxes are scaled back wrongly",
    "EV5": "another number of detections is scored",
    "EV6": "annotation id 0, crowds or ignored objects are treated wrongly",
    "EV7": "rounded scores make ties",
    "EV8": "a score threshold is applied before mAP",
    "EV10": "another annotation file",
    "EV11": "mAP of a part is compared with that of the whole",
    "CI1": "the exit code is lost on its way",
    "CI2": "no test is collected, or one vanished",
    "CI3": "a threshold is NaN, missing, negative or huge",
    "CI4": "an absent device is a skip",
    "CI5": "a waiver is stale, too broad or matches nothing",
    "CI7": "a missing figure counts as a pass",
    "CI9": "assertions are optimised away",
    "CI10": "running in parallel switches the timing off",
    "CI11": "too little evidence stays green for ever",
    "CI13": "date or locale breaks a reader",
    "CI14": "two copies of one rule differ",
    "CI15": "a certificate is used for another build",
}
# Nothing here can seed these: what is needed, and what stands guard until there is the hardware.
INEXPRESSIBLE = {
    "MS8": "needs a card whose clock can be changed; tests/test_gpu_state.py plays what one says",
    "RT11": "needs a card that is hot or broken; tests/test_gpu_state.py plays what one says",
}


def faults(rows: Sequence[Row]) -> list[str]:
    """What does not fit between the collection and the rows, a sentence each."""
    named = {kind: row.id for row in rows for kind in row.fault.kin}
    unknown = [
        f"{named[kind]}: there is no kind {kind}" for kind in sorted(set(named) - set(KINDS))
    ]
    open_ = [
        f"{kind} ({KINDS[kind]}): no row seeds it, and INEXPRESSIBLE has no reason"
        for kind in sorted(set(KINDS) - set(named) - set(INEXPRESSIBLE))
    ]
    both = [
        f"{kind}: INEXPRESSIBLE, and {named[kind]} seeds it"
        for kind in sorted(set(named) & set(INEXPRESSIBLE))
    ]
    return [*unknown, *open_, *both]
