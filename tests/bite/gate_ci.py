"""Faults of a CI page and of a job's line: whatever swallows the exit code, or disarms the gate."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable

from plugins import canary
from tests import test_ci_pages as pages
from tests.bite.fault import Alarm
from tests.bite.gate_rules import Seeds
from tests.bite.project import HOUSE, Project, words
from tests.test_canary import JUDGE

SEEDS = Seeds()
PAGE, CANARY = "ci.page", "ci.canary"


def page(name: str, job: str, change: Callable) -> list[Alarm]:
    """What the lint says of a page of docs/ci in which one job is another."""
    return [Alarm(PAGE, "red", fault) for fault in pages.broken(name, job, change)]


@SEEDS.twin("pages", "the pages of docs/ci as they are")
def good_pages(project):
    return [
        Alarm(PAGE, "red", fault)
        for name, lint in pages.LINT.items()
        for fault in lint(pages.read(name))
    ]


@SEEDS.fault("or_true", "a line ends in || true", PAGE, "laptop: swallows the exit code", "CI1")
def or_true(project):
    return page(
        pages.GITHUB, "laptop", lambda job: job["steps"].append({"run": "make test || true"})
    )


@SEEDS.fault(
    "continue_on_error", "a step may fail", PAGE, "unknown key continue-on-error", "CI1", quick=True
)
def continue_on_error(project):
    step = {"continue-on-error": "true"}
    return page(pages.GITHUB, "laptop", lambda job: job["steps"][0].update(step))


@SEEDS.fault("allow_failure", "a job may fail", PAGE, "unknown key allow_failure", "CI1")
def allow_failure(project):
    return page(pages.GITLAB, "a100", lambda job: job.update(allow_failure="true"))


@SEEDS.fault(
    "no_pipefail", "a pipe without pipefail", PAGE, "does not begin with set -o pipefail", "CI1"
)
def no_pipefail(project):
    return page(pages.GITLAB, "a100", lambda job: job["script"].pop(0))


@SEEDS.fault("no_canary", "a job without its canary", PAGE, "has no canary before its gate", "CI1")
def no_canary(project):
    return page(pages.GITHUB, "npu", lambda job: job["steps"].pop(2))


@SEEDS.fault(
    "old_verdict_kept",
    "the verdict of an earlier run stays where the new one goes",
    PAGE,
    "may keep the verdict of an earlier run",
    "ST1",
    "ST4",
)
def old_verdict_kept(project):
    return page(pages.GITHUB, "npu", lambda job: job["steps"].pop(3))


@SEEDS.fault(
    "earlier_job_kept",
    "a job on a machine of ours keeps untracked files of an earlier one",
    PAGE,
    "may run what an earlier job left, and no commit has",
    "CI14",
)
def earlier_job_kept(project):
    def keep(job):
        pages.edit(job["steps"][1], "git clean -ffd && ", "")

    return page(pages.GITHUB, "a100", keep)


@SEEDS.fault(
    "hardware_not_required",
    "a job on hardware does not require it",
    PAGE,
    "does not require its hardware",
    "CI4",
)
def hardware_not_required(project):
    def ease(job):
        job["script"] = [line.replace(" --require npu", "") for line in job["script"]]

    return page(pages.GITLAB, "npu", ease)


@SEEDS.fault("card_not_locked", "two jobs may share a card", PAGE, "does not lock its card", "MS9")
def card_not_locked(project):
    return page(pages.GITLAB, "npu", lambda job: job.pop("resource_group"))


@SEEDS.fault("no_time_limit", "a job may hang for ever", PAGE, "has no time limit", "CI11")
def no_time_limit(project):
    return page(pages.GITHUB, "npu", lambda job: job.pop("timeout-minutes"))


def sung(project: Project, line: str, **env: str) -> list[Alarm]:
    """The canary in a job whose line is `line`, with {gate} for our gate."""
    project.chapter(JUDGE)
    gate = shlex.join([sys.executable, "-m", "pytest", "conformance", *words()]) + " --model-ts {}"
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, os.getcwd())
        stack.callback(os.environ.update, dict(os.environ))
        os.chdir(project.root)
        os.environ.update({"PYTHONPATH": str(HOUSE), **env})
        complaint = canary.sing(line.replace("{gate}", gate))
        for name in env:
            del os.environ[name]
    return [Alarm(CANARY, "red", complaint)] if complaint else []


@SEEDS.twin("canary", "a job's line with a pipe and pipefail")
def good_canary(project):
    return sung(project, "set -o pipefail; {gate} | tee log")


@SEEDS.fault(
    "line_piped", "a job's line ends in | tee", CANARY, "the job stayed green", "CI1", quick=True
)
def line_piped(project):
    return sung(project, "{gate} | tee log")


@SEEDS.fault(
    "line_followed", "a job's line is followed by another", CANARY, "the job stayed green", "CI1"
)
def line_followed(project):
    return sung(project, "{gate}; echo done")


@SEEDS.fault(
    "line_collects_only",
    "a job's line still has --collect-only",
    CANARY,
    "the job stayed green",
    "CI2",
    "CI1",
)
def line_collects_only(project):
    return sung(project, "{gate} --collect-only")


@SEEDS.fault(
    "environment_collects_only",
    "PYTEST_ADDOPTS of the machine holds --collect-only",
    CANARY,
    "the job stayed green",
    "CI2",
    "CI1",
)
def environment_collects_only(project):
    return sung(project, "{gate}", PYTEST_ADDOPTS="--collect-only")


@SEEDS.fault(
    "environment_deselects",
    "PYTEST_ADDOPTS of the machine deselects all",
    CANARY,
    "called a broken model INCOMPLETE",
    "CI2",
)
def environment_deselects(project):
    return sung(project, "{gate}", PYTEST_ADDOPTS="-k nothing")


@SEEDS.fault(
    "red_for_another_reason",
    "a job is red whatever it is given",
    CANARY,
    "without judging the model",
    "CI1",
)
def red_for_another_reason(project):
    return sung(project, "exit 3 # {}")
