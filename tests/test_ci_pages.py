"""The CI pages: what they run exists, nothing in them swallows an exit code, and hardware is locked."""

from __future__ import annotations

import copy
import re
import subprocess

import pytest

from tests.ci_lint import CANN, GITHUB, GITLAB, HOUSE, LINT, PAGES, WHEEL, command_faults, read


@pytest.mark.parametrize("name", LINT)
def test_a_page_holds_nothing_wrong(name):
    assert list(LINT[name](read(name))) == []


def test_there_is_a_lint_for_every_page():
    assert {path.name for path in PAGES.iterdir()} == set(LINT)


def rows():
    """The code in each row of the two tables of docs/ci.md, by the code in the row's first cell."""
    text = (HOUSE / "docs" / "ci.md").read_text(encoding="utf-8").partition("## ")[0]
    found = re.findall(r"^\| `([\w-]+)` \|(.*)", text, re.MULTILINE)
    return {name: set(re.findall("`([^`]+)`", cells)) for name, cells in found}


def jobs_of(name):
    """Every job of a page, as text."""
    page = read(name)
    jobs = page.get("jobs") or {k: page[k] for k in page if k[0] != "." and k != "stages"}
    return {job: str(content) for job, content in jobs.items()}


@pytest.mark.parametrize("name", LINT)
def test_the_table_has_each_job_and_what_it_asks(name):
    asked = {row: code for row, code in rows().items() if row.islower()}
    there = {job: {one for one in asked[job] if one in text} for job, text in jobs_of(name).items()}
    assert there == asked
    assert "schedule" in (PAGES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LINT)
def test_the_table_has_each_variable_and_the_jobs_that_use_it(name):
    """GitLab's own begin with CI_; what a page sets, it need not be given."""
    text = (PAGES / name).read_text(encoding="utf-8")
    own = set() if name == GITHUB else set(re.findall(r"^ +([A-Z0-9_]+): ", text, re.MULTILINE))
    names = {one for one in re.findall(r"\$([A-Z]\w+)", text) if not one.startswith("CI_")} - own
    used = {
        one: {job for job, lines in jobs_of(name).items() if f"${one}" in lines} for one in names
    }
    assert used == {row: code for row, code in rows().items() if row.isupper()}


def keeping(name):
    """The lines of a page that fill the folder verdict/."""
    page = read(name)
    lines = page[".gate"]["after_script"] if name == GITLAB else ()
    steps = (step for job in page.get("jobs", {}).values() for step in job["steps"])
    return {*lines, *(step["run"] for step in steps if "mv conformance.log" in step.get("run", ""))}


@pytest.mark.parametrize("name", LINT)
@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (("conformance.log", "run"), ["conformance.log", "verdict.json"]),
        (("conformance.log",), ["conformance.log"]),
        (("run",), []),
    ],
    ids=["a verdict", "no verdict", "no gate"],
)
def test_a_job_keeps_its_log_always_and_no_verdict_but_its_own(name, left, kept, tmp_path):
    """A log is there where a gate was begun in this job; a run and a folder may be an earlier job's."""
    runs = tmp_path / ".artifacts" / "runs"
    for folder in (runs / "1", tmp_path / "verdict"):
        folder.mkdir(parents=True)
    (tmp_path / "verdict" / "old.html").touch()
    if "run" in left:
        (runs / "1" / "verdict.json").touch()
        (runs / "latest").symlink_to("1")
    if "conformance.log" in left:
        (tmp_path / "conformance.log").touch()
    (line,) = keeping(name)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert sorted(path.name for path in (tmp_path / "verdict").iterdir()) == kept


def broken(name, job, change):
    page = copy.deepcopy(read(name))
    change(page["jobs"][job] if "jobs" in page else page[job])
    return list(LINT[name](page))


def edit(step, old, new):
    assert old in step["run"]
    step["run"] = step["run"].replace(old, new)


