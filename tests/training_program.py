"""A training program that trains nothing: three iterations, and one fault that its plan asks for.

plan["fault"] = {"kind": ..., "rank": k}; it strikes while rank k waits for the batch of iteration 1.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

plan = json.load(open(sys.argv[1]))
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
mine = os.path.join(plan["folder"], f"rank{rank}")
fault = plan.get("fault") or {"kind": "", "rank": -1}
struck = fault["kind"] if fault["rank"] == rank else ""
FOREVER_S = 120


def say(event, iteration=None, **more):
    line = {"event": event, "rank": rank, "iteration": iteration, "time": time.time(), **more}
    with open(f"{mine}.events", "ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


def stop(event, code, sentence):
    say(event, 1, sentence=sentence)
    sys.exit(code)


def until(condition):
    while not condition():
        time.sleep(0.005)


def notice():
    """As a collective whose peer is gone: an error that is not its own."""
    say("ERROR", 1, sentence="RuntimeError: connection closed by peer")
    until(lambda: os.path.exists(os.path.join(plan["folder"], "struck")))
    sys.exit(1)


def strike():
    if struck == "killed" and plan.get("noticed"):
        other = os.path.join(plan["folder"], "rank0.events")
        until(lambda: os.path.exists(other) and "ERROR" in open(other).read())
        open(os.path.join(plan["folder"], "struck"), "w").close()
    if struck == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if struck == "hangs":
        time.sleep(FOREVER_S)
    if struck == "has a child":
        command = [sys.executable, "-c", f"import time; time.sleep({FOREVER_S})", mine]
        subprocess.Popen(command, start_new_session=True)
        time.sleep(FOREVER_S)
    if struck == "leaves a draft":
        open(f"{mine}.npz.partial-7", "w").close()
        open(plan["checkpoint"]["path"] + ".partial-7", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if struck == "goes without a word":
        sys.exit(0)
    if struck == "refuses":
        stop("REFUSED", 3, "boxes.json: image 7 has no file; unpack the images")
    if struck == "is not finite":
        stop("NONFINITE", 4, f"rank {rank}, iteration 1: the loss of images 3, 9 is nan")
    if struck == "raises":
        stop("ERROR", 1, "ValueError: no such thing")


say("START", pid=os.getpid())
for iteration in range(plan.get("iterations", 3)):
    say("DATA", iteration)
    if iteration == 1:
        strike()
    say("CORE", iteration)
    if iteration == 1 and fault["rank"] not in (-1, rank):  # the others wait in the collective
        if plan.get("noticed"):
            notice()
        if plan.get("wait", True):
            time.sleep(FOREVER_S)
record = {"rank": rank, "world": world + (struck == "was of another world"), "pid": os.getpid()}
with open(f"{mine}.json", "w") as file:
    file.write(json.dumps(record)[: 9 if struck == "truncates its record" else None])
with zipfile.ZipFile(f"{mine}.npz", "w") as archive:
    archive.writestr("loss.npy", bytes.fromhex(plan["npy"]) if "npy" in plan else b"loss " * 9)
if struck == "damages its arrays":
    content = open(f"{mine}.npz", "rb").read()
    open(f"{mine}.npz", "wb").write(content.replace(b"loss loss", b"loss lost", 1))
if struck == "truncates its arrays":
    os.truncate(f"{mine}.npz", 40)
if struck == "forgets its arrays":
    os.remove(f"{mine}.npz")
say("FINISHED", 3)
sys.exit(5 if struck == "ends badly" else 0)
