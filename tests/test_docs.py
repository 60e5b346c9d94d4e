"""The pages for users: their commands can be typed, and both languages say the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
ENGLISH = ("README.md", "docs/npu.md", "docs/a100.md")
# In one language.
ALONE = ("docs/training.md", "docs/ci.md", "docs/certificate.md", "docs/parity.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(make|pytest|python3?|\.venv[\w-]*/bin/python)( |$)")
# Programs of the machine: what they do there is not ours to try.
HOST = {"npu-smi", "nvidia-smi", "source", "cat", "ls", "md5sum", "sha256sum"}
# What only a user has, and what only a file of ours has that a command makes.
GIVEN = {"model.ts", "coco", "RetinaNet-detectron2.pkl", "resnet50-0676ba61.pth"}
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
SECTION = re.compile(r"^(#+) .*$", re.MULTILINE)


def text_of(page: str) -> str:
    return (HOUSE / page).read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    """Every command of a page: all lines of its sh blocks, and those of others that begin like one."""
    found = []
    for kind, block in FENCE.findall(text_of(page)):
        lines = [line.partition("  #")[0].rstrip() for line in block.splitlines()]
        found += [line for line in lines if line and (kind == "sh" or COMMAND.match(line))]
    return found


COMMANDS = sorted({command for page in (*ENGLISH, *ALONE) for command in commands(page)})


@pytest.fixture(scope="module")
def usage() -> str:
    """What pytest says of its options, ours among them, of markers and of ini settings."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--help", "--markers", "-p", "no:cacheprovider"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
    )
    return run.stdout + text_of("pytest.ini")


def fault(command: str, usage: str) -> str:
    """Why a command of a page cannot be typed; empty when it can."""
    words = shlex.split(command)
    if words[0] in HOST:
        return ""
    if words[0] == "make":
        return _make_fault(words[1:])
    if not re.fullmatch(r"\.venv[\w-]*/bin/python", words[0]):
        return f"{words[0]} is no program that the page may assume"
    if words[1] == "-c":
        compile(words[2], command, "exec")
        return ""
    if words[1:2] == ["-m"] and (HOUSE / words[2].replace(".", "/")).with_suffix(".py").is_file():
        return ""
    if words[2] == "pip":
        return "" if words[3] == "install" else "pip is only for installing"
    return _pytest_fault(words[3:], usage)


def _make_fault(words: list[str]) -> str:
    makefile = text_of("Makefile")
    for word in words:
        name, given, _ = word.partition("=")
        known = rf"^{name} [:?]?=|\$\({name}\)" if given else rf"^{name}:.*##"
        if not re.search(known, makefile, re.MULTILINE):
            return f"the Makefile has no {name}"
    return ""


def _pytest_fault(words: list[str], usage: str) -> str:
    previous = ""
    for word in words:
        option, given, value = word.partition("=")
        if word.startswith("--") and not re.search(rf"{option}\b", usage):
            return f"pytest has no option {option}"
        if previous == "-m" and not re.search(rf"^    {word}: ", usage, re.MULTILINE):
            return f"there is no marker {word}"
        if previous == "-o" and word.partition("=")[0] not in usage:
            return f"there is no setting {word}"
        if not previous.startswith("-") and "/" in word and not (HOUSE / word).exists():
            return f"there is no {word}"
        if option in ("--weights", "--model-ts", "--coco-root", "--backbone"):
            if not given:
                return f"write {word}=...: pytest takes what follows a blank for a path of its own"
            if value not in GIVEN:
                return f"{value} is no file that a reader of this page has"
        previous = word
    return ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_page_can_be_typed(command, usage):
    assert fault(command, usage) == ""


PYTEST = ".venv/bin/python -m pytest"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make no-such-target", "the Makefile has no no-such-target"),
        ("make test NOTHING=1", "the Makefile has no NOTHING"),
        (f"{PYTEST} --no-such-option", "pytest has no option --no-such-option"),
        (f"{PYTEST} -m tpu", "there is no marker tpu"),
        (f"{PYTEST} conformance/test_nothing.py", "there is no conformance/test_nothing.py"),
        (f"{PYTEST} -o interpreter_none=x", "there is no setting interpreter_none=x"),
        (f"{PYTEST} --weights=other.pkl", "other.pkl is no file that a reader of this page has"),
        (
            f"{PYTEST} --weights coco",
            "write --weights=...: pytest takes what follows a blank for a path of its own",
        ),
        ("curl somewhere", "curl is no program that the page may assume"),
        ("pytest -m npu", "pytest is no program that the page may assume"),
    ],
)
def test_a_command_that_cannot_be_typed_would_be_found(command, said, usage):
    assert fault(command, usage) == said


