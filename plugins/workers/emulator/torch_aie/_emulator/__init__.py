"""What stands behind the emulated torch_aie: nothing here belongs to the real package's API.

spec      what a caller promises about an input
walk      the inlined TorchScript graph as a flat list of steps
folding   BatchNorm and constant subgraphs, in float32, before anything is rounded
rounding  binary16 values in float32 tensors
nms_310p  the device's batched multi-class NMS, step by step
program   steps plus a precision policy: what one forward executes
engine    payload, cache and the TorchScript operator that runs a program
device    emulated memory, streams and the one device thread
behaviour the points on which the real device is unknown, as switches
"""
