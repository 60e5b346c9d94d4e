"""The cache: made once, whole or not at all, however many runs there are."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugins.drivers import cache as module
from plugins.drivers.cache import Cache
from plugins.failure import LabError

HOUSE = Path(__file__).resolve().parent.parent
MAKE_SLOWLY = """
import sys, time
from pathlib import Path
from plugins.drivers.cache import Cache
def make(path):
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(float(sys.argv[3]))
    path.write_text("content")
print(Cache(sys.argv[1]).file("kind", "name", 1, make).read_text())
"""


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def counted(made: list, content: str = "content"):
    def make(path: Path) -> None:
        made.append(path)
        path.write_text(content)

    return make


def left(cache: Cache) -> list[str]:
    """Files that a cache holds, but for its locks."""
    return [p.name for p in cache.folder.rglob("*") if p.is_file() and p.name != "lock"]


def test_a_file_is_made_once_and_found_afterwards(cache):
    made = []
    first = cache.file("model", "model.ts", {"a": 1}, counted(made))
    assert cache.file("model", "model.ts", {"a": 1}, counted(made)) == first
    assert first.read_text() == "content"
    assert len(made) == 1
    assert left(cache) == ["model.ts"]


@pytest.mark.parametrize("key", [{"a": 2}, {"b": 1}, [1], "a", None, {"a": 1.5}])
def test_another_key_is_another_entry(cache, key):
    first = cache.file("model", "model.ts", {"a": 1}, counted([]))
    other = cache.file("model", "model.ts", key, counted([], "other"))
    assert first != other
    assert (first.read_text(), other.read_text()) == ("content", "other")


def test_the_order_of_a_key_s_parts_does_not_matter(cache):
    first = cache.file("model", "m", {"a": 1, "b": 2}, counted([]))
    assert cache.file("model", "m", {"b": 2, "a": 1}, counted([])) == first


def test_another_kind_is_another_entry(cache):
    assert cache.file("a", "m", 1, counted([])) != cache.file("b", "m", 1, counted([]))


def test_a_folder_is_made_whole(cache):
    def make(path: Path) -> None:
        path.mkdir()
        (path / "one").write_text("1")

    assert (cache.tree("set", 1, make) / "one").read_text() == "1"
    assert cache.tree("set", 1, lambda path: pytest.fail("made twice")).is_dir()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, LabError])
@pytest.mark.parametrize("kind", ["file", "tree"])
def test_an_interrupted_make_leaves_nothing_and_can_be_repeated(cache, stop, kind):
    def make(path: Path) -> None:
        inside = path / "part" if kind == "tree" else path
        inside.parent.mkdir(exist_ok=True)
        inside.write_text("half")
        path.with_name(f"{path.name}.123").write_text("a worker's own partial file")
        raise stop

    arguments = ("set", "tree", 1) if kind == "file" else ("set", 1)
    with pytest.raises(stop):
        getattr(cache, kind)(*arguments, make)
    assert left(cache) == []
    assert getattr(cache, kind)(*arguments, counted([])).read_text() == "content"


def run(folder: Path, log: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", MAKE_SLOWLY, str(folder), str(log), str(seconds)]
    return subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)


def test_two_runs_at_once_make_it_once_and_both_get_it(tmp_path):
    log = tmp_path / "log"
    runs = [run(tmp_path / "cache", log, 0.5) for _ in range(2)]
    assert [r.communicate(timeout=30)[0] for r in runs] == ["content\n"] * 2
    assert log.read_text() == "made\n"


def test_what_a_killed_run_left_behind_is_cleared_away(tmp_path, cache):
    log = tmp_path / "log"
    killed = run(cache.folder, log, 60)
    while not log.is_file():
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    place = next(p for p in cache.folder.rglob("lock")).parent
    (place / "partial-99").mkdir()
    (place / "partial-98").write_text("half")
    assert cache.file("kind", "name", 1, counted([])).read_text() == "content"
    assert sorted(p.name for p in place.iterdir()) == ["lock", "name"]


def test_what_a_killed_run_of_the_same_number_left_is_no_part_of_the_result(cache):
    def make(path: Path) -> None:
        path.mkdir(exist_ok=True)
        (path / "whole").write_text("1")

    place = cache.tree("set", 1, make).parent
    (place / "tree").rename(place / f"partial-{os.getpid()}")
    (place / f"partial-{os.getpid()}" / "stray").write_text("half")
    assert [p.name for p in cache.tree("set", 1, make).iterdir()] == ["whole"]


def test_a_full_disk_is_one_sentence_with_the_cure(cache):
    def make(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(LabError) as full:
        cache.file("model", "model.ts", 1, make)
    assert re.fullmatch(
        r"\S+/cache/model/\w{20}/model.ts: cannot be made: No space left on device; make room "
        "there and the folder writable, or name another folder by --artifacts",
        str(full.value),
    )
    assert left(cache) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(cache, monkeypatch):
    """Simulated, because root may write anywhere."""

    def refuse(*arguments, **named):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LabError, match="model.ts: cannot be made: Permission denied; make room"):
        cache.file("model", "model.ts", 1, counted([]))


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(LabError, match="model.ts: cannot be made: "):
        Cache(tmp_path / "cache").file("model", "model.ts", 1, counted([]))


def test_code_that_changes_is_another_key(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "WORKERS", tmp_path)
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    before = module.sources("a", "b")
    assert module.sources("a", "b") == before
    (tmp_path / "b.py").write_text("2")
    assert module.sources("a", "b") != before
