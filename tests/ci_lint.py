"""The lint of the CI pages: what they run exists, nothing swallows an exit code, no limit comes too early."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

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
CANN = "source /usr/local/Ascend/ascend-toolkit/set_env.sh"
WHEEL = '.venv-npu/bin/python -m pip install "$TORCH_AIE_WHEEL"'
ENDED = re.compile(r"timeout --signal=INT --kill-after=(\d+)m (\d+)m ")
MARGIN = 20  # minutes, for what a job does before and after its gate: set-up, canary, keeping the verdict
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
        lock = job.get("concurrency", {})
        own = "self-hosted" in job["runs-on"]
        if own and not (lock.get("group") and lock.get("cancel-in-progress") == "false"):
            yield f"{name}: does not lock its card"
        kept = [
            step for step in steps if step.get("uses", "").startswith("actions/upload-artifact@")
        ]
        if not kept or kept[-1].get("if") != "always()":
            yield f"{name}: does not always keep its artifacts"
        shells = [step.get("run", "") for step in steps]
        if own and "git clean -ffd" not in "\n".join(shells).partition("make ")[0]:
            yield f"{name}: may run what an earlier job left, and no commit has"
        yield from gate_faults(name, shells, own, int(job.get("timeout-minutes", 0)))


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
        own = job["tags"] != ["linux"]
        if own and "resource_group" not in job:
            yield f"{name}: does not lock its card"
        if job.get("artifacts", {}).get("when") != "always":
            yield f"{name}: does not always keep its artifacts"
        limit = minutes(job.get("timeout", ""))
        yield from gate_faults(name, ["\n".join(job["script"])], own, limit)


def minutes(text):
    """What GitLab reads in `5 hours 20 minutes`."""
    units = {"m": 1, "h": 60}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+) ?([mh])", text))


def gate_faults(name, shells, own, limit):
    """A job judges, sings its canary first, and on hardware of ours requires that hardware.

    `shells` are the scripts that run in one shell each; `limit` is the job's, in minutes, 0 for none.
    """
    script = "\n".join(shells)
    before, _, after = script.partition("make conformance")
    if "plugins.certificate verify" not in after:
        yield f"{name}: takes an exit code for a verdict"
    if "make canary" not in before:
        yield f"{name}: has no canary before its gate"
    if own and not re.search(r"-m (\w+) --require \1\b", script):
        yield f"{name}: does not require its hardware"
    if "rm -rf .artifacts/runs verdict" not in before.partition("make canary")[2]:
        yield f"{name}: may keep the verdict of an earlier run, or of the canary"
    if "VENV=.venv-npu" in script:
        yield from ascend_faults(name, shells)
    yield from time_faults(name, script, limit)


def ascend_faults(name, shells):
    """Torch_AIE is installed in the job's own environment, and CANN is in each shell that loads it."""
    if WHEEL not in "\n".join(shells).partition("make canary")[0]:
        yield f"{name}: has no Torch_AIE in its environment"
    for shell in shells:
        for match in re.finditer("make (canary|conformance) VENV=.venv-npu", shell):
            if CANN not in shell[: match.start()]:
                yield f"{name}: make {match.group(1)} runs without CANN in its environment"


def time_faults(name, script, limit):
    """A gate is ended, then killed, and only then comes the limit of its job, the wait included."""
    if not limit:
        yield f"{name}: has no time limit"
    for line in re.sub(r"\\\n", " ", script).splitlines():
        if "make conformance" not in line:
            continue
        ended = ENDED.search(line)
        if not ended:
            yield f"{name}: is killed at its time limit before it can say what it knows"
            continue
        waits = re.search(r"flock --timeout (\d+)", line)
        taken = int(waits.group(1)) // 60 if waits else 0
        taken += sum(map(int, ended.groups())) + MARGIN
        if 0 < limit < taken:
            yield f"{name}: its limit of {limit} minutes comes before {taken}"


LINT = {"github-actions.yml": github_faults, "gitlab-ci.yml": gitlab_faults}
GITHUB, GITLAB = LINT
