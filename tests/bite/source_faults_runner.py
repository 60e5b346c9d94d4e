"""Faults between pytest and the device: the wire, the workers, the adapter, what is remembered."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

protocol = partial(seed, "plugins/workers/protocol.py")
adapter = partial(seed, "plugins/workers/aie.py")
infer = partial(seed, "plugins/workers/infer.py")
runs = partial(seed, "plugins/drivers/runs.py")
NUMBERS = "numerics.recipe"

RUNNER = [
    protocol(
        'payload.append(array.astype(array.dtype.newbyteorder("<"), copy=False))',
        'payload.append(array.astype(array.dtype.newbyteorder(">"), copy=False))',
        "bytes_in_another_order",
        "arrays are sent big-endian and read little-endian",
        "pipeline.input",
        "the resized pixels are not the image's",
        kin=("LY6",),
    ),
    protocol(
        "        array = np.ascontiguousarray(array)\n",
        "        array = np.ascontiguousarray(np.asarray(array).T)\n",
        "arrays_sent_transposed",
        "arrays are sent in Fortran's order under their own shape",
        "pipeline.input",
        "the padding is not zero",
        kin=("LY1", "LY6"),
    ),
    protocol(
        "        payload.append(array.astype(",
        "        if array.dtype == np.float64:\n"
        '            listed[-1]["dtype"], array = "float32", array.astype(np.float32)\n'
        "        payload.append(array.astype(",
        "doubles_sent_as_floats",
        "float64 arrays lose half of their digits on the wire",
        "",
        "",
        missed="float32 holds boxes to 6e-5 px, and 0.01 px are allowed",
    ),
    protocol(
        "return np.frombuffer(data, dtype).reshape(shape)",
        "return np.frombuffer(data, dtype).reshape(shape)[..., ::1].round(2)",
        "numbers_rounded_on_the_wire",
        "two digits after the point are all that arrives",
        NUMBERS,
        "scores are wrong",
        kin=("EV7",),
    ),
    seed(
        "plugins/workers/archive.py",
        'np.ascontiguousarray(o.to("cpu").numpy())',
        'np.ascontiguousarray(o.to("cpu").numpy().round(0) if i == 0 else o.to("cpu").numpy())',
        "boxes_rounded_to_pixels",
        "the adapter rounds boxes to whole pixels",
        NUMBERS,
        "boxes",
    ),
    seed(
        "plugins/workers/archive.py",
        'np.ascontiguousarray(o.to("cpu").numpy())',
        'np.ascontiguousarray(o.to("cpu").numpy().view(np.float16).astype(np.float32)[..., ::2]\n'
        '                                          if i == 0 else o.to("cpu").numpy())',
        "floats_read_as_halves",
        "the bytes of boxes are read as float16",
        "outputs.layout",
        "boxes are laid out",
        kin=("LY3",),
    ),
    infer(
        '    image = torch.from_numpy(arrays["image"])\n    if strided:',
        '    image = torch.from_numpy(arrays["image"]).reshape(1, *arrays["image"].shape[2:], 3)\n'
        "    image = image.permute(0, 3, 1, 2).contiguous()\n    if strided:",
        "nhwc_for_nchw",
        "the input's memory is read as NHWC",
        NUMBERS,
        "image, weights or network differ",
        kin=("LY4",),
    ),
    infer(
        '    image = torch.from_numpy(arrays["image"])\n    if strided:',
        '    image = torch.from_numpy(arrays["image"]).half().float()\n    if strided:',
        "input_in_half",
        "the input passes through fp16",
        NUMBERS,
        "times what rounding explains",
        kin=("LY3",),
    ),
    infer(
        '    image = torch.from_numpy(arrays["image"])\n    if strided:',
        '    image = torch.from_numpy(arrays["image"]).round()\n    if strided:',
        "input_in_whole_grey_levels",
        "the input is rounded to whole numbers",
        NUMBERS,
        "image, weights or network differ",
    ),
    infer(
        "    key = (backend, path, tuple(shape))\n",
        '    key = ("reference", path, tuple(shape))\n',
        "the_cpu_in_the_devices_place",
        "a runner is remembered without its backend: the CPU answers for the device",
        "outputs.padding",
        "padding rows hold leftovers",
        also=[
            (
                "plugins/workers/infer.py",
                "return _runners[(backend, path, tuple(shape))][0]",
                'return _runners[("reference", path, tuple(shape))][0]',
            )
        ],
    ),
    infer(
        "    key = (backend, path, tuple(shape))\n",
        "    key = (backend, path, 4)\n",
        "runner_without_its_shape",
        "a runner is remembered without its input shape",
        "outputs.runs",
        "the model does not run",
        kin=("ST7",),
        also=[
            (
                "plugins/workers/infer.py",
                "return _runners[(backend, path, tuple(shape))][0]",
                "return _runners[(backend, path, 4)][0]",
            )
        ],
    ),
    infer(
        "while len(_runners) >= KEPT:",
        "while False:",
        "runners_never_closed",
        "engines pile up in memory",
        "",
        "",
        missed="a lack of memory shows on a runner with many models of full size, not here",
    ),
    runs(
        'return self.subject.once(("run", backend, picture), run)',
        'return self.subject.once(("run", picture), run)',
        "outputs_without_their_backend",
        "outputs are remembered without their backend: the CPU's stand for the device's",
        "outputs.padding",
        "padding rows hold leftovers",
    ),
    runs(
        "image = self.subject.prepared(picture)[0] if image is None else image",
        "image = self.subject.prepared(picture)[0]",
        "given_input_ignored",
        "another input than the case's own is never run",
        "compile.refusals",
        "an input of another size is accepted",
    ),
    seed(
        "plugins/drivers/subject.py",
        'return self.once(("prepared", picture), make)',
        'return self.once(("prepared", picture.side), make)',
        "inputs_without_their_picture",
        "the prepared input of the first image is used for all of its size",
        "pipeline.input",
        "the padding is not zero",
        kin=("PP9",),
    ),
    seed(
        "plugins/drivers/forwards.py",
        '    key = [known["identity"], *_of_model(subject, backend, side), *inputs]\n',
        '    key = [known["identity"], *_of_model(subject, backend, side)]\n',
        "kept_without_the_input",
        "results are kept without the input that they are of",
        NUMBERS,
        "image, weights or network differ",
        kin=("MS11",),
    ),
    seed(
        "plugins/drivers/forwards.py",
        '    key = [known["identity"], *_of_model(subject, backend, side), *inputs]\n',
        '    key = [known["identity"], *_of_model(subject, "aie", side), *inputs]\n',
        "kept_without_the_backend",
        "results are kept without their backend: the CPU's stand for the device's",
        "outputs.padding",
        "padding rows hold leftovers",
        kin=("ST7",),
    ),
    seed(
        "plugins/drivers/subject.py",
        '        path = self.given or self.export(self.contract.input.sizes[0].side, "zeros")\n',
        '        path = self.given or self.export(self.contract.input.sizes[0].side, "zeros")\n'
        '        given = self.lab.cache.folder / f"{self.id}.ts"\n'
        '        path = Path(__import__("shutil").copy(path, given))\n',
        "model_replaced_meanwhile",
        "another file takes the place of the model after its first image",
        "outputs.runs",
        "changed during the run: sha256",
        kin=("ST2",),
        also=[
            (
                "plugins/drivers/runs.py",
                "            found, known = self._kept(backend, picture)\n",
                "            found, known = self._kept(backend, picture)\n"
                '            self.subject.model().write_bytes(b"another")\n',
            )
        ],
    ),
    adapter(
        "        **options,\n    }",
        '        **{**options, "soc_version": "Ascend310P1"},\n    }',
        "compiled_for_another_chip",
        "another chip is named to the compiler",
        "compile.options",
        "soc_version",
        kin=("RT2",),
    ),
    adapter(
        'getattr(policies, options.pop("precision_policy"))',
        'getattr(policies, "PREF_" + options.pop("precision_policy").replace("16", "32"))',
        "another_policy_asked_for",
        "mixed precision is asked for instead of FP16",
        "compile.options",
        "precision_policy",
        kin=("PR1",),
    ),
    adapter(
        'inputs": [runtime.Input(shape, dtype=torch.float) for shape in shapes]',
        'inputs": [\n'
        "            runtime.Input(min_shape=[1, *s[1:]], max_shape=[4, *s[1:]], dtype=torch.float)\n"
        "            for s in shapes\n"
        "        ]",
        "compiled_for_a_range_of_shapes",
        "a range of shapes is compiled where one was meant",
        "compile.options",
        "inputs",
        kin=("RT3",),
    ),
    adapter(
        "            found = archive.arrays(outputs)\n",
        "            found = archive.arrays(archive.tensors(outputs)[::-1])\n",
        "outputs_reversed",
        "the adapter hands the outputs out from the last to the first",
        "outputs.order",
        "the outputs are not n boxes, n labels and n scores",
        kin=("EX6",),
    ),
    adapter(
        "        found = {k: v.copy() for k, v in found.items()}\n",
        "",
        "outputs_not_copied",
        "the adapter hands out views of device memory",
        "",
        "",
        missed="a copy to the host is one already on the emulator; on a device with a pool of outputs "
        "compile.lifetime sees it",
    ),
    seed(
        "plugins/workers/serve.py",
        "    except Exception as error:\n        return _failure(error), {}\n\n\ndef _operation",
        '    except Exception:\n        return {"ok": True, "result": {}}, {}\n\n\ndef _operation',
        "errors_swallowed",
        "what an operation raises is answered with nothing",
        "pipeline.refusals",
        "is accepted",
        kin=("PP8",),
    ),
]
