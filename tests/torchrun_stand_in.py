"""What torchrun does, as far as its caller can see, without the seconds that torch takes to load.

Started as an interpreter: -m torch.distributed.run --OPTION=VALUE ... PROGRAM PLAN.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

options = dict(word[2:].split("=", 1) for word in sys.argv[3:] if word.startswith("--"))
program = [word for word in sys.argv[3:] if not word.startswith("--")]
node, per_node = int(options["node_rank"]), int(options["nproc_per_node"])


def ranks():
    world = str(int(options["nnodes"]) * per_node)
    for local in range(per_node):
        rank = {"RANK": str(node * per_node + local), "LOCAL_RANK": str(local), "WORLD_SIZE": world}
        yield subprocess.Popen(
            [sys.executable, "-S", *program], env={**os.environ, **rank}, start_new_session=True
        )


def fail(children, first):
    print(f"failed (exitcode: {first.returncode}) local_rank: {children.index(first)} (pid: 1)")
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    for local, child in enumerate(children):
        if child.wait():
            rank = f"{node * per_node + local} (local_rank: {local})"
            print(f"  rank      : {rank}\n  exitcode  : {child.returncode} (pid: 1)")
    sys.exit(1)


print(*sys.argv[1:], flush=True)
store = socket.socket()
try:
    if node == 0:
        store.bind(("127.0.0.1", int(options["master_port"])))
except OSError:
    sys.exit("The server socket has failed to listen: EADDRINUSE")
started = list(ranks())
while None in [child.poll() for child in started]:
    failed = [child for child in started if child.returncode]
    if failed:
        fail(started, failed[0])
    time.sleep(0.1)
if any(child.returncode for child in started):
    fail(started, next(child for child in started if child.returncode))
