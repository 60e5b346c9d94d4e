"""The environments: which Python they are made from, and when one is made again."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

HOUSE = Path(__file__).resolve().parent.parent
FOLDER = HOUSE / "requirements"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def find(path: Path, *given: str) -> subprocess.CompletedProcess:
    """Look for a Python 3.9 with nothing else on PATH than the programs in `path`."""
    command = [sys.executable, str(FOLDER / "python39.py"), *given]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["python3.9", "python3"])
def test_a_python_39_on_path_is_found(tmp_path, name):
    python = program(tmp_path / name, "echo 3.9")
    assert find(tmp_path).stdout.strip() == str(python)


def test_one_of_pyenv_is_found_where_the_one_on_path_only_tells_of_it(tmp_path):
    program(tmp_path / "python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127")
    program(tmp_path / "pyenv", f"echo {tmp_path}/root")
    python = program(tmp_path / "root/versions/3.9.11/bin/python3.9", "echo 3.9")
    program(tmp_path / "root/versions/3.11.7/bin/python3.9", "echo 3.11")
    assert find(tmp_path).stdout.strip() == str(python)


def test_a_missing_python_39_is_one_sentence_that_names_the_cure(tmp_path):
    found = find(tmp_path)
    assert found.returncode == 1
    assert found.stderr == (
        "no Python 3.9 (neither on PATH nor among pyenv's versions), which torch 1.10.1 and "
        "2.0.1 run on; install one (pyenv install 3.9) or name it: make "
        "PYTHON39=/path/to/python3.9 ...\n"
    )


def test_another_python_than_39_is_not_taken_for_one(tmp_path):
    python = program(tmp_path / "python", "echo 3.10")
    found = find(tmp_path, str(python))
    assert found.returncode == 1
    assert found.stderr.startswith(f"no Python 3.9 ({python} is none), which")


@pytest.fixture
def install(tmp_path):
    """Run our installer on a file `export.txt` beside it; answers with what pip was asked so far."""
    script = tmp_path / "requirements/install.py"
    script.parent.mkdir()
    script.write_text((FOLDER / "install.py").read_text())
    python = program(tmp_path / "env/bin/python", 'test "$1" = -c || echo "$@" >> "$0.asked"')
    # The environment is the program above, which writes down what it is asked as pip.
    arguments = [str(script), str(tmp_path / "env"), "export.txt"]
    code = "import runpy, sys, venv; venv.EnvBuilder.create = lambda *a: None; sys.argv = "
    code += f"{arguments}; runpy.run_path(sys.argv[0], run_name='__main__')"

    def install(pins: str) -> list[str]:
        script.with_name("export.txt").write_text(pins)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return Path(f"{python}.asked").read_text().splitlines()

    return install


def test_an_environment_that_is_ready_is_not_made_again_until_its_file_changes(install, tmp_path):
    (asked,) = install("numpy==1.23.5\n")
    pins = str(tmp_path / "requirements/export.txt")
    assert asked.split()[-4:] == ["-r", pins, "-c", pins]
    assert len(install("numpy==1.23.5\n")) == 1
    assert len(install("numpy==1.23.4\n")) == 2


def test_an_environment_takes_new_requirements_from_its_own_python(tmp_path):
    """As make calls it: .venv/bin/python, which runs then, is not written anew."""
    python = tmp_path / "env/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--copies", tmp_path / "env"], check=True)
    script = tmp_path / "requirements/install.py"
    script.parent.mkdir()
    script.write_text((FOLDER / "install.py").read_text())
    script.with_name("export.txt").write_text("# nothing more\n")
    words = [python, script, tmp_path / "env", "export.txt"]
    run = subprocess.run(words, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "env/ready").is_file()


@pytest.mark.parametrize(("version", "usable"), [(sys.version_info[:2], True), ((3, 8), False)])
def test_an_environment_of_another_python_is_made_anew(tmp_path, monkeypatch, version, usable):
    program(tmp_path / "bin/python", f'exec {sys.executable} "$@"')
    spec = importlib.util.spec_from_file_location("install", FOLDER / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "sys", SimpleNamespace(version_info=version))
    assert module._usable(tmp_path) is usable


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_every_requirement_is_pinned_and_none_names_where_it_comes_from(name):
    lines = (FOLDER / name).read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    pin = re.compile(r"[\w-]+==[\d.]+(; python_version [<>=]+ \"3\.\d+\")?")
    assert [line for line in wanted if not pin.fullmatch(line)] == []


def test_the_two_stacks_are_those_of_the_source_document():
    export = (FOLDER / "export.txt").read_text().splitlines()
    assert {"torch==1.10.1", "torchvision==0.11.2"} <= set(export)
    old = '; python_version < "3.10"'
    suite = (FOLDER / "torch.txt").read_text().splitlines()
    assert {f"torch==2.0.1{old}", f"torchvision==0.15.2{old}"} <= set(suite)


def test_make_says_what_is_missing_where_there_is_no_python_39():
    run = subprocess.run(
        ["make", "env-export", f"PYTHON={sys.executable}", "PYTHON39=/no/python3.9"],
        cwd=HOUSE,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode
    assert run.stderr.startswith(
        "no Python 3.9 (/no/python3.9 is none), which torch 1.10.1 and 2.0.1"
    )


@pytest.fixture
def ci(tmp_path):
    """Run .ci/run with a `make` that only says what it is asked; answers with these lines."""

    def run(python39: str) -> list[str]:
        program(tmp_path / "make", f'case "$1" in --silent) {python39};; *) echo "make $*";; esac')
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run([HOUSE / ".ci/run"], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_ci_runs_the_source_s_stacks_where_a_python_39_is_found(ci):
    assert ci("echo /py39") == [
        "make browser",
        "make test",
        "make env-export env-npu PYTHON39=/py39",
        "make test VENV=.venv-npu",
        "make conformance VENV=.venv-npu ARGS=-o interpreter_export=.venv-export/bin/python",
        "make matrix PYTHON39=/py39",
    ]


def test_ci_says_what_it_did_not_run_where_none_is(ci):
    said = ci("exit 2")
    assert said[:2] == ["make browser", "make test"]
    assert len(said) == 3
    assert said[2].startswith("not run, for want of a Python 3.9: the suite under torch 2.0.1, ")