@pytest.mark.parametrize(
    ("name", "job", "change", "fault"),
    [
        (GITHUB, "npu", lambda j: j.pop("timeout-minutes"), "npu: has no time limit"),
        (
            GITHUB,
            "npu",
            lambda j: j.update({"timeout-minutes": "45"}),
            "npu: its limit of 45 minutes comes before 67",
        ),
        (
            GITHUB,
            "npu",
            lambda j: edit(j["steps"][2], CANN, "true"),
            "npu: make canary runs without CANN in its environment",
        ),
        (
            GITHUB,
            "npu-nightly",
            lambda j: edit(j["steps"][4], CANN, "true"),
            "npu-nightly: make conformance runs without CANN in its environment",
        ),
        (
            GITHUB,
            "npu",
            lambda j: edit(j["steps"][1], WHEEL, "true"),
            "npu: has no Torch_AIE in its environment",
        ),
        (
            GITHUB,
            "a100",
            lambda j: edit(j["steps"][1], "git clean -ffd && ", ""),
            "a100: may run what an earlier job left, and no commit has",
        ),
        (
            GITHUB,
            "laptop",
            lambda j: edit(j["steps"][4], "--kill-after=2m ", ""),
            "laptop: is killed at its time limit before it can say what it knows",
        ),
        (GITHUB, "npu", lambda j: j.pop("concurrency"), "npu: does not lock its card"),
        (GITHUB, "a100", lambda j: j["steps"].pop(), "a100: does not always keep its artifacts"),
        (GITHUB, "npu", lambda j: j["steps"].pop(2), "npu: has no canary before its gate"),
        (
            GITHUB,
            "npu",
            lambda j: j["steps"].pop(3),
            "npu: may keep the verdict of an earlier run, or of the canary",
        ),
        (
            GITHUB,
            "laptop",
            lambda j: j["steps"].append({"run": "make judge || true"}),
            "laptop: swallows the exit code: make judge || true",
        ),
        (
            GITHUB,
            "laptop",
            lambda j: j["steps"].append({"run": "make judge"}),
            "laptop: the Makefile has no target judge",
        ),
        (
            GITHUB,
            "laptop",
            lambda j: j["steps"][0].update({"continue-on-error": "true"}),
            "laptop: unknown key continue-on-error",
        ),
        (GITLAB, "npu", lambda j: j.pop("timeout"), "npu: has no time limit"),
        (
            GITLAB,
            "npu-nightly",
            lambda j: j.update(timeout="5 hours 10 minutes"),
            "npu-nightly: its limit of 310 minutes comes before 312",
        ),
        (
            GITLAB,
            "npu",
            lambda j: j["script"].insert(4, j["script"].pop(3)),
            "npu: make canary runs without CANN in its environment",
        ),
        (
            GITLAB,
            "npu",
            lambda j: j["script"].pop(2),
            "npu: has no Torch_AIE in its environment",
        ),
        (GITLAB, "npu", lambda j: j.pop("resource_group"), "npu: does not lock its card"),
        (
            GITLAB,
            "a100",
            lambda j: j["script"].pop(),
            "a100: takes an exit code for a verdict",
        ),
        (GITLAB, "a100", lambda j: j["script"].pop(0), "a100: does not begin with set -o pipefail"),
        (
            GITLAB,
            "a100",
            lambda j: j.update(allow_failure="true"),
            "a100: unknown key allow_failure",
        ),
        (
            GITLAB,
            "npu",
            lambda j: j["script"].append('make conformance ARGS="-m gpu --require tpu --fast"'),
            "npu: there is no lane gpu",
        ),
    ],
)
def test_what_would_disarm_a_page_is_found(name, job, change, fault):
    assert fault in broken(name, job, change)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("make conformance ARGS='--fast'", "pytest has no option --fast"),
        ("make conformance ARGS='--require tpu'", "there is no capability tpu"),
        ("make conformance ARGS='-o speed=9'", "there is no setting speed=9"),
        ("make conformance SPEED=9", "the Makefile has no variable SPEED"),
        ("python -m plugins.nothing", "there is no module plugins.nothing"),
        ("make test | tee 'log", "is no shell: make test | tee 'log"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line, fault):
    assert fault in list(command_faults(line))
