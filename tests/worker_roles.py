"""Roles that misbehave, for the self-tests of workers; found through PYTHONPATH."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import protocol

REPLIES = int(sys.argv[3])
GRANDCHILD = "import time; time.sleep(300)"


def echo(arrays, **args):
    """Everything back, and who answers."""
    return {"process": os.getpid(), **args}, arrays


def refuse(arrays):
    raise protocol.Refusal("weights.pkl: tensor 'a' is missing; fetch the file again")


def fail(arrays):
    raise ValueError("two\nlines")


def abort(arrays):
    print("last words", flush=True)
    os.abort()


def leave(arrays):
    sys.exit(3)


def chatter(arrays):
    """Noise on every stream that a library might use."""
    print("\0RNW1 garbage")
    os.write(1, b"\xff\xfe")
    os.write(2, b"\xff\xfe")
    subprocess.run(["/bin/echo", "from a child"], check=True)
    return {}, {}


def hang(arrays, file):
    """Start another process, tell its id, and never answer."""
    child = subprocess.Popen([sys.executable, "-c", GRANDCHILD])
    with open(file, "w") as told:
        told.write(f"{os.getpid()} {child.pid}")
    time.sleep(300)


def orphan(arrays):
    """Die while a forked process still holds the stream."""
    if os.fork() == 0:
        time.sleep(300)
    os.abort()


def grow(arrays):
    """Ask for more memory than there may be."""
    limit = 4 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return {}, {"much": np.ones(2 * limit, np.uint8)}


def devour(arrays):
    """What the kernel does to the largest process of a full machine."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_frame(arrays):
    os.write(REPLIES, protocol.MAGIC + b"\x00\x01\x00\x00{")
    os._exit(5)


def half_an_array(arrays):
    header = b'{"ok": true, "arrays": [{"name": "a", "dtype": "float32", "shape": [9]}]}'
    os.write(REPLIES, protocol.MAGIC + len(header).to_bytes(4, "little") + header + b"\0" * 8)
    os._exit(5)


def nonsense(arrays, text):
    os.write(REPLIES, text.encode())
    time.sleep(300)


def unsendable(arrays, what):
    return {"set": ({1}, {}), "complex": ({}, {"a": np.ones(1, complex)})}[what]


OPERATIONS = {
    function.__name__: function
    for function in (
        *(echo, refuse, fail, abort, leave, chatter, hang, orphan, grow, devour),
        *(half_a_frame, half_an_array, nonsense, unsendable),
    )
}
