"""A baseline is renewed within its drift, and held against the first one for ever."""

from __future__ import annotations

import pytest

from plugins import pinning
from plugins.failure import LabError
from plugins.store import Producer, Store

NAME = "retinanet_r50_fpn_3x/card/1x1.toml"
CARD = Producer("fp32 training", "NVIDIA A100", "x86_64 Linux", lane="a100")


def update(root, rate, *, reason="newer driver", producer=CARD, drift=0.05, memory=100):
    store = Store(root, reason=reason)
    store.accept(NAME, {"rate": rate, "memory": memory}, producer=producer, allowed_drift=drift)
    return store


def test_the_first_baseline_is_pinned(tmp_path):
    store = update(tmp_path, 20.0)
    record = store.manifest()[NAME]
    assert record["pinned"] == {"rate": 20.0, "memory": 100.0}
    assert store.drift(NAME).startswith("rate +0.00 %, memory +0.00 % since it was pinned on 20")


def test_small_losses_cannot_add_up_to_a_large_one(tmp_path):
    for rate in (20.0, 19.6, 19.2):
        update(tmp_path, rate)
    with pytest.raises(LabError, match="rate has moved by -6 % since it was pinned") as error:
        update(tmp_path, 18.8)
    assert str(error.value).endswith("or pin anew with the reason 're-pin: ...'")
    store = Store(tmp_path)
    assert store.table(NAME)["rate"] == 19.2
    assert store.drift(NAME).startswith("rate -4.00 %, memory +0.00 %")


def test_a_gain_is_pinned_too_before_it_can_be_lost_again(tmp_path):
    update(tmp_path, 20.0)
    with pytest.raises(LabError, match="rate has moved by .20 %"):
        update(tmp_path, 24.0)


def test_a_reason_to_pin_anew_replaces_what_was_pinned(tmp_path):
    update(tmp_path, 20.0)
    store = update(tmp_path, 15.0, reason="re-pin: the card is capped at 200 W")
    assert store.manifest()[NAME]["pinned"]["rate"] == 15.0
    update(tmp_path, 15.3)
    assert Store(tmp_path).drift(NAME).startswith("rate +2.00 %")


def test_without_an_allowed_drift_only_a_new_pin_moves_a_baseline(tmp_path):
    update(tmp_path, 20.0)
    with pytest.raises(LabError, match="0 % are allowed"):
        update(tmp_path, 19.99, drift=0.0)


@pytest.mark.parametrize(
    "producer",
    [
        Producer("fp32 training", "NVIDIA H200", "x86_64 Linux", lane="a100"),
        Producer("fp32 training", "NVIDIA A100", "aarch64 Linux", lane="a100"),
    ],
)
def test_another_machine_class_cannot_renew_a_baseline(tmp_path, producer):
    update(tmp_path, 20.0)
    with pytest.raises(LabError, match="it was pinned on NVIDIA A100 and x86_64 Linux"):
        update(tmp_path, 20.1, producer=producer)


def test_a_value_more_or_less_is_another_baseline(tmp_path):
    update(tmp_path, 20.0)
    store = Store(tmp_path, reason="newer driver")
    with pytest.raises(LabError, match="it has other values than what was pinned"):
        store.accept(NAME, {"rate": 20.0}, producer=CARD, allowed_drift=1.0)


def test_a_value_that_is_no_number_cannot_pass_for_small(tmp_path):
    update(tmp_path, 20.0)
    with pytest.raises(LabError, match="rate is nan, no number to be compared with"):
        update(tmp_path, float("nan"))


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
def test_the_first_baseline_is_a_number(tmp_path, rate):
    with pytest.raises(LabError, match="no number to be compared with"):
        update(tmp_path, rate)


def test_a_truth_is_not_pinned(tmp_path):
    store = Store(tmp_path, reason="first")
    referee = Producer("recipe-float64", "cpu", "x86_64 Linux")
    for value in (1.0, 2.0):
        store.accept("s/t.toml", {"x": value}, producer=referee)
    assert "pinned" not in store.manifest()["s/t.toml"] and store.drift("s/t.toml") == ""


def pinned(values, known=None, *, name=NAME, allowed=0.05, reason="r", producer=CARD):
    return pinning.pin(name, known or {}, values, producer, reason, allowed)


def test_only_a_table_of_a_lane_is_pinned():
    assert pinned({"a": 1})["pinned"] == {"a": 1.0}
    assert pinned({"a": 1}, name="a/b.csv") == pinned(b"a", name="a/b.toml") == {}
    assert pinned({"a": 1}, producer=Producer("aie", "cpu", "x86")) == {}


def test_numbers_are_pinned_by_dotted_name_and_nothing_else_is():
    table = {"a": 1, "b": {"c": 2.5, "d": {"e": 3}}, "f": True, "g": "text", "h": [1]}
    assert pinning.numbers(table) == {"a": 1.0, "b.c": 2.5, "b.d.e": 3.0}


PLACE = {"runtime": CARD.runtime, "machine": CARD.machine}


def test_a_baseline_may_move_as_far_as_is_allowed_and_no_farther():
    known = {**pinned({"a": 4.0, "b": 1.0}), **PLACE}
    for value in (5.0, 3.0):
        moved = pinned({"a": value, "b": 1.0}, known, allowed=0.25)
        assert moved["drift"] == {"a": value / 4 - 1, "b": 0.0}
        assert (moved["pinned"], moved["pinned_on"]) == (known["pinned"], known["pinned_on"])
    for value in (5.1, 2.9):
        with pytest.raises(LabError, match="a has moved by"):
            pinned({"a": value, "b": 1.0}, known, allowed=0.25)


def test_from_nothing_every_step_is_a_whole_one():
    known = {**pinned({"a": 0.0}), **PLACE}
    assert pinned({"a": 0.0}, known, allowed=0.0)["drift"] == {"a": 0.0}
    with pytest.raises(LabError, match=r"a has moved by \+100 % since"):
        pinned({"a": 0.001}, known, allowed=0.99)
    assert pinned({"a": 0.001}, known, allowed=1.0)["drift"] == {"a": 1.0}


def test_a_record_without_a_place_is_of_another():
    with pytest.raises(LabError, match="it was pinned on  and , and this is NVIDIA A100 and"):
        pinned({"a": 1.0}, pinned({"a": 1.0}))


def test_a_table_without_numbers_has_not_moved():
    known = {"pinned": {"a": 1.0}, "pinned_on": "today", **PLACE}
    with pytest.raises(LabError, match="it has other values than what was pinned"):
        pinned({}, known)
