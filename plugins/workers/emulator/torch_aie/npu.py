"""torch_aie.npu: streams of the emulated device (MindIE Torch pages 0136, 0157, 0158)."""

from __future__ import annotations

import contextlib
import threading

from ._emulator import device as _device

_local = threading.local()


class Stream:
    """An order of work on one device; all streams of the emulator share one device thread.

    Args:
        device: "npu", "npu:0" or None for the device that set_device chose.
    """

    def __init__(self, device: str | None = None):
        index = _device.npu_index("npu" if device is None else device)
        if index is None:
            raise RuntimeError(f"a stream lives on an npu device, not on '{device}'")
        self._index, self._jobs = index, []

    def synchronize(self) -> None:
        """Return when all work given to this stream is done; RuntimeError if some of it failed."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.wait()

    def device(self) -> str:
        """The device of the stream, as "npu:0"."""
        return f"npu:{self._index}"

    def _append(self, job) -> None:
        self._jobs = [*(j for j in self._jobs if not j.done.is_set() or j.error), job]


_defaults: dict[int, Stream] = {}


def default_stream(device: str | None = None) -> Stream:
    """The stream that takes work outside any `stream` block."""
    index = _device.npu_index("npu" if device is None else device)
    return _defaults.setdefault(index, Stream(f"npu:{index}"))


def set_stream(stream: Stream) -> None:
    """Give this thread's further work to `stream`."""
    _local.stream = stream


def _current() -> Stream:
    return getattr(_local, "stream", None) or default_stream()


@contextlib.contextmanager
def stream(stream: Stream):
    """Give the work of a `with` block to `stream`."""
    before = getattr(_local, "stream", None)
    set_stream(stream)
    try:
        yield
    finally:
        _local.stream = before
