"""From books to a word: each rule of docs/verdict.md by itself, without a run."""

from __future__ import annotations

import pytest

from plugins import judgement
from plugins.judgement import Judgement, Scope
from plugins.ledger import Entry, Ledger

REAL = {"lanes": ["npu"], "runtime": "310P3"}
GOOD, BAD, OPEN = "CONFORMANT", "NOT CONFORMANT", "INCOMPLETE"


def entry(outcome: str = "passed", **fields) -> Entry:
    right = {"nodeid": "", "clause": "outputs.range", "subject": "model", "attempts": 1}
    return Entry(**{**right, "outcome": outcome, **fields})


def books(*entries: Entry, **fields) -> Ledger:
    made = Ledger(**fields)
    for number, one in enumerate(entries):
        one.nodeid = one.nodeid or f"test_{number}"
        made.plan(one)
    return made


def judged(*entries: Entry, scope: Scope = Scope(), **fields) -> Judgement:  # noqa: B008 (frozen)
    return judgement.judge(books(*entries, **fields), scope)


# --- the word ---


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        *(("passed", GOOD), ("waived", GOOD), ("failed", BAD), ("stale", BAD), ("error", OPEN)),
        *(("inconclusive", OPEN), ("not run", OPEN), ("deselected", OPEN), ("skipped", OPEN)),
    ],
)
def test_each_outcome_has_its_word(outcome, word):
    assert judged(entry(outcome), entry()).word == word
    assert judged(entry(outcome), entry("failed")).word == BAD


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"interrupted": True}, "interrupted"),
        ({"broken": ["a", "b"]}, "could not be collected: a, b"),
        ({"gaps": ["a gap"]}, "a gap"),
        ({"remarks": ["a remark"]}, "a remark"),
    ],
)
def test_what_is_wrong_with_a_run_makes_it_incomplete(fields, reason):
    found = judged(entry(), **fields)
    assert (found.word, found.reasons) == (OPEN, [reason])


def test_a_refusal_and_a_partial_run_are_said():
    assert judged(entry(), scope=Scope(refused="no such capability")).reasons == [
        "no such capability"
    ]
    assert judged(entry(), scope=Scope(partial="only -k x")).reasons == ["only -k x"]


def test_a_run_that_judged_nothing_is_incomplete():
    assert judged().reasons == ["nothing was judged"]
    assert "nothing was judged" in judged(entry("skipped", reason="needs npu")).reasons


def test_a_second_try_is_named():
    found = judged(entry(attempts=2), entry(attempts=3, clause="outputs.dtype"), entry())
    assert found.word == OPEN
    assert found.reasons == ["needed a second try: outputs.range, outputs.dtype"]


def test_a_lane_is_judged_by_its_own_tests():
    device = entry(lanes=["npu"], runtime="310P3")
    assert judged(device, entry("failed"), scope=Scope(lane="npu")).word == GOOD
    assert judged(entry("failed", lanes=["npu"]), entry(), scope=Scope(lane="npu")).word == BAD
    assert judged(device, entry("failed")).word == BAD


def test_reasons_are_grouped_and_come_in_the_order_of_gravity():
    found = judged(
        *(entry("skipped", reason="needs coco", clause=f"accuracy.{k}") for k in range(6)),
        entry("skipped", reason="needs npu"),
        entry("deselected", reason="not run (add --benchmark)", clause="throughput.fps"),
        entry("not run"),
        entry("inconclusive", reason="too few"),
        entry("error", reason="worker gone"),
        entry("error", reason="worker gone", clause="outputs.dtype"),
        entry("failed", reason="swapped", case="cat"),
    )
    assert found.reasons == [
        "failed: outputs.range: model, case cat: swapped",
        "2 tests ended in error (worker gone): outputs.range, outputs.dtype",
        "1 test inconclusive (too few): outputs.range",
        "1 test not run: outputs.range",
        "throughput not run (add --benchmark)",
        "6 tests skipped (needs coco): accuracy.0, accuracy.1, accuracy.2, accuracy.3, 2 more",
        "1 test skipped (needs npu): outputs.range",
    ]


@pytest.mark.parametrize(("count", "text"), [(4, "a, b, c, d"), (5, "a, b, c, d, 1 more")])
def test_four_names_are_shown_each_once(count, text):
    names = list("abcde"[:count])
    assert judgement._some([*names, "a"]) == text


# --- what qualifies it ---


@pytest.mark.parametrize(
    ("fields", "qualifier"),
    [
        ({}, ""),
        ({"lanes": ["npu"], "runtime": "310P3"}, ""),
        ({"lanes": ["npu"], "runtime": "emulated 310P3"}, "npu lane emulated"),
        ({"lanes": ["a100"], "runtime": "cpu"}, "a100 lane on a CPU stand-in"),
        ({"lanes": ["a100"], "runtime": "A100"}, ""),
        ({"lanes": ["a100"], "runtime": "H200, not an A100"}, "a100 lane on another card"),
        ({"lanes": ["npu"], "runtime": "cpu"}, ""),
    ],
)
def test_a_stand_in_is_said_where_it_was_judged(fields, qualifier):
    assert judged(entry(**fields)).qualifier == qualifier
    assert judged(entry("skipped", **fields)).qualifier == ""


