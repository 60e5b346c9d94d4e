"""Make a virtual environment of pinned requirements: python install.py FOLDER [FILE.txt ...].

The files lie beside this one; without any, everything that the suite needs is installed. A second
call that finds the same requirements installed returns at once. Two calls at once take turns, and one
that was interrupted is simply repeated: the environment counts as ready only after the last package.
Needs nothing but Python's own library.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = ("suite.txt", "torch.txt")
OLDEST, NEWEST = (3, 9), (3, 13)
# GB that an environment takes while it is made, pip's copies of the packages among them; measured by df.
ROOM = {"torch.txt": 8.0, "export.txt": 3.5, "browser.txt": 1.0}


def main(folder: Path, files: tuple[str, ...] = SUITE) -> None:
    """Install `files` into `folder`, or find them installed."""
    found = sys.version_info[:2]
    if not OLDEST <= found <= NEWEST:
        sys.exit(
            f"Python {found[0]}.{found[1]} ({sys.executable}) is outside 3.9 to 3.13; "
            "choose another: make PYTHON=python3.11 ..."
        )
    stamp = folder / "ready"
    wanted = _digest(files)
    if _reads(stamp) == wanted:
        return
    # Not inside the folder: an environment that is broken is cleared with all its files.
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"setup-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _reads(stamp) != wanted:
            _refuse_a_full_disk(folder, files)
            print(f"setting up {folder} (torch is large: some minutes, once)", flush=True)
            _install(folder, files)
            stamp.write_text(wanted)


def _digest(files: tuple[str, ...]) -> str:
    """What the environment depends on: the requirement files and the interpreter."""
    content = b"".join((HERE / name).read_bytes() for name in files)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def _reads(stamp: Path) -> str:
    return stamp.read_text() if stamp.is_file() else ""


def _refuse_a_full_disk(folder: Path, files: tuple[str, ...]) -> None:
    """pip would fail too, but after minutes and with every other program's files at risk."""
    needed = sum(ROOM.get(name, 0.0) for name in files)
    free = shutil.disk_usage(folder.parent).free / 1e9
    if not folder.exists() and free < needed:
        sys.exit(
            f"{folder.name} needs {needed:.1f} GB of disk while it is made and {folder.parent} has "
            f"{free:.1f} GB free: make room there, or check out on a larger disk"
        )


def _install(folder: Path, files: tuple[str, ...]) -> None:
    if not _usable(folder):  # making it again would write over the Python that may run this
        venv.EnvBuilder(with_pip=True, clear=folder.exists()).create(folder)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    for name in files:
        print(f"installing {name}", flush=True)
        # Every package is pinned; constraints keep torch from choosing another numpy.
        command = [
            *pip,
            "--progress-bar",
            "on",
            "-r",
            str(HERE / name),
            "-c",
            str(HERE / files[0]),
        ]
        code = subprocess.call(command)
        if code:
            sys.exit(f"pip could not install requirements/{name} (exit code {code}); see above")


def _usable(folder: Path) -> bool:
    """Whether packages can be installed into what is there: our Python's version, and it has pip."""
    python = folder / "bin" / "python"
    ours = tuple(sys.version_info[:2])
    words = [str(python), "-c", f"import pip, sys; sys.exit(sys.version_info[:2] != {ours})"]
    return python.exists() and subprocess.call(words, stderr=subprocess.DEVNULL) == 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    try:
        main(Path(sys.argv[1]).absolute(), tuple(sys.argv[2:]) or SUITE)
    except KeyboardInterrupt:
        sys.exit("interrupted; the next call goes on from here")
