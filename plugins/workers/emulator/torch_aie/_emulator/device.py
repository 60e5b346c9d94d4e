"""Emulated device memory, streams and the device itself: one thread that works a queue.

Device memory is a NumPy buffer that only this module allocates, so any tensor or view of one is
recognised by the address of its storage, in every torch version and across detach(). Work is
asynchronous: a caller gets its output memory at once, filled with 0xff bytes (NaN, -1), and the
numbers arrive when the device gets there. `.to("cpu")` and a stream's synchronize() wait.
"""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from dataclasses import dataclass, field

import numpy as np
import torch

UNFILLED = 0xFF


class Job:
    """One piece of work in the queue."""

    def __init__(self, work):
        self.work, self.done, self.error = work, threading.Event(), None

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.error = error
        finally:
            self.work = None
            self.done.set()

    def wait(self) -> None:
        """Return when the work is done; RuntimeError, once, if it failed."""
        self.done.wait()
        error, self.error = self.error, None
        if error is not None:
            raise RuntimeError(f"device work failed: {error}") from error


class Device:
    """A queue and the thread that works it; started by the first job."""

    def __init__(self):
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work) -> Job:
        """Append work; jobs run one at a time, in order, on all streams."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="npu", daemon=True)
            self._thread.start()
        job = Job(work)
        self._queue.put(job)
        return job

    def drain(self) -> None:
        """Finish what is queued and end the thread; the next job starts another."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _serve(self) -> None:
        for job in iter(self._queue.get, None):
            job.run()


@dataclass
class Block:
    """One allocation; `job` is the work that will fill it, until that is done."""

    index: int
    job: Job | None = None


@dataclass
class State:
    device: Device = field(default_factory=Device)
    index: int = 0  # what set_device chose
    blocks: dict[int, Block] = field(default_factory=dict)  # by storage address


state = State()
# A thread that dies inside an operator at interpreter exit takes the process down with it.
atexit.register(lambda: state.device.drain())


def allocate(shape, dtype: torch.dtype, index: int) -> torch.Tensor:
    """Unfilled device memory."""
    item = torch.empty((), dtype=dtype).element_size()
    count = int(np.prod(shape, dtype=np.int64))
    memory = np.full(max(1, count) * item, UNFILLED, np.uint8)
    address = memory.ctypes.data
    state.blocks[address] = Block(index)
    # torch keeps the array alive as long as any view of the storage lives.
    weakref.finalize(memory, state.blocks.pop, address, None)
    return torch.from_numpy(memory).view(dtype)[:count].view(tuple(shape))


def upload(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """A copy of a host tensor in device memory."""
    return allocate(tensor.shape, tensor.dtype, index).copy_(tensor.detach())


def block(tensor: torch.Tensor) -> Block | None:
    """The allocation behind a tensor; None for host memory, and for tensors without storage."""
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        return None
    return state.blocks.get(tensor.untyped_storage().data_ptr())


def wait(tensor: torch.Tensor) -> None:
    """Return when the work that fills this tensor is done; host tensors are ready."""
    owner = block(tensor)
    if owner is not None and owner.job is not None:
        owner.job.wait()
        owner.job = None


def npu_index(device) -> int | None:
    """0 for "npu", k for "npu:k", None for every other device."""
    name, _, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if name != "npu":
        return None
    if number and not number.isdigit():
        raise RuntimeError(f"'{device}' is no device; use npu or npu:0")
    return int(number or state.index)


def patch_tensor_to() -> None:
    """Teach Tensor.to and Tensor.cpu the device strings "npu" and "npu:k", in this process only.

    The real package brings a device type of its own; a Python emulator cannot register one without
    compiled code, and the published sample moves its tensors with nothing but these two calls.
    """
    original_to, original_cpu = torch.Tensor.to, torch.Tensor.cpu

    def to(self, *args, **kwargs):
        device = kwargs.get("device", args[0] if args else None)
        index, owner = npu_index(device), block(self)
        if index is None and owner is None:
            return original_to(self, *args, **kwargs)
        wait(self)
        if index is not None:
            kwargs.pop("device", None)
            args = args[1:] if args and args[0] is device else args
        elif isinstance(device, (str, torch.device)):
            return original_to(self, *args, **kwargs).clone()
        rest = original_to(self, *args, **kwargs) if args or kwargs else self
        return upload(rest, owner.index if index is None else index)

    def cpu(self, *args, **kwargs):
        return original_cpu(self, *args, **kwargs) if block(self) is None else self.to("cpu")

    torch.Tensor.to, torch.Tensor.cpu = to, cpu
