"""Faults of the compiler and the runtime: precision, placement, memory, order, state."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

INSIDE = "plugins/workers/emulator/torch_aie/_emulator/"
program = partial(seed, f"{INSIDE}program.py")
engine = partial(seed, f"{INSIDE}engine.py")
device = partial(seed, f"{INSIDE}device.py")
ROUND = "piece.copy_(piece.half())"
CHUNKED = """\
        if step.kind in CONVOLUTIONS:
            step.call = _in_narrow_sums(step.call)
        if step.kind in CUBE and self"""
NARROW = """\


def _in_narrow_sums(call):
    def convolve(x, weight, bias, *rest):
        total = 0
        for k in range(weight.shape[1]):
            total = rounded(total + call(x[:, k : k + 1], weight[:, k : k + 1], None, *rest))
        return total if bias is None else total + bias.view(1, -1, 1, 1)

    return convolve


def _narrow(step: Step):
"""
DEVICE = "ops.device_nms"

EMULATOR = [
    program(
        "return self.policy is PrecisionPolicy.FP16 and compiled and step.kind not in EXACT",
        "return False",
        "computed_in_float32",
        "the policy FP16 is asked for, and float32 is computed",
        "",
        "",
        kin=("PR1",),
        missed="the cube of a 310P takes fp16 whatever is asked, and vectors in float32 lie nearer to "
        "the truth: no number tells; on a device the floor of throughput does",
    ),
    program(
        "copies[register] = self.graph.register(rounded(value))",
        "step_ = float(value.abs().max()) / 127 or 1.0\n"
        "                        copies[register] = self.graph.register(\n"
        "                            (value / step_).round() * step_\n"
        "                        )",
        "weights_of_eight_bits",
        "weights are quantised to int8",
        "numerics.recipe",
        "scores are wrong",
        kin=("PR1",),
    ),
    seed(
        f"{INSIDE}rounding.py",
        ROUND,
        "piece.copy_(piece.bfloat16())",
        "bfloat16_instead",
        "values are rounded to bfloat16, which the chip does not have",
        "numerics.recipe",
        "times what rounding explains",
        kin=("PR1",),
    ),
    program(
        "        if step.kind in CUBE and self",
        CHUNKED,
        "sums_in_half_precision",
        "a convolution adds up in fp16",
        "",
        "",
        kin=("PR2",),
        also=[(f"{INSIDE}program.py", "\n\ndef _narrow(step: Step):\n", NARROW)],
        missed="sums over at most 432 products of this narrow network stay within its tolerance,"
        " which is twice what fp16 with wide sums was seen to do",
    ),
    seed(
        f"{INSIDE}rounding.py",
        ROUND,
        "piece.copy_(piece.half().where(piece.abs() >= 2.0**-14, piece.half() * 0))",
        "denormals_flushed",
        "activations below 6e-5 are flushed to zero",
        DEVICE,
        "the device decides otherwise",
        kin=("PR4",),
    ),
    program(
        "self.graph.register(rounded(value))",
        "self.graph.register(rounded(value.clamp(-1, 1)))",
        "weights_clipped",
        "weights are clipped to -1..1 as by a wrong calibration",
        "numerics.recipe",
        "differ",
        kin=("PR7",),
    ),
    seed(
        f"{INSIDE}rounding.py",
        ROUND,
        "piece.copy_(piece.clamp(-16, 16).half())",
        "activations_clipped",
        "activations are clipped to -16..16 as by a wrong calibration",
        "numerics.recipe",
        "differ",
        kin=("PR7",),
    ),
    seed(
        f"{INSIDE}folding.py",
        'scale = (variance.double() + constant(norm, "eps")).rsqrt()',
        'scale = (variance.half().double() + constant(norm, "eps")).half().double().rsqrt()',
        "normalisation_folded_in_half",
        "variances are rounded to fp16 before they are folded",
        "",
        "",
        kin=("PR2",),
        missed="no variance of this network is beyond fp16 (8044 at most), and then it costs no "
        "more than rounding a weight does",
    ),
    seed(
        f"{INSIDE}folding.py",
        "shift = ((0 if bias is None else bias.double()) - mean.double()) * scale",
        "shift = (0 if bias is None else bias.double()) - mean.double()",
        "mean_folded_without_its_scale",
        "the mean of a normalisation is folded without its scale",
        "numerics.recipe",
        "differ",
    ),
    program(
        'return step.kind.split("::")[0] not in ("aten", "prim", "aie")',
        'return step.kind.split("::")[0] not in ("aten", "prim", "aie") or step.kind == "aten::topk"',
        "topk_falls_back",
        "an operator runs on the host",
        "compile.placement",
        "fell back to torch",
        kin=("RT1",),
    ),
    program(
        'return step.kind.split("::")[0] not in ("aten", "prim", "aie")',
        'return step.kind.split("::")[0] not in ("aten", "prim")',
        "nms_falls_back",
        "the NMS is left in torch, where our own operator answers for the device",
        DEVICE,
        "fell back to torch",
        kin=("RT1",),
    ),
    program(
        "self.graph.register(rounded(value))",
        'self.graph.register(rounded(value * (1 + 1e-3 * (__import__("time").time_ns() // 1000 % 7) / 7)))',
        "compiled_unlike_each_time",
        "two compilations of one file have unlike weights",
        "compile.saved",
        "saving and loading changes the result",
        kin=("RT10",),
    ),
    program(
        "        return [registers[i] for i in self.graph.outputs]",
        "        found = [registers[i] for i in self.graph.outputs]\n"
        "        return [found[0] + 1e-3 * torch.rand_like(found[0]) * (found[0] != 0), *found[1:]]",
        "unlike_each_time",
        "two runs of one input give unlike bits",
        "compile.repeatable",
        "two runs of one input differ",
        kin=("RT6",),
    ),
    program(
        "            registers[register] = self._entering(value)",
        '            self.last = 0.01 * getattr(self, "last", 0 * value) + self._entering(value)\n'
        "            registers[register] = self.last",
        "an_input_lingers",
        "a hundredth of the input before is still in the buffer",
        "compile.repeatable",
        "two runs of one input differ",
    ),
    engine(
        "        if key in self._layouts and self.program.static:",
        '        known = self.__dict__.setdefault("known", {})\n'
        "        if key in known:\n"
        "            return known[key]\n"
        "        if key in self._layouts and self.program.static:",
        "cached_by_shape",
        "the first result is kept and returned for every input",
        "numerics.recipe",
        "differ",
        kin=("MS11",),
        also=[
            (
                f"{INSIDE}engine.py",
                "        self._fill(outputs, results)\n        return outputs",
                "        self._fill(outputs, results)\n"
                "        known[key] = outputs\n        return outputs",
            )
        ],
    ),
    engine(
        "            output.copy_(result)",
        "            output.view(-1)[: result.numel() // 2].copy_(result.view(-1)[: result.numel() // 2])",
        "half_of_a_copy",
        "only the first half of each output arrives",
        "outputs.values",
        "hold NaN or infinity",
        kin=("RT6",),
    ),
    device(
        "        wait(self)\n        if index is not None:",
        "        if index is not None:",
        "nothing_waits",
        "neither a copy to the host nor synchronize waits for the device",
        "outputs.values",
        "hold NaN or infinity",
        kin=("RT6",),
        also=[
            (
                "plugins/workers/emulator/torch_aie/npu.py",
                "        for job in jobs:\n            job.wait()\n",
                "",
            )
        ],
    ),
    device(
        "return allocate(tensor.shape, tensor.dtype, index).copy_(tensor.detach())",
        "flat = tensor.detach().as_strided((tensor.numel(),), (1,))\n"
        "    return allocate(tensor.shape, tensor.dtype, index).copy_(flat.view(tensor.shape))",
        "strides_ignored",
        "memory is uploaded as it lies, whatever the strides say",
        "compile.contiguity",
        "the input's strides change the result",
        kin=("LY4", "LY6"),
    ),
    seed(
        f"{INSIDE}behaviour.py",
        '"OUTPUT_MEMORY": ("fresh", "reuse")',
        '"OUTPUT_MEMORY": ("reuse", "fresh")',
        "output_memory_reused",
        "the next run overwrites what a caller still holds",
        "compile.lifetime",
        "outputs change while later images run",
        kin=("RT6",),
    ),
    engine(
        "        if not any(\n",
        "        if len(inputs) > 9 and not any(\n",
        "any_shape_accepted",
        "an input of a shape that nothing was compiled for is taken",
        "compile.refusals",
        "an input of another size is accepted",
        kin=("RT3",),
    ),
    engine(
        "    return torch.int32 if truncate else dtype",
        "    return torch.float32 if dtype is torch.int64 else dtype",
        "labels_as_floats",
        "integer outputs are delivered as float32",
        "outputs.dtype",
        "labels is float32",
        kin=("LY8",),
    ),
    engine(
        "return payload[start + length :], json.loads(payload[start : start + length])",
        "options = json.loads(payload[start : start + length])\n"
        '    return payload[start + length :], {**options, "precision_policy": 2}',
        "policy_of_the_payload_ignored",
        "the engine is always built for FP32, whatever was asked",
        "",
        "",
        kin=("PR1", "ST7"),
        missed="the cube of a 310P takes fp16 whatever is asked, and vectors in float32 lie nearer to "
        "the truth: no number tells; on a device the floor of throughput does",
    ),
]
