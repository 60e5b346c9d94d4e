"""A changed kernel built in seconds: one unit is compiled, with headers of torch that already are."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bite.source_house import HOUSE, Edit

SOURCES = HOUSE / "mmdet_ops"

UNITS = (
    "schema.cpp",
    "cpu/batch_nms_kernel.cpp",
    "cpu/roi_extractor_kernel.cpp",
    "meta/batch_nms_kernel.cpp",
    "meta/roi_extractor_kernel.cpp",
)
# Which units a header is part of.
HEADERS = {
    "candidates.h": UNITS[1:2],
    "survivors.h": UNITS[1:2],
    "sampling.h": UNITS[2:3],
    "batch_nms.h": (UNITS[1], UNITS[3]),
    "roi_extractor.h": (UNITS[2], UNITS[4]),
}
HEADER = "torch/library.h"
# As in CMakeLists.txt, but for the optimisation: no arithmetic depends on it.
FLAGS = "-std=c++17 -O1 -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
VISIBLE = ("-fvisibility=hidden", "-fvisibility-inlines-hidden")


class Library:
    """libmmdet_ops.so of the copy, for the torch of this interpreter."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder / _digest(), root

    def build(self, edits: tuple[Edit, ...]) -> Path | None:
        """The library with the edits in it; None where they touch no source of it."""
        units = {unit for edit in edits for unit in _units(edit.file)}
        if not units:
            return None
        if not self._object(UNITS[-1], "clean").is_file():  # the last thing that is made
            shutil.rmtree(self.folder, ignore_errors=True)
            self._prepare()
        objects = {unit: self._object(unit, "clean") for unit in UNITS}
        for unit in units:
            objects[unit] = self._object(unit, "changed")
            self._compile(unit, objects[unit])
        library = self.folder / "libmmdet_ops.so"
        torch_root, _ = _torch()
        links = [f"-L{torch_root / 'lib'}", "-lc10", "-ltorch", "-ltorch_cpu"]
        _run(["c++", "-shared", "-o", str(library), *map(str, objects.values()), *links])
        return library

    def _prepare(self) -> None:
        """The header of torch and all units, once."""
        self.folder.mkdir(parents=True)
        (self.folder / "pre.h").write_text(f"#include <{HEADER}>\n")
        header = str(self.folder / "pre.h")
        _run(["c++", *_flags(self.root), "-x", "c++-header", header, "-o", f"{header}.gch"])
        kept = self.folder / "house"
        shutil.copytree(SOURCES, kept, ignore=shutil.ignore_patterns("build"))
        for unit in UNITS:
            self._compile(unit, self._object(unit, "clean"), kept)

    def _compile(self, unit: str, target: Path, sources: Path | None = None) -> None:
        sources = sources or self.root / "mmdet_ops"
        include = ["-include", str(self.folder / "pre.h")]
        _run(["c++", *include, *_flags(sources), "-c", str(sources / unit), "-o", str(target)])

    def _object(self, unit: str, kind: str) -> Path:
        return self.folder / f"{unit.replace('/', '-')}.{kind}.o"


def use(library: Path) -> None:
    """Let the session of this process take a library that is already built."""
    from plugins.drivers import lab

    lab.ensure_library = lambda *args, **more: library


def _digest() -> str:
    """Of what the unchanged units are made from."""
    files = sorted(path for path in SOURCES.rglob("*.*") if "build" not in path.parts)
    content = b"".join(path.read_bytes() for path in files if path.suffix in (".cpp", ".h"))
    return hashlib.sha256(content).hexdigest()[:16]


def _units(file: str) -> tuple[str, ...]:
    if not file.startswith("mmdet_ops/"):
        return ()
    own = file[len("mmdet_ops/") :]
    return (own,) if own in UNITS else HEADERS[own.rsplit("/", 1)[-1]]


def _torch() -> tuple[Path, str]:
    import torch

    return Path(torch.__file__).parent, torch.__version__


def _flags(sources: Path) -> list[str]:
    import torch

    root, version = _torch()
    includes = [f"-I{sources}"]
    includes += [
        "-isystem",
        f"{root}/include",
        "-isystem",
        f"{root}/include/torch/csrc/api/include",
    ]
    marks = [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"]
    marks += [f'-DMMDET_OPS_TORCH_VERSION="{version}"', '-DMMDET_OPS_SOURCES="changed"']
    return [*FLAGS, *VISIBLE, *includes, *marks]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} {command[-3]}: {done.stderr[-800:]} ({sys.executable})")
