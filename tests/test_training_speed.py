"""Baselines of one class of machine, timers on a simulated device, the first crossing of a target."""

from __future__ import annotations

import pytest

from plugins.checks.training_learning import check_target
from plugins.checks.training_speed import check_not_slower, check_timers, floor_text, published_text
from plugins.contracts.training import load_training
from plugins.failure import Inconclusive
from tests.training_records import failing

BASELINE = {"p_core": 100.0}
STYLES = {
    "log_inside": {"host": 22.2, "event": 22.2, "window": 21.0},
    "log_outside": {"host": 55.2, "event": 22.2, "window": 21.0},
    "no_log": {"host": 229.0, "event": 22.2, "window": 21.0},
}


def test_a_rate_may_fall_behind_its_baseline_by_the_drop():
    check_not_slower("p_core", 90.0, BASELINE, drop=0.1)
    failure = failing(check_not_slower, "p_core", 89.9, BASELINE, drop=0.1)
    assert (failure.what, failure.needed) == ("p_core is below its baseline", "drop 10.1 %")
    failing(check_not_slower, "p_core", float("nan"), BASELINE, drop=0.1)
    assert floor_text(BASELINE, "p_core", 0.1) == ">= 90 img/s"


def test_without_a_baseline_nothing_is_judged():
    check_not_slower("p_core", 1.0, None, drop=0.1)
    assert floor_text(None, "p_core", 0.1) is None


def test_a_card_without_a_baseline_is_not_judged_and_not_passed():
    with pytest.raises(Inconclusive, match="p_core of 1 .* with these images and weights; record"):
        check_not_slower("p_core", 1.0, None, drop=0.1, required=True)
    check_not_slower("p_core", 100.0, BASELINE, drop=0.1, required=True)


def test_only_the_timer_that_waits_is_believed():
    check_timers(STYLES, share=0.05)


@pytest.mark.parametrize(
    ("style", "clock", "rate", "what"),
    [
        ("log_inside", "host", 55.2, "the style log_inside is suspected"),
        ("log_outside", "host", 22.2, "the style log_outside is not caught"),
        ("no_log", "host", 23.0, "the style no_log is not caught"),
        ("no_log", "event", 20.0, "the device's clock is wrong in the style no_log"),
    ],
)
def test_a_timer_of_another_style_is_named(style, clock, rate, what):
    changed = {**STYLES, style: {**STYLES[style], clock: rate}}
    assert failing(check_timers, changed, share=0.05).what == what


def test_a_target_is_reached_by_the_last_map():
    curve = [{"epoch": 16, "map": 0.34}, {"epoch": 17, "map": 0.3529}]
    check_target(curve, target=0.35, epochs=26)
    for short in (curve[:1], []):
        assert "target" in failing(check_target, short, target=0.35, epochs=26).what


def test_the_published_rate_has_a_ratio_only_beside_the_same_network():
    row = load_training().configured("1x1").published
    assert published_text("p_core", 50.4, row, same_network=True).endswith("; ratio 2")
    said = published_text("p_core", 50.4, row, same_network=False)
    assert said.startswith("25.2 img/s on A100") and said.endswith("another network here")
