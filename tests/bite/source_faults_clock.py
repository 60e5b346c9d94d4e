"""Faults of the clock and of what is timed."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

adapter = partial(seed, "plugins/workers/aie.py")
infer = partial(seed, "plugins/workers/infer.py")
timing = partial(seed, "fixtures/timing.py")
COMPUTE, COPIES = "throughput.compute", "throughput.with_copies"
SYNC = "            outputs = self.compiled.forward(*on_device)\n            stream.synchronize()\n"
MARKS = "return found, [b - a for a, b in zip(marks, marks[1:])]"

CLOCK = [
    adapter(
        SYNC,
        SYNC.replace("            stream.synchronize()\n", ""),
        "not_synchronised",
        "the clock is read before the device has finished",
        "throughput.clock",
        "synchronised",
        kin=("MS1",),
        quick=True,
    ),
    adapter(
        MARKS,
        "return found, [0.0, marks[2] - marks[1], 0.0]",
        "copies_left_out",
        "the copies are declared and not timed",
        "throughput.clock",
        "a copy takes no time",
        kin=("MS6",),
    ),
    adapter(
        MARKS,
        "return found, [0.0, marks[3] - marks[0], 0.0]",
        "copies_in_the_compute",
        "the copies are timed as a part of computing",
        "throughput.clock",
        "a copy takes no time",
        kin=("MS6",),
    ),
    adapter(
        "            on_device = [tensor.to(DEVICE) for tensor in inputs]\n",
        "",
        "copy_in_before_the_clock",
        "the input is copied before the clock starts",
        "",
        "",
        kin=("MS6",),
        missed="what remains between the two marks takes some microseconds, and a copy of an "
        "input no more than that on some devices; a floor on it would be a guess",
        also=[
            (
                "plugins/workers/aie.py",
                "            marks = [time.perf_counter()]\n",
                "            on_device = [tensor.to(DEVICE) for tensor in inputs]\n"
                "            marks = [time.perf_counter()]\n",
            )
        ],
    ),
    adapter(
        MARKS,
        "return found, [(b - a) / 10 for a, b in zip(marks, marks[1:])]",
        "a_tenth_of_the_time",
        "the clock runs ten times too slowly",
        "throughput.clock",
        "tells less time than has passed",
        kin=("MS7",),
    ),
    adapter(
        MARKS,
        "return found, [(b - a) * 1.5 for a, b in zip(marks, marks[1:])]",
        "half_as_much_again",
        "the clock runs half as fast again",
        "throughput.clock",
        "tells more time than has passed",
        kin=("MS7",),
    ),
    adapter(
        MARKS,
        "return found, [round(b, 2) - round(a, 2) for a, b in zip(marks, marks[1:])]",
        "coarse_clock",
        "the clock has ticks of a hundredth of a second",
        "throughput.clock",
        "a copy takes no time",
        kin=("MS7",),
    ),
    adapter(
        MARKS,
        "marks[2] += 3600 * (marks[2] % 0.3 > 0.2)\n        " + MARKS,
        "clock_that_jumps",
        "the clock is set anew while it is read",
        "throughput.clock",
        "a copy takes no time",
        kin=("MS7",),
    ),
    infer(
        "torch.from_numpy(images.prepare(p, **preprocess)[0][None]) for p in paths",
        "torch.from_numpy(0 * images.prepare(p, **preprocess)[0][None]) for p in paths",
        "zeros_are_timed",
        "inputs of zeros are timed",
        "throughput.clock",
        "has nothing to detect",
        kin=("MS2",),
        quick=True,
    ),
    timing(
        "for turn in range(steps)]",
        "for turn in range(0)]",
        "no_warm_up",
        "the warm-up is left out",
        "throughput.clock",
        "the warm-up is not what is declared",
        kin=("MS3",),
    ),
    timing(
        "        return Timing(seconds, rounds, [*before, *taken], warmup)",
        "        seconds = np.array([one.seconds for one in [*before, *taken]])\n"
        "        return Timing(seconds, rounds, [*before, *taken], warmup)",
        "warm_up_counted",
        "the steps of the warm-up are timed too",
        COMPUTE,
        "the timing is not complete",
        kin=("MS3",),
    ),
    timing(
        "rounds=rounds, iterations=1",
        "rounds=rounds // 2, iterations=1",
        "half_of_the_steps",
        "half of the declared steps are taken",
        COMPUTE,
        "the timing is not complete",
    ),
    seed(
        "plugins/workers/emulator/torch_aie/_emulator/engine.py",
        "        if key in self._layouts and self.program.static:",
        '        known, seen = self.__dict__.setdefault("known", {}), inputs[0].sum().item()\n'
        "        if seen in known:\n            return known[seen]\n"
        "        if key in self._layouts and self.program.static:",
        "cached_by_input",
        "results are kept by their input",
        "throughput.clock",
        "results are cached",
        kin=("MS11",),
        also=[
            (
                "plugins/workers/emulator/torch_aie/_emulator/engine.py",
                "            self._queue(lambda: self._fill(outputs, self.program(resident)), outputs)\n",
                "            self._queue(lambda: self._fill(outputs, self.program(resident)), outputs)\n"
                "            known[seen] = outputs\n",
            )
        ],
    ),
    infer(
        "image = turn % len(held)",
        "image = 0",
        "one_image_is_timed",
        "one image is timed again and again",
        "throughput.clock",
        "all steps are on one image",
        kin=("MS2",),
    ),
    infer(
        "    image = turn % len(held)\n    found, seconds = _runner(backend, path",
        '    image = turn % len(held)\n    found, seconds = _runner("reference", path',
        "another_backend_is_timed",
        "the CPU is timed in the device's place",
        COMPUTE,
        "not opened for reference",
        kin=("RT1",),
    ),
    seed(
        "plugins/workers/emulator/torch_aie/npu.py",
        "        for job in jobs:\n            job.wait()\n",
        "",
        "synchronise_returns_at_once",
        "the stream's synchronize does not wait",
        "throughput.clock",
        "synchronised",
        kin=("MS1",),
    ),
]
