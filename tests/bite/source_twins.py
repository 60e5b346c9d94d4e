"""Good products of another kind: what the real device may do, as far as it is documented."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

INSIDE = "plugins/workers/emulator/torch_aie/_emulator/"
behaviour = partial(seed, f"{INSIDE}behaviour.py", clause="", words="")

GOOD = {
    "emulator": [
        behaviour(
            '"INT64_OUTPUT": ("keep", "truncate")',
            '"INT64_OUTPUT": ("truncate", "keep")',
            "labels_of_int32",
            "integer outputs come as int32",
        ),
        seed(
            f"{INSIDE}device.py",
            "        wait(self)\n        if index is not None:",
            "        if index is not None:",
            "copies_do_not_wait",
            "a copy to the host does not wait for the device; synchronize does",
            "",
            "",
        ),
    ],
    "export": [
        seed(
            "plugins/drivers/subject.py",
            'self.export(self.contract.input.sizes[0].side, "zeros")',
            'self.export(self.contract.input.sizes[-1].side, "zeros")',
            "traced_at_another_size",
            "the file is traced at another declared size",
            "",
            "",
        ),
    ],
    "runner": [
        behaviour(
            '"INT64_OUTPUT": ("keep", "truncate")',
            '"INT64_OUTPUT": ("truncate", "keep")',
            "files_of_int32_labels",
            "labels that come as int32 are written into the files that declare int64",
        ),
    ],
}
