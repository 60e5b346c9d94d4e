"""Which suite judged: its commit, and whether anything that may change a verdict is in no commit."""

from __future__ import annotations

import subprocess

import pytest

from plugins.provenance import suite_version


def git(root, *arguments: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def put(root, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("x = 1\n")


@pytest.fixture
def suite(tmp_path):
    """A small suite, committed whole."""
    git(tmp_path, "init", "-q")
    for name in ("conftest.py", "conformance/test_a.py", "plugins/verdict.py"):
        put(tmp_path, name)
    (tmp_path / ".gitignore").write_text("/.venv/\n*.pyc\n/mmdet_ops/build/\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def test_a_committed_suite_is_its_commit(suite):
    assert suite_version(suite) == git(suite, "rev-parse", "HEAD")


def test_a_file_that_differs_makes_it_dirty_once(suite):
    (suite / "conftest.py").write_text("x = 2\n")
    put(suite, "conformance/conftest.py")
    assert suite_version(suite) == f"{git(suite, 'rev-parse', 'HEAD')}-dirty"


@pytest.mark.parametrize(
    "name",
    [
        *("conformance/conftest.py", "conformance/contracts/retinanet_other.toml", "fixtures/a.py"),
        *("plugins/checks/new.py", "mmdet_ops/new.cpp", "golden/new.npz"),
        *("numpy.py", "tox.ini", ".pytest.ini", "pytest.toml"),
    ],
)
def test_a_file_that_no_commit_has_makes_it_dirty(suite, name):
    put(suite, name)
    git(suite, "config", "status.showUntrackedFiles", "no")
    assert suite_version(suite) == f"{git(suite, 'rev-parse', 'HEAD')}-dirty"


@pytest.mark.parametrize(
    "name",
    [
        *(".venv/lib/numpy.py", "plugins/__pycache__/a.pyc", "mmdet_ops/build/libmmdet_ops.so"),
        *("conformance.log", "model.ts", "verdict/certificate/must_run.toml"),
    ],
)
def test_what_is_ignored_or_judges_nothing_does_not(suite, name):
    put(suite, name)
    assert suite_version(suite) == git(suite, "rev-parse", "HEAD")


def test_outside_of_git_it_is_unknown(tmp_path, monkeypatch):
    assert suite_version(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert suite_version(tmp_path) == "unknown"
