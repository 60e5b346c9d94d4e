"""Builds libmmdet_ops.so for an interpreter's torch, once, and recognises what does not belong.

python -m plugins.drivers.ops_library [--python PY]

A library only loads in the torch that it was built for, so that each version has a folder of its
own, mmdet_ops/build/<torch version>/. What a library was built for, and from which sources, is
written in the library itself: there is no stamp beside it that could say something else.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional, TextIO

from plugins.failure import LabError

SOURCES = Path(__file__).resolve().parents[2] / "mmdet_ops"
BUILD = SOURCES / "build"
NAME = "libmmdet_ops.so"
MARKER = re.compile(rb"mmdet_ops built for torch ([^\0 ]+) from sources ([0-9a-z]+)\0")
# Reads torch's version without importing torch, which would cost seconds in each run.
PROBE = """import importlib.util as u, os, runpy
spec = u.find_spec("torch")
version = os.path.join(os.path.dirname(spec.origin), "version.py") if spec else ""
print(runpy.run_path(version)["__version__"] if spec else "")"""


def ensure_library(
    python: str = sys.executable,
    *,
    log: Optional[Path] = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """The library for the torch of `python`, built if it is missing or its sources have changed.

    Args:
        python: the interpreter; the default one's library also becomes build/libmmdet_ops.so.
        log: the compiler's output goes here; by default beside the library.
        tell: is given a line before each long step.
    Raises:
        LabError: no torch, no CMake, no compiler, or the build failed; says what to install.
    """
    python = _absolute(python)
    version = torch_version(python)
    library = BUILD / version / NAME
    if not _current(library, version):
        with _lock(library.parent / "lock", tell):
            if not _current(library, version):  # the other build may have made it
                _build(python, version, library, log or library.parent / "build.log", tell)
    if python == _absolute(sys.executable):
        _publish(library, BUILD / NAME)
    return library


@functools.cache
def torch_version(python: str) -> str:
    """The full version ("2.11.0+cu130") of the torch that `python` would import."""
    try:
        run = subprocess.run([python, "-c", PROBE], capture_output=True, text=True)
    except OSError as error:
        raise LabError(f"{python}: {error.strerror}; name a Python interpreter") from None
    if run.returncode or not run.stdout.strip():
        raise LabError(f"{python} has no torch; install the requirements for it")
    return run.stdout.strip()


def sources_digest() -> str:
    """A digest of everything that the library is made from."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".cpp", ".h", ".txt") and BUILD not in path.parents:
            digest.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _absolute(python: str) -> str:
    """The path of an interpreter given by name or path; links stay, as a venv is made of them."""
    return os.path.abspath(shutil.which(python) or python)


def _current(library: Path, version: str) -> bool:
    if not library.is_file():
        return False
    data = library.read_bytes()
    marker = MARKER.search(data)
    wanted = (version.encode(), sources_digest().encode())
    return bool(marker) and marker.groups() == wanted and _complete(data)


def _complete(data: bytes) -> bool:
    """Whether a file is an ELF library to its end (its section table comes last), or a Mach-O."""
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return True
    if data[:5] != b"\x7fELF\x02" or len(data) < 64:
        return False
    (sections,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    return 0 < sections and sections + size * count <= len(data)


@contextlib.contextmanager
def _lock(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; the system gives it back however this process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "w")
    except OSError as error:
        what = f"{path}: {error.strerror}, so that {NAME} cannot be built"
        raise LabError(f"{what}; make the folder writable") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another build of {NAME} is under way; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(
    python: str, version: str, library: Path, log: Path, tell: Callable[[str], None]
) -> None:
    for left in library.parent.glob("work-*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    cmake = _tool(python, "cmake", "install it with pip, from requirements/")
    work = tempfile.mkdtemp(prefix="work-", dir=library.parent)
    configure = [cmake, "-S", str(SOURCES), "-B", work, f"-DPython_EXECUTABLE={python}"]
    configure += [*_compiler(), f"-DMMDET_OPS_SOURCES={sources_digest()}"]
    compile_ = [cmake, "--build", work, "--parallel", str(min(4, os.cpu_count() or 1))]
    tell(f"building {NAME} for torch {version} (half a minute); log: {log}")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(log, "w") as output:
            for command in (configure + _generator(python), compile_):
                if _run(command, output):
                    raise LabError(f"{NAME} for torch {version}: {_first_error(log)}; see {log}")
        os.replace(os.path.join(work, NAME), library)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], output: TextIO) -> int:
    """Run to the end; where we are stopped, the compilers that it has started stop too."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _publish(library: Path, place: Path) -> None:
    """Make `place` the same file as `library`, never seen half written."""
    if place.is_file() and place.read_bytes() == library.read_bytes():
        return
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.copy2(library, partial)
    os.replace(partial, place)


def _find(python: str, name: str) -> Optional[str]:
    """A program of the interpreter's own environment, of ours, or of the system."""
    places = [str(Path(p).parent) for p in (python, sys.executable)]
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))


def _tool(python: str, name: str, cure: str) -> str:
    found = _find(python, name)
    if not found:
        raise LabError(f"{NAME} needs {name}, which is neither beside {python} nor on PATH; {cure}")
    return found


def _generator(python: str) -> list[str]:
    ninja = _find(python, "ninja")
    if ninja:
        return ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    _tool(python, "make", "install make, or ninja with pip")
    return ["-G", "Unix Makefiles"]


def _compiler() -> list[str]:
    """CMake reads CXX itself, which may carry options; otherwise it is told what we found."""
    named = os.environ.get("CXX", "").split()[:1]
    wanted = named or ["c++", "g++", "clang++"]
    found = [shutil.which(name) for name in wanted if shutil.which(name)]
    if found:
        return [] if named else [f"-DCMAKE_CXX_COMPILER={found[0]}"]
    raise LabError(
        f"{NAME} needs a C++ compiler, but {', '.join(wanted)} cannot be found; install g++ or "
        "clang++, or name one in CXX"
    )


def _first_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line.strip() for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    return (errors or lines[-1:] or ["the build said nothing"])[0][:300]


def main() -> int:
    """Build for one interpreter and print where the library is."""
    options = argparse.ArgumentParser(description=f"Build {NAME} for one interpreter's torch.")
    options.add_argument("--python", default=sys.executable, help="default: this interpreter")
    python = options.parse_args().python
    try:
        print(ensure_library(python, tell=lambda line: print(line, flush=True)))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the next call starts this build afresh", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
