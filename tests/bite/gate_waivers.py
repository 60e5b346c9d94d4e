"""Faults of forgiving: waivers that are stale, too broad or too old, and what stays open for ever."""

from __future__ import annotations

import datetime
import json

from plugins import inconclusive
from tests.bite.gate_rules import Seeds, alarms
from tests.bite.project import Project, run
from tests.test_inconclusive import NODE, OPEN
from tests.test_waivers import SUITE, TOP, WAIVER

SEEDS = Seeds()
FILE = "conformance/waivers.toml"


def waived(project: Project, *, top: str = TOP, suite: str = SUITE, text: str = "", **fields: str):
    """A run with one waiver, some of whose fields are others."""
    lines = [top, "[[waiver]]"]
    for key, value in {**WAIVER, **fields}.items():
        lines.append(f"{key} = {value}" if key == "expires" else f'{key} = "{value}"')
    project.chapter(suite)
    project.write(FILE, text or "\n".join(lines))
    return alarms(run(project, closed=False))


@SEEDS.twin("waiver", "a failure that is forgiven by name")
def good_waiver(project):
    return waived(project)


@SEEDS.fault(
    "waiver_expired",
    "a waiver has expired",
    "gate.usage",
    "W-1: expired on 2020-01-01",
    "CI5",
    quick=True,
)
def waiver_expired(project):
    return waived(project, expires="2020-01-01")


@SEEDS.fault(
    "waiver_unmatched", "a waiver matches no test", "gate.usage", "W-1: matches no test", "CI5"
)
def waiver_unmatched(project):
    return waived(project, clause="numerics.boxes")


@SEEDS.fault(
    "waiver_too_many", "there are more waivers than allowed", "gate.usage", "and max is 0", "CI5"
)
def waiver_too_many(project):
    return waived(project, top="max = 0\ninconclusive_days = 3")


@SEEDS.fault(
    "waiver_too_broad",
    "a waiver forgives more tests than fail",
    "numerics.detections",
    "waiver W-1 is stale",
    "CI5",
)
def waiver_too_broad(project):
    return waived(project, test="*aie-???]")


@SEEDS.fault(
    "waiver_stale",
    "what is waived passes again",
    "numerics.detections",
    "waiver W-1 is stale",
    "CI5",
)
def waiver_stale(project):
    return waived(project, suite=SUITE.replace('backend == "aie" and', "False and"))


@SEEDS.fault(
    "waiver_for_the_lab",
    "what is waived is broken, not failing",
    "numerics.detections",
    "a box moved",
    "CI5",
)
def waiver_for_the_lab(project):
    broken = SUITE.replace("raise CheckFailure", "raise LabError")
    return waived(project, suite=broken.replace(', expected="1 px", actual="3 px"', ""))


@SEEDS.fault("waiver_of_nobody", "a waiver has no owner", "gate.usage", "W-1: owner", "CI5")
def waiver_of_nobody(project):
    return waived(project, owner=" ")


@SEEDS.fault(
    "waiver_in_another_calendar",
    "a waiver's date is written as 31.12.2026",
    "gate.usage",
    "write a date",
    "CI13",
)
def waiver_in_another_calendar(project):
    return waived(project, expires='"31.12.2026"')


@SEEDS.fault(
    "waivers_cut_short",
    "the file of waivers is cut short",
    "gate.usage",
    "is not valid TOML",
    "CI5",
)
def waivers_cut_short(project):
    return waived(project, text="max = 2\n[[waiv")


def open_since(project: Project, record: str):
    """A run with one inconclusive test, of which the machine has a record."""
    project.write(FILE, "max = 0\ninconclusive_days = 3\n")
    project.chapter(OPEN)
    project.write(f".artifacts/{inconclusive.NAME}", record)
    return alarms(run(project, closed=False))


def days_ago(days: int) -> str:
    since = datetime.date.today() - datetime.timedelta(days=days)
    return json.dumps({NODE: since.isoformat()})


@SEEDS.twin("patience", "a test that is inconclusive, and not for long")
def patience(project):
    return [one for one in open_since(project, days_ago(2)) if one.outcome != "inconclusive"]


@SEEDS.fault(
    "inconclusive_for_long",
    "a test is inconclusive for 40 days",
    "gate.patience",
    "inconclusive for 40 days, and 3 are allowed",
    "CI11",
    quick=True,
)
def inconclusive_for_long(project):
    return open_since(project, days_ago(40))


@SEEDS.fault(
    "record_in_another_calendar",
    "the record's days are written as 31.12.2026",
    "gate.patience",
    "is no record of days",
    "CI13",
)
def record_in_another_calendar(project):
    return open_since(project, json.dumps({NODE: "31.12.2026"}))


@SEEDS.fault(
    "record_from_the_future",
    "the machine's clock was a year ahead when the record was made",
    "gate.patience",
    "lies in the future",
    "CI11",
    "CI13",
    "MS7",
)
def record_from_the_future(project):
    return open_since(project, days_ago(-365))
