"""What a run set out to judge: the rest is neither a gap in its word nor a hole in its gate."""

from __future__ import annotations

from plugins import ledger
from plugins.judgement import Scope
from tests.test_judgement import GOOD, OPEN, REAL, entry, holes, judged

ASIDE = {"outcome": "deselected", "reason": ledger.NOT_ABOUT}


def test_what_is_not_about_the_file_is_said_and_no_gap():
    others = [entry(**ASIDE), entry(**ASIDE)]
    found = judged(*others, entry())
    assert (found.word, found.reasons) == (
        GOOD,
        ["2 tests not about the given file (--model-ts)"],
    )
    assert judged(entry(**ASIDE), entry("failed")).reasons[1:] == [
        "1 test not about the given file (--model-ts)"
    ]
    assert judged(entry(**ASIDE)).word == OPEN
    assert judged(entry("deselected", reason="deselected by -k x"), entry()).word == OPEN


def test_of_a_lane_only_its_own_are_counted_as_not_about_the_file():
    lane = Scope(lane="npu", required=("npu",))
    mine = [entry(**REAL), entry(**ASIDE, **REAL), entry(**ASIDE)]
    found = judged(*mine, scope=lane)
    assert (found.word, found.holes) == (GOOD, [])
    assert found.reasons == ["1 test not about the given file (--model-ts)"]


def test_a_hole_is_in_the_chosen_lane_alone():
    why = "deselected by -m npu"
    outside = entry("deselected", nodeid="outside", reason=why, requires=["coco"])
    inside = entry(nodeid="inside", requires=["coco"], **REAL)
    lane = Scope(lane="npu", required=("npu", "coco"))
    assert holes(outside, inside, scope=lane) == []
    missed = entry("inconclusive", requires=["coco"], **REAL)
    assert holes(outside, missed, inside, scope=lane) == [
        f"--require {name}: not judged on it: outputs.range inconclusive"
        for name in ("npu", "coco")
    ]
    assert holes(outside, entry(**REAL), scope=lane) == [
        "--require coco: nothing that needs it was judged"
    ]


def test_trouble_at_the_end_is_a_hole_of_every_run():
    assert holes(entry(), scope=Scope(), trouble=["no disk"]) == ["no disk"]
