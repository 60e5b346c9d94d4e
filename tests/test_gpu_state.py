"""The state of the cards: read through any driver's vocabulary, and judged before it is believed."""

from __future__ import annotations

import copy
import sys

import pytest

from plugins.drivers import gpu

CARD = {
    "index": "0",
    "name": "NVIDIA A100-SXM4-40GB",
    "uuid": "GPU-1",
    "driver_version": "470.129.06",
    "memory.total": "40536",
    "memory.used": "3",
    "clocks.sm": "210",
    "clocks.mem": "1215",
    "clocks.max.sm": "1410",
    "clocks.applications.graphics": "1095",
    "power.draw": "51.20",
    "power.limit": "400.00",
    "temperature.gpu": "31",
    "persistence_mode": "Enabled",
    "mig.mode.current": "Disabled",
    "ecc.errors.uncorrected.volatile.total": "0",
    "clocks_throttle_reasons.active": "0x0000000000000001",
}
NEWER = {
    **{name: value for name, value in CARD.items() if not name.startswith("clocks_throttle")},
    "clocks_event_reasons.active": "0x0000000000000024",
    "clocks.applications.graphics": "[N/A]",
    "clocks_event_reasons_counters.hw_thermal_slowdown": "12",
    "clocks_event_reasons_counters.sw_thermal_slowdown": "0",
    "clocks_event_reasons_counters.hw_power_brake_slowdown": "0 us",
}
TOOL = """#!{python}
import sys
cards, apps = {cards!r}, {apps!r}
query = sys.argv[1].partition("=")[2].split(",")
if "compute-apps" in sys.argv[1]:
    sys.exit(print("\\n".join(apps)))
for field in query:
    if field not in cards[0]:
        print(f'Field "{{field}}" is not a valid field to query.')
        sys.exit(2)
for card in cards:
    print(", ".join(card[field] for field in query))
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Puts an nvidia-smi on PATH that knows these cards, and the fields that they have."""

    def give(*cards, apps=()):
        path = tmp_path / "nvidia-smi"
        path.write_text(TOOL.format(python=sys.executable, cards=cards, apps=apps))
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return give


def test_without_a_card_there_is_no_state_and_nothing_to_judge(tool):
    assert gpu.state() == {}
    assert gpu.invalid({}, {}) == ""


def test_an_old_driver_is_asked_in_its_own_words(tool):
    tool(CARD)
    found = gpu.state()
    assert found["driver"] == "470.129.06"
    (card,) = found["gpus"]
    assert (card["name"], card["memory_total_mib"], card["power_w"]) == (CARD["name"], 40536, 51.2)
    assert card["throttle"] == [], "an idle card is not a slow one"
    assert "hw_thermal_slowdown_us" not in card


def test_a_new_driver_tells_why_and_for_how_long_a_card_was_slow(tool):
    tool(NEWER)
    (card,) = gpu.state()["gpus"]
    assert card["throttle"] == ["software thermal slowdown"], "a power cap under load is no fault"
    assert (card["hw_thermal_slowdown_us"], card["hw_power_brake_us"]) == (12, 0)
    assert card["clock_sm_application_mhz"] is None


def test_processes_are_listed_with_their_card(tool):
    tool(CARD, apps=["77, GPU-1, 1024", "[Insufficient Permissions], GPU-1, [N/A]"])
    assert gpu.state()["processes"] == [{"pid": 77, "uuid": "GPU-1", "memory_mib": 1024}]


def test_a_tool_that_fails_is_no_state(tmp_path, tool):
    tool(CARD)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'no devices were found'; exit 6\n")
    assert gpu.state() == {}


@pytest.mark.parametrize(
    ("named", "seen"),
    [
        ("0", [0]),
        ("2,0", [2, 0]),
        (" GPU-c , 1", [2, 1]),
        ("1,7,0", [1]),
        ("MIG-5c1f", [0, 1, 2]),
        ("", []),
    ],
)
def test_only_cards_that_our_ranks_see_are_judged(tool, monkeypatch, named, seen):
    cards = [{**CARD, "index": str(i), "uuid": f"GPU-{'abc'[i]}0"} for i in range(3)]
    tool(*cards, apps=[f"7{i}, GPU-{'abc'[i]}0, 1024" for i in range(3)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    found = gpu.state()
    assert [card["index"] for card in found.get("gpus", [])] == seen
    assert {app["pid"] for app in found.get("processes", [])} == {70 + i for i in seen}


@pytest.fixture
def before(tool):
    """The state of two quiet cards."""
    tool(CARD, {**CARD, "index": "1", "uuid": "GPU-2"})
    return gpu.state()


def test_a_quiet_machine_may_count(before):
    hot = copy.deepcopy(before)
    hot["gpus"][1].update(clock_sm_mhz=1410, temperature_c=71, power_w=380, memory_used_mib=900)
    assert gpu.invalid(before, hot, idle_mib=500) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"throttle": ["hardware power brake"]}, "card 1 was slowed down: hardware power brake"),
        ({"hw_thermal_slowdown_us": 12}, "card 1 was slowed down: hardware thermal slowdown"),
        ({"power_limit_w": 250}, "card 1: power_limit_w changed from 400.0 to 250"),
        (
            {"clock_sm_application_mhz": 765},
            "card 1: clock_sm_application_mhz changed from 1095.0 to 765",
        ),
        ({"mig": "Enabled"}, "card 1: mig changed from Disabled to Enabled"),
        ({"ecc_uncorrected": 1}, "card 1 had uncorrected memory errors"),
        ({"uuid": "GPU-3"}, "not the same cards before and after"),
    ],
)
def test_a_run_on_a_card_that_changed_does_not_count(before, change, reason):
    after = copy.deepcopy(before)
    before["gpus"][1].setdefault("hw_thermal_slowdown_us", 0)
    after["gpus"][1].update(change)
    assert gpu.invalid(before, after) == reason


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_on_a_shared_card_does_not_count(before, when):
    states = {"before": before, "after": copy.deepcopy(before)}
    states[when]["processes"].append({"pid": 77, "uuid": "GPU-1", "memory_mib": 1024})
    assert gpu.invalid(states["before"], states["after"]) == "shared with process 77"


def test_somebody_whom_a_container_hides_is_seen_by_his_memory(before):
    after = copy.deepcopy(before)
    before["gpus"][0]["memory_used_mib"] = 9000
    reason = gpu.invalid(before, after, idle_mib=500)
    assert reason == "card 0 had 9000 MiB in use before the run"


@pytest.mark.parametrize("kind", [{"mig": "Enabled"}, {"addressing": "ATS"}])
def test_memory_that_needs_nobody_on_the_card_is_no_alarm(before, kind):
    before["gpus"][0].update(kind, memory_used_mib=9000)
    assert gpu.invalid(before, copy.deepcopy(before), idle_mib=500) == ""
