"""A copy of the house in which one piece of its source is another: the product side of a fault."""

from __future__ import annotations

import compileall
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bite.fault import Fault

HOUSE = Path(__file__).resolve().parents[2]
COPIED = ("conformance", "fixtures", "plugins", "mmdet_ops", "conftest.py", "pytest.ini")
LINKED = ("golden", "mmdet_ops/build")  # large, and never written to


class Edit(NamedTuple):
    """One piece of text of a file that is replaced by another."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The text with the edit in it; ValueError unless the old piece stands there once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: holds {text.count(self.old)} times {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Seed:
    """A fault with the edits that plant it."""

    fault: Fault
    edits: tuple[Edit, ...]


def seed(file: str, old: str, new: str, name: str, breaks: str, clause: str, words: str, **more):
    """A Seed of one edit; `more` as of Fault. A second edit comes with `also`: (file, old, new)."""
    also = tuple(Edit(*one) for one in more.pop("also", ()))
    return Seed(Fault(name, breaks, clause, words, **more), (Edit(file, old, new), *also))


class Copy:
    """The house a second time, in a folder of its own, so that no path of it leads back.

    Files are copied and not linked: our modules find each other by their resolved path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> None:
        """Copy and compile it; golden data and built libraries are only linked."""
        skipped = shutil.ignore_patterns("__pycache__", "build", "*.orig")
        for name in COPIED:
            source, target = HOUSE / name, self.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=skipped, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)
        for name in LINKED:
            (self.root / name).symlink_to(HOUSE / name)
        for folder in ("plugins", "fixtures"):
            compileall.compile_dir(self.root / folder, quiet=2)

    def plant(self, edits: tuple[Edit, ...]) -> None:
        """Put the edits in."""
        for edit in edits:
            path = self.root / edit.file
            path.write_text(edit.apply(path.read_text(encoding="utf-8")), encoding="utf-8")

    def weed(self, edits: tuple[Edit, ...]) -> None:
        """Take the edits out again."""
        for edit in edits:
            shutil.copy2(HOUSE / edit.file, self.root / edit.file)

    def enter(self) -> None:
        """Make it the place of this process: what was imported from the other house is forgotten."""
        os.chdir(self.root)
        sys_path_of(self.root)


def sys_path_of(root: Path) -> None:
    """Let imports find `root` and nothing of the house; modules of ours that are loaded are dropped."""
    import sys

    ours = ("plugins", "fixtures", "conformance", "conftest")
    for name in [n for n in sys.modules if n.split(".")[0] in ours]:
        del sys.modules[name]
    others = [place for place in sys.path if place and Path(place).resolve() != HOUSE]
    sys.path[:] = [str(root), *others]
    sys.dont_write_bytecode = True  # a file that changes within a second keeps its stamp
    os.environ["PYTHONPATH"] = str(root)