def test_all_stand_ins_are_said():
    found = judged(
        entry(lanes=["npu"], runtime="emulated 310P3"), entry(lanes=["a100"], runtime="cpu")
    )
    assert found.qualifier == "npu lane emulated, a100 lane on a CPU stand-in"


@pytest.mark.parametrize(
    ("word", "qualifier", "final", "headline"),
    [
        (GOOD, "", GOOD, GOOD),
        (
            GOOD,
            "npu lane emulated",
            "CONFORMANT (npu lane emulated)",
            "CONFORMANT (npu lane emulated; not a statement about hardware)",
        ),
        (
            BAD,
            "npu lane emulated",
            BAD,
            f"{BAD} (npu lane emulated; not a statement about hardware)",
        ),
        (BAD, "", BAD, BAD),
        (
            GOOD,
            "a100 lane on another card",
            "CONFORMANT (a100 lane on another card)",
            "CONFORMANT (a100 lane on another card; not a statement about an A100)",
        ),
    ],
)
def test_only_hardware_s_own_result_is_a_bare_word(word, qualifier, final, headline):
    found = Judgement(word, qualifier, [], [])
    assert (found.final_word(), found.headline()) == (final, headline)


# --- holes: what turns a gate red ---

NPU = Scope(required=("npu",))
NOTHING = "--require npu: nothing that needs it was judged"


def holes(*entries: Entry, scope: Scope = NPU, **fields) -> list[str]:
    return judged(*entries, scope=scope, **fields).holes


def test_a_gate_on_hardware_has_no_holes_and_without_a_requirement_there_are_none():
    assert holes(entry(**REAL)) == []
    assert holes(entry(), scope=Scope(), gaps=["a gap"]) == []
    assert holes(entry(), scope=Scope(partial="only -k x")) == []


def test_a_part_and_a_gap_are_holes_of_a_gate():
    assert holes(entry(**REAL), scope=Scope(required=("npu",), partial="only -k x")) == [
        "only -k x"
    ]
    assert holes(entry(**REAL), gaps=["a gap"]) == ["a gap"]


def test_what_is_overdue_is_a_hole_of_every_run():
    assert holes(entry(), scope=Scope(), overdue=["too old"]) == ["too old"]


@pytest.mark.parametrize("runtime", ["simulated device", "no device"])
def test_what_ran_on_no_device_fills_no_lane(runtime):
    assert holes(entry(lanes=["npu"], runtime=runtime)) == [NOTHING]
    assert holes(entry(lanes=["npu"], runtime=runtime), entry(**REAL)) == []


def test_an_empty_lane_is_a_hole():
    assert holes(entry()) == [NOTHING]
    assert holes(entry(), entry(requires=["npu"], runtime="310P3")) == []


@pytest.mark.parametrize(
    ("one", "hole"),
    [
        (entry("error", **REAL), "outputs.range error"),
        (entry("inconclusive", **REAL), "outputs.range inconclusive"),
        (entry("not run", **REAL), "outputs.range not run"),
        (entry("deselected", **REAL), "outputs.range deselected"),
        (entry("skipped", reason="needs npu", **REAL), "outputs.range skipped"),
        (entry("skipped", reason="for a reason", **REAL), "outputs.range skipped"),
        (entry("skipped", reason="needs coco", **REAL), "outputs.range skipped"),
        (entry(lanes=["npu"], runtime="emulated 310P3"), "outputs.range passed"),
        (entry("failed", lanes=["npu"], runtime="emulated 310P3"), "outputs.range failed"),
        (entry(attempts=2, **REAL), "outputs.range passed"),
    ],
)
def test_what_was_not_judged_on_the_device_is_a_hole(one, hole):
    one.nodeid = ""
    assert holes(one, entry(**REAL)) == [f"--require npu: not judged on it: {hole}"]


def test_a_skip_for_what_this_machine_lacks_is_none_unless_it_is_required():
    lacking = entry("skipped", reason="needs coco", **REAL)
    absent = {"absent": ("coco",)}
    assert holes(lacking, entry(**REAL), scope=Scope(required=("npu",), **absent)) == []
    lacking.nodeid = ""
    both = Scope(required=("npu", "coco"), **absent)
    assert "--require npu: not judged on it: outputs.range skipped" in holes(
        lacking, entry(**REAL), scope=both
    )


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("error", "needs coco"), ("skipped", "see my coco"), ("error", "see my coco")],
)
def test_only_a_skip_for_a_need_is_excused(outcome, reason):
    one = entry(outcome, reason=reason, **REAL)
    scope = Scope(required=("npu",), absent=("coco",))
    hole = f"--require npu: not judged on it: outputs.range {outcome}"
    assert holes(one, entry(**REAL), scope=scope) == [hole]


def test_a_failure_on_the_device_is_judged_and_no_hole():
    assert holes(entry("failed", **REAL)) == []
    assert holes(entry("waived", **REAL)) == []


def test_what_only_requires_a_device_may_run_on_its_stand_in_s_name():
    assert holes(entry(requires=["npu"], runtime="emulated 310P3"), entry(**REAL)) == []
    coco = Scope(required=("coco",))
    assert holes(entry(requires=["coco"], runtime="emulated 310P3"), scope=coco) == []


def test_every_requirement_is_asked_for_itself():
    found = holes(entry(**REAL), scope=Scope(required=("npu", "a100")))
    assert found == ["--require a100: nothing that needs it was judged"]
