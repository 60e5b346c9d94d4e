"""What an interpreter is and which modules it has, without importing any; also runs as a child."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys

LIMIT_S = 30


def asked(python, names):
    """What `found` says in another interpreter, and why it says nothing: ({}, why) if it is no Python."""
    if python == sys.executable:
        return found(names), ""
    try:
        done = subprocess.run([python, __file__, *names], capture_output=True, timeout=LIMIT_S)
    except OSError as error:
        return {}, error.strerror or str(error)
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {LIMIT_S} s"
    try:
        return dict(json.loads(done.stdout)), ""
    except (ValueError, TypeError):
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").split("\n")
        last = [line.strip() for line in lines if line.strip()][-1:]
        return {}, ", ".join([f"exit code {done.returncode}", *last])


def found(names):
    """Map each module that can be found to its file ("origin") and version ("" if unknown).

    Python itself is always found.
    """
    specs = {name: importlib.util.find_spec(name) for name in names}
    modules = {
        name: {"origin": _origin(spec), "version": _version(name)}
        for name, spec in specs.items()
        if spec is not None
    }
    return {"python": {"origin": sys.executable, "version": platform.python_version()}, **modules}


def _origin(spec):
    if spec.origin and os.path.exists(spec.origin):
        return spec.origin
    return next(iter(spec.submodule_search_locations or []), "")


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    print(json.dumps(found(sys.argv[1:])))
