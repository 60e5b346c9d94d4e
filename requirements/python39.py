"""Print the path of a Python 3.9, or say where to get one: python python39.py [PATH].

The source document's two stacks, torch 1.10.1 and torch 2.0.1, have it in common. Looked for: the
given path, python3.9 and python3 on PATH, and the versions of pyenv.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WANTED = "3.9"
QUESTION = "import sys; print('%d.%d' % sys.version_info[:2])"


def main(given: str) -> None:
    """Print the first that runs; what was given is the only one that is asked."""
    for python in [given] if given else _candidates():
        if _version(python) == WANTED:
            print(python)
            return
    found = f"{given} is none" if given else "neither on PATH nor among pyenv's versions"
    sys.exit(
        f"no Python 3.9 ({found}), which torch 1.10.1 and 2.0.1 run on; "
        "install one (pyenv install 3.9) or name it: make PYTHON39=/path/to/python3.9 ..."
    )


def _candidates() -> Iterator[str]:
    """Those on PATH first, then pyenv's: a python3.9 of pyenv on PATH may only tell of others."""
    yield from filter(None, map(shutil.which, ("python3.9", "python3")))
    root = _output("pyenv", "root") if shutil.which("pyenv") else ""
    if root:
        yield from map(str, sorted(Path(root, "versions").glob("3.9*/bin/python3.9")))


def _version(python: str) -> str:
    return _output(python, "-c", QUESTION)


def _output(*command: str) -> str:
    """What a command prints; nothing where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