@pytest.mark.parametrize("page", ENGLISH)
def test_a_command_within_a_sentence_names_its_interpreter_too(page):
    assert re.findall(r"`pytest -[^`]*`", text_of(page)) == []


RUNNABLE = [c for c in COMMANDS if "--collect-only" in c or c in ("make help", "make python39")]


@pytest.mark.parametrize("command", RUNNABLE)
def test_a_command_that_needs_no_hardware_runs(command, tmp_path):
    words = [sys.executable if w.startswith(".venv") else w for w in shlex.split(command)]
    extra = ["--artifacts", str(tmp_path), "-p", "no:cacheprovider"] * ("pytest" in words)
    run = subprocess.run([*words, *extra], cwd=HOUSE, capture_output=True, text=True)
    if command == "make python39" and run.returncode:
        assert run.stderr.startswith("no Python 3.9 (")
    else:
        assert run.returncode == 0, run.stderr
        assert ("lanes: npu runs on" in run.stdout) == ("pytest" in words)


def test_the_pages_name_clauses_that_there_are():
    chapters = "\n".join(path.read_text("utf-8") for path in HOUSE.glob("conformance/test_*.py"))
    clauses = set(re.findall(r'clause\("([\w.]+)"\)', chapters))
    heads = {clause.split(".")[0] for clause in clauses}
    named = {n for page in ENGLISH for n in re.findall(r"`(\w+\.\w+)\b", text_of(page))}
    assert {name for name in named if name.split(".")[0] in heads} - clauses == set()


# ---- both languages


def outline(text: str) -> list[int]:
    """The levels of the headings, in order; fenced blocks have none."""
    return [len(level) for level in SECTION.findall(FENCE.sub("", text))]


def blocks(text: str) -> list[list[str]]:
    """The fenced blocks without what is prose in them: comments, and what a folder is for."""
    found = []
    for _, block in FENCE.findall(text):
        lines = [line.partition("  #")[0].rstrip() for line in block.splitlines()]
        found.append([re.sub(r"^(\w+/) {2,}.*", r"\1", line) for line in lines])
    return found


def figures(text: str) -> list[Counter]:
    """The numbers of each section, outside of blocks."""
    return [Counter(NUMBER.findall(part)) for part in SECTION.split(FENCE.sub("", text))[::2]]


def spans(text: str) -> Counter:
    """Inline code, and where links lead, which in Chinese is to the Chinese page."""
    prose = FENCE.sub("", text)
    links = re.findall(r"\]\(([^)]+)\)", prose)
    return Counter(re.findall(r"`([^`]+)`", prose)) + Counter(
        link.replace(".zh-CN", "") for link in links
    )


VIEWS = {"headings": outline, "blocks": blocks, "figures": figures, "code and links": spans}


def differences(english: str, chinese: str) -> list[str]:
    """In which respects two versions of a page differ."""
    return [name for name, view in VIEWS.items() if view(english) != view(chinese)]


@pytest.mark.parametrize("page", ENGLISH)
def test_both_languages_have_the_same_headings_commands_and_figures(page):
    english, chinese = text_of(page), text_of(page.replace(".md", ".zh-CN.md"))
    for name in differences(english, chinese):
        assert VIEWS[name](chinese) == VIEWS[name](english), name
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) > len(chinese) / 20


PAGE = "# A\nread 38.3 in `b`\n```sh\nmake test  # this\n```\n## C\n[d](e.md) 5 %\n"


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("# this", "# 这个", []),
        ("e.md", "e.zh-CN.md", []),
        ("read", "读", []),
        ("## C", "# C", ["headings"]),
        ("## C\n", "", ["headings", "figures"]),
        ("make test", "make lint", ["blocks"]),
        ("38.3", "38.6", ["figures"]),
        ("`b`", "`c`", ["code and links"]),
    ],
)
def test_a_difference_between_the_languages_would_be_found(before, after, found):
    assert differences(PAGE, PAGE.replace(before, after)) == found
