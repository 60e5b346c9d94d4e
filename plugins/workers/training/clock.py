"""Time on a device that works behind the host's back, measured without disturbing it.

A clock marks places in the device's queue and tells afterwards how far apart they were. Three kinds:
CUDA events, a CPU (where host and device are one), and a simulated asynchronous device, on which a
laptop can show what a careless timer would report.
"""

from __future__ import annotations

import time
from typing import Any, Callable


class CpuClock:
    """Host and device are the same."""

    def mark(self) -> Any:
        """A place in the device's queue."""
        return time.perf_counter()

    def host(self) -> float:
        """The host's own clock, in seconds."""
        return time.perf_counter()

    def synchronise(self) -> None:
        """Wait until the device has done all that it was given."""

    def elapsed(self, start: Any, end: Any) -> float:
        """Seconds of device time between two marks; valid after `synchronise`."""
        return end - start


class CudaClock(CpuClock):
    """CUDA events on the current stream (resolution about 0.5 us)."""

    def mark(self) -> Any:
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def synchronise(self) -> None:
        import torch

        torch.cuda.synchronize()

    def elapsed(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end) / 1000.0


class SimulatedDevice(CpuClock):
    """A device with a queue, in virtual time: launches return at once, waiting costs host time."""

    def __init__(self) -> None:
        self.now = 0.0  # the host's time
        self.free = 0.0  # when the device will have done everything

    def launch(self, seconds: float, overhead: float) -> None:
        """Queue work of `seconds`; the host spends `overhead` on launching it."""
        self.now += overhead
        self.free = max(self.free, self.now) + seconds

    def wait(self, seconds: float) -> None:
        """Host time that passes by itself, such as reading data."""
        self.now += seconds

    def mark(self) -> Any:
        return max(self.free, self.now)

    def host(self) -> float:
        return self.now

    def synchronise(self) -> None:
        self.now = max(self.now, self.free)


class Stopwatch:
    """What an iteration spends where, and windows between two synchronisations.

    `data`: host time blocked in the loader. `copy`, `core`: device time around the copy and around
    forward, backward and step. `host_core`: what a timer without synchronisation would say of the
    core. Windows begin after `warmup` iterations and are `block` long; only their borders
    synchronise (and wait for the other ranks), so the pipeline in between is left alone.
    """

    def __init__(self, clock: CpuClock, warmup: int, block: int, barrier: Callable[[], None]):
        self.clock, self.warmup, self.block, self.barrier = clock, warmup, block, barrier
        self.data_s: list[float] = []
        self.host_core_s: list[float] = []
        self.windows: list[tuple[float, int, int]] = []  # seconds, iterations, first iteration
        self._marks: dict[str, list] = {"copy": [], "core": []}
        self._open: tuple[float, int] | None = None

    def border(self, iteration: int) -> bool:
        """Before each iteration: end and begin windows where they are due; whether one was."""
        due = iteration >= self.warmup and (iteration - self.warmup) % self.block == 0
        if due:
            self.close(iteration)
        if iteration >= self.warmup and self._open is None:
            self._settle()
            self._open = (self.clock.host(), iteration)
        return due

    def close(self, iteration: int) -> None:
        """End the window, before an evaluation, a checkpoint or the end."""
        if self._open is not None:
            self._settle()
            start, first = self._open
            if iteration > first:
                self.windows.append((self.clock.host() - start, iteration - first, first))
            self._open = None

    def data(self, fetch: Callable[[], Any]) -> Any:
        """Time a fetch on the host."""
        start = self.clock.host()
        batch = fetch()
        self.data_s.append(self.clock.host() - start)
        return batch

    def copy(self, work: Callable[[], Any]) -> Any:
        """Time a copy on the device."""
        return self._timed("copy", work)

    def core(self, work: Callable[[], Any]) -> Any:
        """Time the computation, on the device and as a careless host would."""
        start = self.clock.host()
        result = self._timed("core", work)
        self.host_core_s.append(self.clock.host() - start)
        return result

    def seconds(self, what: str) -> list[float]:
        """Device seconds of each copy or core; after the last synchronisation."""
        return [self.clock.elapsed(*pair) for pair in self._marks[what]]

    def _timed(self, what: str, work: Callable[[], Any]) -> Any:
        start = self.clock.mark()
        result = work()
        self._marks[what].append((start, self.clock.mark()))
        return result

    def _settle(self) -> None:
        self.clock.synchronise()
        self.barrier()


# One training iteration of 16 images as the source's card has it: about 0.22 s forward and 0.43 s
# backward on the device, launched by a host that needs 0.07 s for both, 0.04 s for the loader.
FORWARD_S, BACKWARD_S, LAUNCH_S, DATA_S, IMAGES = 0.22, 0.43, 0.035, 0.04, 16


def experiment(iterations: int = 50) -> dict:
    """Images per second that three styles of loop report on the simulated device.

    `log_inside`: a value is read within the timed region, which drains the queue. `log_outside`:
    after it. `no_log`: never; only the window's end synchronises. `window` is the truth.
    """
    return {
        name: _simulated(inside, outside, iterations)
        for name, inside, outside in (
            ("log_inside", True, False),
            ("log_outside", False, True),
            ("no_log", False, False),
        )
    }


def _simulated(inside: bool, outside: bool, iterations: int) -> dict:
    device = SimulatedDevice()
    watch = Stopwatch(device, warmup=0, block=iterations, barrier=lambda: None)
    first = inside or outside  # the source also reads the loss before its backward pass

    def core() -> None:
        device.launch(FORWARD_S, LAUNCH_S)
        if first:
            device.synchronise()
        device.launch(BACKWARD_S, LAUNCH_S)
        if inside:
            device.synchronise()

    for iteration in range(iterations):
        watch.border(iteration)
        watch.data(lambda: device.wait(DATA_S))
        watch.core(core)
        if outside:
            device.synchronise()
    watch.close(iterations)
    images = IMAGES * iterations
    return {
        "host": images / sum(watch.host_core_s),
        "event": images / sum(watch.seconds("core")),
        "window": images / sum(window[0] for window in watch.windows),
    }


def clock_of(device: str) -> CpuClock:
    """The clock of a plan's device."""
    return CudaClock() if device == "cuda" else CpuClock()
