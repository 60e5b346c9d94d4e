"""The driver that builds libmmdet_ops.so and recognises libraries that do not belong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugins.drivers import ops_library
from plugins.drivers.process import Worker, WorkerRefused
from plugins.failure import LabError

ROOT = Path(__file__).resolve().parents[1]
CURE = f"run: python -m plugins.drivers.ops_library --python {sys.executable}"
MAIN = """import sys; from pathlib import Path; from plugins.drivers import ops_library as driver
driver.BUILD = Path(sys.argv.pop(1)); sys.exit(driver.main())"""


@pytest.fixture(scope="module")
def library():
    return ops_library.ensure_library()


@pytest.fixture(scope="module")
def torch():
    return ops_library.torch_version(sys.executable)


class Lab:
    """An interpreter with a `cmake` of our making beside it, and a build folder of its own."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.build, self.calls = folder / "build", folder / "calls"
        self.python = self._script(folder / "python", f'exec "{sys.executable}" "$@"')
        self.library, self.cmake = library, folder / "cmake"
        self.cmake_does(f'cp "{library}" "$2/{ops_library.NAME}"')

    def cmake_does(self, building: str) -> None:
        text = f'if [ "$1" = --build ]; then echo built >> "{self.calls}"; {building}; fi'
        self._script(self.cmake, text)

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-c", MAIN, str(self.build), "--python", str(self.python)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def made(self) -> list[str]:
        """Everything in the build folder but the lock and the log."""
        found = (p.name for p in self.build.rglob("*"))
        return sorted(name for name in found if name.startswith(("lib", "work")))

    def wait_for_build(self) -> None:
        deadline = time.monotonic() + 30
        while not self.calls.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    @staticmethod
    def _script(path: Path, text: str) -> Path:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


@pytest.fixture
def lab(tmp_path, library):
    return Lab(tmp_path, library)


@pytest.fixture(scope="module")
def refusal(tmp_path_factory):
    """What a worker says to a library that it is to load; the path is written as PATH."""
    with Worker("ops", log=tmp_path_factory.mktemp("refusal") / "worker.log") as worker:

        def said(path: Path) -> str:
            with pytest.raises(WorkerRefused) as caught:
                worker.call("load", path=str(path))
            return str(caught.value).replace(str(path), "PATH")

        yield said


def test_the_default_interpreters_library_has_a_fixed_place(library):
    place = ops_library.BUILD / ops_library.NAME
    assert place.read_bytes() == library.read_bytes()


def test_a_library_for_another_torch_is_refused_with_the_fix(library, torch, refusal, tmp_path):
    other = tmp_path / ops_library.NAME
    forged = "1.10.1+cu102".ljust(len(torch), "0").encode()[: len(torch)]
    data = library.read_bytes()
    other.write_bytes(data.replace(b"torch " + torch.encode(), b"torch " + forged))
    assert refusal(other) == (
        f"PATH: built for torch {forged.decode()}, but {sys.executable} has torch {torch}; {CURE}"
    )


def test_a_truncated_library_is_made_again(library, torch, tmp_path):
    """The loader would end the process: it maps pages that the file does not have."""
    cut = tmp_path / ops_library.NAME
    cut.write_bytes(library.read_bytes()[:-100])
    assert not ops_library._current(cut, torch)


def test_a_foreign_library_is_refused_with_the_fix(library, refusal, tmp_path):
    foreign = tmp_path / ops_library.NAME
    foreign.write_bytes(library.read_bytes().replace(b"mmdet_ops built", b"somebody's ops."))
    assert refusal(foreign) == f"PATH: not the mmdet_ops of this project (it bears no mark); {CURE}"


def test_a_missing_library_is_refused_with_the_fix(refusal, tmp_path):
    assert refusal(tmp_path / ops_library.NAME) == f"PATH: no such file; {CURE}"


def test_a_changed_source_makes_the_library_stale(library, torch, tmp_path, monkeypatch):
    sources = tmp_path / "mmdet_ops"
    shutil.copytree(ops_library.SOURCES, sources, ignore=shutil.ignore_patterns("build"))
    monkeypatch.setattr(ops_library, "SOURCES", sources)
    assert ops_library._current(library, torch)
    with open(sources / "cpu" / "survivors.h", "a") as source:
        source.write("// changed\n")
    assert not ops_library._current(library, torch)


def test_two_builds_at_once_build_once(lab, torch):
    lab.cmake_does(f'sleep 1; cp "{lab.library}" "$2/{ops_library.NAME}"')
    both = [lab.start(), lab.start()]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert lab.calls.read_text() == "built\n"
    assert any("another build" in out for out, _ in outputs)
    assert lab.made() == [ops_library.NAME]


def test_a_stopped_build_leaves_nothing_and_the_next_one_succeeds(lab):
    lab.cmake_does(f'head -c 99 "{lab.library}" > "$2/{ops_library.NAME}"; exec sleep 60')
    process = lab.start()
    lab.wait_for_build()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint == "stopped; the next call starts this build afresh\n"
    assert lab.made() == []
    lab.cmake_does(f'cp "{lab.library}" "$2/{ops_library.NAME}"')
    again = lab.start()
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert lab.made() == [ops_library.NAME]


def test_a_failed_build_quotes_the_first_error_and_names_its_log(lab, torch):
    lab.cmake_does('echo "x.cpp:1: error: no such thing"; echo "error: and more"; exit 1')
    process = lab.start()
    _, complaint = process.communicate(timeout=30)
    log = lab.build / torch / "build.log"
    assert process.returncode == 1
    assert complaint == (
        f"error: libmmdet_ops.so for torch {torch}: x.cpp:1: error: no such thing; see {log}\n"
    )


def test_a_missing_compiler_is_one_sentence(lab, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    _, complaint = lab.start().communicate(timeout=30)
    assert complaint == (
        "error: libmmdet_ops.so needs a C++ compiler, but no-such-compiler cannot be found; "
        "install g++ or clang++, or name one in CXX\n"
    )


def test_a_missing_cmake_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="needs cmake, which is neither beside PY nor on PATH; inst"):
        ops_library._tool("PY", "cmake", "install it with pip")


def test_an_interpreter_without_torch_is_one_sentence(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    python.chmod(0o755)
    with pytest.raises(LabError, match="python has no torch; install the requirements for it$"):
        ops_library.torch_version(str(python))


def test_a_missing_interpreter_is_one_sentence():
    with pytest.raises(LabError, match="^/no/python: No such file or directory; name a Python"):
        ops_library.torch_version("/no/python")


def test_a_build_folder_that_cannot_be_made_is_one_sentence(lab):
    lab.build.write_text("a file where the folder should be")
    _, complaint = lab.start().communicate(timeout=30)
    assert complaint.endswith(
        "lock: Not a directory, so that libmmdet_ops.so cannot be built; make the folder writable\n"
    )
    assert complaint.count("\n") == 1


def test_a_library_that_is_there_is_found_without_starting_a_build(library, monkeypatch):
    monkeypatch.setattr(ops_library, "_build", lambda *args: pytest.fail("built again"))
    stamp = os.stat(library).st_mtime_ns
    assert os.stat(ops_library.ensure_library()).st_mtime_ns == stamp
