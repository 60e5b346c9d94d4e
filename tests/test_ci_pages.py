"""The CI pages: what they run exists, nothing in them swallows an exit code, and hardware is locked."""

from __future__ import annotations

import copy
import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from plugins import capability, ledger, options

HOUSE = Path(__file__).resolve().parent.parent
PAGES = HOUSE / "docs" / "ci"
MAKEFILE = (HOUSE / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z0-9_]+) [?:]=", MAKEFILE, re.MULTILINE)) | {"REASON", "SUBJECT"}
FLAGS = {setting.flag: setting.metavar is not None for setting in options.SETTINGS if setting.flag}
FLAGS = {**FLAGS, "-m": True, "-k": True, "-o": True}
INI = {setting.name for setting in options.SETTINGS if setting.ini}
SWALLOWERS = ("|| true", "|| :", "set +e", "|| exit 0")
GITHUB_KEYS = {
    "": {"name", "on", "permissions", "defaults", "jobs"},
    "job": {"if", "runs-on", "timeout-minutes", "concurrency", "env", "steps"},
    "step": {"if", "uses", "with", "run"},
}
GITLAB_KEYS = {
    *("stage", "interruptible", "after_script", "artifacts", "extends", "variables", "tags"),
    *("timeout", "resource_group", "rules", "script"),
}


class Strict(yaml.SafeLoader):
    """YAML without duplicate keys; `on` stays a word."""


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor("tag:yaml.org,2002:map", _mapping)
Strict.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in some if not tag.endswith(":bool")]
    for sign, some in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(name):
    return yaml.load((PAGES / name).read_text(encoding="utf-8"), Strict)


def merged(page, job):
    """A GitLab job with what it extends."""
    above = merged(page, page[job["extends"]]) if "extends" in job else {}
    variables = {**above.get("variables", {}), **job.get("variables", {})}
    return {**above, **job, "variables": variables}


def command_faults(line):
    """What a shell line runs that does not exist, or how it hides that it failed."""
    if subprocess.run(["bash", "-n", "-c", line]).returncode:
        yield f"is no shell: {line}"
        return
    yield from (f"swallows the exit code: {line}" for one in SWALLOWERS if one in line)
    for match in re.finditer(r"-m (plugins\.\w+)", line):
        if importlib.util.find_spec(match.group(1)) is None:
            yield f"there is no module {match.group(1)}"
    for part in re.split(r"[|;\n]|&&", line.replace("\\\n", " ")):
        words = shlex.split(part)
        if "make" in words:
            yield from make_faults(words[words.index("make") + 1 :])


def make_faults(words):
    for word in words:
        name, sign, value = word.partition("=")
        if sign and name not in VARIABLES:
            yield f"the Makefile has no variable {name}"
        if name == "ARGS":
            yield from argument_faults(value.split())
        if not sign and re.fullmatch("[a-z0-9-]+", word) and word not in TARGETS:
            yield f"the Makefile has no target {word}"


def argument_faults(words):
    words = iter(words)
    for word in words:
        word, given, value = word.partition("=")
        if word not in FLAGS:
            yield f"pytest has no option {word}"
        value = value if given else next(words, "") if FLAGS.get(word) else ""
        if word == "-m" and value not in ledger.LANES:
            yield f"there is no lane {value}"
        if word == "--require" and value not in capability.VOCABULARY:
            yield f"there is no capability {value}"
        if word == "-o" and value.partition("=")[0] not in INI:
            yield f"there is no setting {value}"


def github_faults(page):
    yield from (f"unknown key {key}" for key in set(page) - GITHUB_KEYS[""])
    if page.get("defaults", {}).get("run", {}).get("shell") != "bash":
        yield "without `shell: bash` a pipe swallows the exit code"
    for name, job in page["jobs"].items():
        yield from (f"{name}: unknown key {key}" for key in set(job) - GITHUB_KEYS["job"])
        steps = job["steps"]
        for step in steps:
            yield from (f"{name}: unknown key {key}" for key in set(step) - GITHUB_KEYS["step"])
            yield from (f"{name}: {fault}" for fault in command_faults(step.get("run", "true")))
        if "timeout-minutes" not in job:
            yield f"{name}: has no time limit"
        lock = job.get("concurrency", {})
        own = "self-hosted" in job["runs-on"]
        if own and not (lock.get("group") and lock.get("cancel-in-progress") == "false"):
            yield f"{name}: does not lock its card"
        kept = [
            step for step in steps if step.get("uses", "").startswith("actions/upload-artifact@")
        ]
        if not kept or kept[-1].get("if") != "always()":
            yield f"{name}: does not always keep its artifacts"
        yield from gate_faults(name, "\n".join(step.get("run", "") for step in steps), own)


def gitlab_faults(page):
    for name, job in page.items():
        if name == "stages" or name.startswith("."):
            continue
        job = merged(page, job)
        yield from (f"{name}: unknown key {key}" for key in set(job) - GITLAB_KEYS)
        for line in [*job["script"], *job.get("after_script", ())]:
            yield from (f"{name}: {fault}" for fault in command_faults(line))
        if job["script"][0] != "set -o pipefail":
            yield f"{name}: does not begin with set -o pipefail"
        if "timeout" not in job:
            yield f"{name}: has no time limit"
        own = job["tags"] != ["linux"]
        if own and "resource_group" not in job:
            yield f"{name}: does not lock its card"
        if job.get("artifacts", {}).get("when") != "always":
            yield f"{name}: does not always keep its artifacts"
        yield from gate_faults(name, "\n".join(job["script"]), own)


def gate_faults(name, script, own):
    """A job judges, sings its canary first, and on hardware of ours requires that hardware."""
    before, _, after = script.partition("make conformance")
    if "plugins.certificate verify" not in after:
        yield f"{name}: takes an exit code for a verdict"
    if "make canary" not in before:
        yield f"{name}: has no canary before its gate"
    if own and not re.search(r"-m (\w+) --require \1\b", script):
        yield f"{name}: does not require its hardware"
    if "rm -rf .artifacts/runs verdict" not in before.partition("make canary")[2]:
        yield f"{name}: may keep the verdict of an earlier run, or of the canary"
    lines = re.sub(r"\\\n", " ", script).splitlines()
    for line in lines:
        if "make conformance" in line and "timeout --signal=INT" not in line:
            yield f"{name}: is killed at its time limit before it can say what it knows"


LINT = {"github-actions.yml": github_faults, "gitlab-ci.yml": gitlab_faults}


@pytest.mark.parametrize("name", LINT)
def test_a_page_holds_nothing_wrong(name):
    assert list(LINT[name](read(name))) == []


def test_there_is_a_lint_for_every_page():
    assert {path.name for path in PAGES.iterdir()} == set(LINT)


@pytest.mark.parametrize("name", LINT)
def test_every_lane_runs_by_night_and_the_npu_at_each_commit(name):
    text = (PAGES / name).read_text(encoding="utf-8")
    assert {"laptop", "npu", "npu-nightly", "a100"} <= set(read(name).get("jobs", read(name)))
    assert "schedule" in text


def broken(name, job, change):
    page = copy.deepcopy(read(name))
    change(page["jobs"][job] if "jobs" in page else page[job])
    return list(LINT[name](page))


GITHUB, GITLAB = LINT


@pytest.mark.parametrize(
    ("name", "job", "change", "fault"),
    [
        (GITHUB, "npu", lambda j: j.pop("timeout-minutes"), "npu: has no time limit"),
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
