"""Waivers: executed, forgiven exactly as far as they say, and never longer than they say."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester", "tests.lab"]

SUITE = """
@pytest.mark.clause("numerics.detections")
@pytest.mark.parametrize("case", ["bus", "dog"])
@pytest.mark.parametrize("backend", ["aie", "eager"])
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
def test_detections(subject, backend, case):
    if backend == "aie" and case == "bus":
        raise CheckFailure("a box moved", expected="1 px", actual="3 px")
"""
TOP = "max = 2\ninconclusive_days = 3"
WAIVER = {
    "id": "W-1",
    "test": "test_outputs.py::test_detections[retinanet_shapes-aie-bus]",
    "clause": "numerics.detections",
    "backend": "aie",
    "reason": "the 310P NMS rescales",
    "owner": "ops",
    "issue": "https://example.org/1",
    "expires": "2999-01-01",
}


@pytest.fixture
def waived(lab):
    """The lab with one failing test and a function that writes its waivers file."""
    lab.chapter(SUITE)

    def write(*waivers, top=TOP):
        lines = [top]
        for waiver in waivers or [WAIVER]:
            lines.append("[[waiver]]")
            lines += [
                f"{key} = {value}" if key == "expires" else f'{key} = "{value}"'
                for key, value in waiver.items()
            ]
        lab.write("conformance/waivers.toml", "\n".join(lines))
        return lab

    return write


def changed(**fields):
    return {key: value for key, value in {**WAIVER, **fields}.items() if value is not None}


def test_a_waived_failure_is_executed_forgiven_and_named(waived):
    lab = waived()
    result = lab.run()
    assert result.ret == 0
    result.assert_outcomes(passed=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "waived: W-1 numerics.detections of * on aie, until 2999-01-01 (ops: the 310P NMS *",
            "  numerics.detections  aie * waived W-1 1 of 2 *",
            "CONFORMANT",
        ]
    )
    (waiver,) = lab.verdict()["waivers"]
    assert waiver["tests"] == [f"conformance/{WAIVER['test']}"]
    assert waiver["expires"] == "2999-01-01"


def test_the_naked_truth_is_one_option_away(waived):
    lab = waived()
    assert lab.run("--no-waivers").ret == 1
    assert lab.verdict()["word"] == "NOT CONFORMANT"


def test_a_waived_test_that_passes_is_stale_and_fails(waived):
    lab = waived(changed(test="*aie-???]"))
    result = lab.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E   numerics.detections: *waiver W-1 is stale*remove the waiver"])
    assert lab.verdict()["counts"] == {"waived": 1, "stale": 1, "passed": 2}
    assert lab.verdict()["word"] == "NOT CONFORMANT"


def test_a_waiver_forgives_the_product_and_never_the_lab(waived):
    lab = waived()
    lab.chapter(
        SUITE.replace("raise CheckFailure", "raise LabError").replace(
            ', expected="1 px", actual="3 px"', ""
        )
    )
    assert lab.run().ret == 1
    assert lab.verdict()["counts"]["error"] == 1


@pytest.mark.parametrize(
    "scope", [{"backend": "eager"}, {"clause": "numerics.boxes"}, {"subject": "other"}]
)
def test_a_waiver_out_of_scope_matches_nothing_and_is_refused(waived, scope):
    result = waived(changed(**scope)).run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *waivers.toml: W-1: matches no test; correct its scope*"])


def test_brackets_of_a_test_id_mean_themselves(waived):
    waiver = changed(test="test_detections[retinanet_shapes-aie-bu*]")
    assert waived(waiver).run().ret == 0


def test_a_partial_run_tolerates_a_waiver_for_another_part(waived):
    lab = waived()
    lab.chapter('@pytest.mark.clause("o.x")\ndef test_x(): pass\n', name="other")
    assert lab.run("conformance/test_other.py").ret == 0


@pytest.mark.parametrize(
    ("fields", "top", "sentence"),
    [
        ({"expires": "2020-01-01"}, TOP, "W-1: expired on 2020-01-01; fix *with ops"),
        ({"expires": '"soon"'}, TOP, "W-1: expires: write a date, e.g. 2026-12-31"),
        ({"owner": None}, TOP, "W-1: has no owner; every waiver says it"),
        ({"reason": " "}, TOP, "W-1: reason: write a text that is not empty"),
        ({"why": "x"}, TOP, "W-1: unknown key 'why'; the keys are id, test, *"),
        ({"matched": "x"}, TOP, "W-1: unknown key 'matched'; the keys are *"),
        ({}, "max = 0", "1 waivers, and max is 0; remove one first"),
        ({}, "", "max: give the greatest number of waivers, e.g. max = 5"),
        ({}, "max = -1", "max: give the greatest number of waivers, e.g. max = 5"),
        ({}, "max = 2", "inconclusive_days: say for how many days a test may stay *, e.g. 14"),
        ({}, TOP + "\nmaximum = 3", "unknown key 'maximum'; *"),
        ({}, "max = = 2", "is not valid TOML: *"),
    ],
)
def test_a_malformed_or_expired_waiver_is_one_sentence(waived, fields, top, sentence):
    result = waived(changed(**fields), top=top).run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *waivers.toml: {sentence}"])


def test_two_waivers_of_one_name_are_refused(waived):
    result = waived(WAIVER, WAIVER).run()
    result.stderr.fnmatch_lines(["ERROR: *waivers.toml: W-1: two waivers have this id; rename one"])


def test_two_waivers_of_one_test_are_refused(waived):
    result = waived(WAIVER, changed(id="W-2")).run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *waivers.toml: W-1 and W-2 match conformance/test_*; narrow one"]
    )


def test_the_file_in_the_house_can_be_read():
    from plugins import machine, waivers
    from tests.lab import HOUSE

    assert waivers.load(HOUSE / waivers.DEFAULT_FILE, machine.today()) == []
