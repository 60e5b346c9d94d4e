"""Faults of clocks and counts, and what grows on the side."""

from __future__ import annotations

import threading
import time

import clock
import loop
import probe
import train
from clock import Stopwatch
from loop import Loop

KEPT: list = []

# --- clocks and counts


def timer_does_not_wait():
    """The device's clock is read on the host."""

    def fault(self, what, work):
        start = self.clock.host()
        result = work()
        self._marks[what].append((start, self.clock.host()))
        return result

    Stopwatch._timed = fault


def border_does_not_wait():
    Stopwatch._settle = lambda self: None


def warmup_included():
    make = Stopwatch.__init__
    Stopwatch.__init__ = lambda self, clock, warmup, block, barrier: make(
        self, clock, 0, block, barrier
    )


def images_of_the_set():
    """Counts the set for each epoch that was begun, whatever was fed."""
    run = Loop.run

    def fault(self):
        run(self)
        self.images = len(self.data) * (1 + (self.done - 1) // len(self.batches))

    Loop.run = fault


def images_of_all_ranks():
    """The counted images are multiplied by a world of eight."""
    run = Loop.run

    def fault(self):
        run(self)
        self.images *= 8

    Loop.run = fault


def backward_outside_the_core():
    """As in the source's Faster R-CNN: the timer ends before the work does."""
    _core_is(0.45)


def step_outside_the_core():
    _core_is(0.95)


def core_too_long():
    _core_is(1.1)


def _core_is(share):
    seconds = Stopwatch.seconds

    def fault(self, what):
        found = seconds(self, what)
        return [share * s for s in found] if what == "core" else found

    Stopwatch.seconds = fault


def windows_shortened():
    _windows_are(0.8)


def windows_too_long():
    """A pause of the host that is no work of the training."""
    _windows_are(1.1)


def _windows_are(share):
    close = Stopwatch.close

    def fault(self, iteration):
        count = len(self.windows)
        close(self, iteration)
        self.windows[count:] = [(share * s, *rest) for s, *rest in self.windows[count:]]

    Stopwatch.close = fault


def evaluation_in_the_windows():
    """The last window is closed after the evaluation, whose time is also told apart."""
    pause = Loop._pause

    def fault(self):
        close, self.watch.close = self.watch.close, lambda iteration: None
        pause(self)
        self.watch.close = close

    Loop._pause = fault


def evaluation_untold():
    evaluate_it = Loop._evaluate

    def fault(self, plan):
        evaluate_it(self, plan)
        return 0.0

    Loop._evaluate = fault


def data_untold():
    """Another thread reads ahead and nobody says how long it was waited for."""
    data = Stopwatch.data

    def fault(self, fetch):
        batch = data(self, fetch)
        self.data_s[-1] = 0.0
        return batch

    Stopwatch.data = fault


def memory_unmeasured():
    probe.resident_peak = lambda: 0


def training_time_only():
    """e2e_time without what comes before and after the loop."""
    run = train.train

    def fault(*args):
        record, arrays = run(*args)
        late = record["seconds"]["training"] / 2
        record["seconds"] = _Fixed(record["seconds"], main=late)
        return record, arrays

    train.train = train.ONLY[""] = fault


class _Fixed(dict):
    """Seconds of which some cannot be changed any more."""

    def __init__(self, values, **fixed):
        super().__init__({**values, **fixed})
        self.fixed = fixed

    def __setitem__(self, key, value):
        super().__setitem__(key, self.fixed.get(key, value))


# --- growth


def _each_step(leak):
    step = Loop._step

    def fault(self, images, targets):
        step(self, images, targets)
        leak(self)

    Loop._step = fault


def losses_kept_with_their_graph():
    """Sums of losses that hold on to what they were computed from."""

    def fault(self, loss, optimiser):
        loss.backward(retain_graph=True)
        KEPT.append(loss)

    loop.precisions.Full.backward = fault


def images_kept():
    moved = Loop._moved

    def fault(self, images, targets):
        images, targets = moved(self, images, targets)
        KEPT.append([image.clone() for image in images])
        return images, targets

    Loop._moved = fault


def handles_leaked():
    _each_step(lambda self: KEPT.append(open("/dev/null", "rb")))


def handle_leaked_at_times():
    """One in fifty iterations, as by a worker process that is not joined."""
    _each_step(lambda self: self.done % 50 or KEPT.append(open("/dev/null", "rb")))


def threads_leaked():
    def start(self):
        if self.done % 10 == 0:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

    _each_step(start)


# --- the simulated device


def marks_forget_the_queue():
    clock.SimulatedDevice.mark = lambda self: self.now
