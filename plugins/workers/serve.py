"""The main loop of a worker: python serve.py ROLE READ_FD WRITE_FD.

A role is a module beside this one with OPERATIONS, name -> function(arrays, **args) that returns
(JSON-able result, arrays). Standard output and error are the worker's log; frames travel on two
descriptors of their own, so that nothing that a library prints can corrupt them.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback

import protocol


def main(role: str, read_fd: str, write_fd: str) -> None:
    """Serve the role's operations until the other side closes the stream."""
    # Ctrl-C belongs to pytest, which closes the stream; two tracebacks would help nobody.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(int(read_fd), "rb") as requests, os.fdopen(int(write_fd), "wb") as replies:
        operations = _load(role, replies)
        while operations:
            try:
                header, arrays = protocol.receive(requests)
            except EOFError:
                return
            answer = _answer(role, operations, header, arrays)
            try:
                protocol.send(replies, *answer)
            except protocol.Unsendable as error:
                protocol.send(replies, _failure(error), {})


def _load(role: str, replies) -> dict:
    """Import the role; the first frame tells the parent whether that worked."""
    try:
        operations = importlib.import_module(role).OPERATIONS
        protocol.send(replies, {"ok": True}, {})
        return operations
    except Exception as error:
        protocol.send(replies, _failure(error), {})
        return {}


def _answer(role: str, operations: dict, header: dict, arrays: dict) -> tuple[dict, dict]:
    try:
        result, out = _operation(role, operations, header["op"])(arrays, **header["args"])
        return {"ok": True, "result": result}, out
    except Exception as error:
        return _failure(error), {}


def _operation(role: str, operations: dict, name: str):
    if name not in operations:
        known = ", ".join(sorted(operations))
        raise protocol.Refusal(f"{role}: no operation '{name}'; call one of {known}")
    return operations[name]


def _failure(error: Exception) -> dict:
    refused = isinstance(error, protocol.Refusal)
    if not refused:
        traceback.print_exc()
        sys.stderr.flush()
    sentence = str(error) if refused else f"{type(error).__name__}: {str(error).strip()}"
    unfit = isinstance(error, protocol.Unfit)
    return {"ok": False, "refused": refused, "unfit": unfit, "error": sentence}


if __name__ == "__main__":
    main(*sys.argv[1:])
