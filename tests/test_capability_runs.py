"""How a machine is asked what it can do, and what becomes of what it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import capability, options, probe
from plugins.capability import VOCABULARY, Capabilities
from tests.standins import NODE, Config, Item

MARK = pytest.mark


def test_another_interpreter_is_asked_once_and_this_one_not_at_all(monkeypatch):
    asked, done = [], SimpleNamespace(stdout=b'{"torch": {}}')
    ask = lambda words, **given: asked.append(words) or done  # noqa: E731
    monkeypatch.setattr(probe.subprocess, "run", ask)
    monkeypatch.setattr(probe, "found", lambda names: {"names": names})
    config = Config()
    config.give("interpreter_infer", Path("/infer/python"))
    config.give("interpreter_export", Path("/infer/python"))
    made = Capabilities(config)
    assert [made.modules(role) for role in ("infer", "infer", "export")] == [{"torch": {}}] * 3
    assert asked == [["/infer/python", probe.__file__, *capability.MODULES]]
    assert made.modules("train") == {"names": capability.MODULES}
    assert len(asked) == 1 and made.why_no_python("infer") == ""


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\nexit 3\n", 0o755, "exit code 3"),
        ("#!/bin/sh\necho no module >&2\necho; exit 1\n", 0o755, "exit code 1, no module"),
        ("#!/bin/sh\necho 7\n", 0o755, "exit code 0, 7"),
        ("#!/bin/sh\nprintf '\\377'\n", 0o755, "exit code 0, \ufffd"),
        ("words", 0o644, "Permission denied"),
    ],
)
def test_what_is_no_interpreter_is_told_with_what_it_said(tmp_path, text, mode, why):
    program = tmp_path / "python"
    program.write_text(text)
    program.chmod(mode)
    assert probe.asked(str(program), ["torch"]) == ({}, why)


def test_an_interpreter_that_hangs_is_none(monkeypatch):
    def hang(words, **given):
        raise subprocess.TimeoutExpired(words, given["timeout"])

    monkeypatch.setattr(probe.subprocess, "run", hang)
    assert probe.asked("/x/python", ["torch"]) == ({}, "no answer within 30 s")


@pytest.mark.parametrize(
    ("done", "text"),
    [
        (SimpleNamespace(returncode=0, stdout="a"), "a"),
        (SimpleNamespace(returncode=1, stdout="a"), ""),
        (OSError("gone"), ""),
        (subprocess.TimeoutExpired("x", 1), ""),
    ],
)
def test_what_a_tool_prints_counts_where_it_succeeds(monkeypatch, done, text):
    def run(words, **given):
        assert words == ["/bin/tool", "info"]
        assert given == {"capture_output": True, "text": True, "timeout": 30}
        if isinstance(done, Exception):
            raise done
        return done

    monkeypatch.setattr(capability.subprocess, "run", run)
    monkeypatch.setattr(capability.shutil, "which", lambda tool: f"/bin/{tool}")
    assert capability._output("tool", "info") == text


# --- a run ---


def lacking(*absent: str) -> Config:
    config = Config()
    whys = {name: "gone" if name in absent else "" for name in VOCABULARY}
    config.stash[capability.KEY] = SimpleNamespace(
        why=whys.get, present=lambda name: not whys[name],
        runtime=lambda: "310P3", training_runtime=lambda: "cpu (stand-in)",
        why_no_python=lambda role: "",
    )  # fmt: skip
    return config


def test_a_test_needs_what_its_markers_name_once_each():
    item = Item(MARK.requires("coco", "npu"), MARK.requires("npu", "weights"), MARK.npu)
    assert capability.needs(item) == ["coco", "npu", "weights"]
    assert capability.needs(Item()) == []


def skipped(item) -> str:
    """Why a test is skipped before it begins."""
    try:
        capability.pytest_runtest_setup(item)
    except pytest.skip.Exception as why:  # else this test would be skipped too
        return f"{why}, {why._use_item_location}"
    return ""


def test_a_test_is_skipped_for_the_first_that_is_absent():
    item = Item(MARK.requires("npu", "coco", "weights"), config=lacking("coco", "weights"))
    assert skipped(item) == "needs coco, True"
    assert skipped(Item(MARK.requires("npu"), config=lacking("coco"))) == ""
    assert skipped(Item(config=lacking(*VOCABULARY))) == ""


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (MARK.requires, f'{NODE}: write requires("npu", ...), names only'),
        (MARK.requires(name="npu"), f'{NODE}: write requires("npu", ...), names only'),
        (MARK.requires("npu", why="x"), f'{NODE}: write requires("npu", ...), names only'),
        (MARK.requires("npu", "tpu"),
         f"{NODE}: requires: 'tpu' is no capability; choose from {', '.join(VOCABULARY)}"),
    ],
)  # fmt: skip
def test_a_need_is_a_word_of_the_vocabulary(mark, sentence):
    item = Item(mark)
    with pytest.raises(pytest.UsageError) as error:
        capability.pytest_collection_modifyitems(item.config, [Item(MARK.requires("npu")), item])
    assert str(error.value) == sentence == item.config.stash[options.REFUSED]


def test_what_is_required_is_a_word_of_the_vocabulary():
    config = Config()
    del config.stash[capability.KEY]
    config.give("require", ("npu", "tpu"))
    with pytest.raises(pytest.UsageError, match="^--require: 'tpu' is no capability; choose from"):
        capability.pytest_configure(config)
    config.give("require", ("npu",))
    capability.pytest_configure(config)
    assert isinstance(config.stash[capability.KEY], Capabilities)
    assert capability.of(config) is config.stash[capability.KEY]


def test_what_is_required_and_absent_ends_the_run():
    config = lacking("coco")
    config.give("require", ("npu", "weights"))
    capability.pytest_collection(SimpleNamespace(config=config))
    config.give("require", ("npu", "coco"))
    with pytest.raises(pytest.UsageError) as error:
        capability.pytest_collection(SimpleNamespace(config=config))
    assert str(error.value) == "--require coco: gone; it needs --coco-root"


@pytest.mark.parametrize(
    ("name", "cure"),
    [("weights", "--weights"), ("cuda2", "two GPUs"), ("cuda8", "eight GPUs, for 1x8")],
)
def test_what_is_absent_is_said_with_its_cure(name, cure):
    config = lacking(name)
    config.give("require", (name,))
    with pytest.raises(pytest.UsageError, match=f"^--require {name}: gone; it needs {cure}$"):
        capability.pytest_collection(SimpleNamespace(config=config))


def test_these_modules_are_asked_for():
    names = ("torch", "torchvision", "torch_aie", "mindietorch", "torch_npu", "detectron2")
    assert names == capability.MODULES


def test_the_header_names_the_lanes_and_of_a_stand_in_its_machine(monkeypatch):
    config = lacking()
    monkeypatch.setattr(
        capability.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**20}.get
    )
    monkeypatch.setattr(capability.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(capability.machine, "processor", lambda: "")
    monkeypatch.setattr(capability.machine, "machine", lambda: "x86")
    here = "lanes: npu runs on 310P3; a100 runs on"
    assert capability.pytest_report_header(config) == f"{here} cpu (stand-in): 2 x x86, 4 GiB"
    monkeypatch.setattr(capability.machine, "processor", lambda: "Xeon")
    assert capability.pytest_report_header(config).endswith(": 2 x Xeon, 4 GiB")
    config.stash[capability.KEY].training_runtime = lambda: "NVIDIA A100"
    assert capability.pytest_report_header(config) == f"{here} NVIDIA A100"


def test_this_interpreter_is_the_default():
    assert options.interpreter(Config(), "infer") == sys.executable


@pytest.mark.parametrize("role", ["export", "infer", "train"])
def test_a_run_ends_where_the_interpreter_of_a_role_is_no_python(role):
    config = lacking()
    config.stash[capability.KEY].why_no_python = lambda one: "exit code 1" if one == role else ""
    config.give(f"interpreter_{role}", "/x/python")
    with pytest.raises(pytest.UsageError) as refused:
        capability.pytest_collection(SimpleNamespace(config=config))
    assert str(refused.value) == (
        f"interpreter_{role}: /x/python does not run as Python (exit code 1); give the path of a"
        " Python interpreter, or leave it empty"
    )
