"""The figures of the source's table, measured here; whether they close; and the source's own rows."""

import pytest

from plugins.checks.training_closure import (
    check_accounted,
    check_ceiling,
    check_clocks,
    check_counted,
    check_memory,
    check_nesting,
    check_numerator,
    check_order,
    check_scaling,
    check_spread,
    check_sum,
    check_warmup,
)
from plugins.checks.training_end import check_devices, check_same_software
from plugins.checks.training_published import (
    check_epochs,
    check_evaluation_time,
    check_row,
    check_row_ceiling,
    check_rows_scale,
)
from plugins.checks.training_speed import check_not_slower, check_timers, floor_text, published_text

pytestmark = pytest.mark.a100


@pytest.mark.clause("training.device")
def test_every_timed_rank_runs_on_the_device_that_is_claimed(timed_run, lane):
    records = [rank.record for rank in timed_run.run.ranks]
    check_devices([r["device"] for r in records], kind=lane.device.kind, name=lane.device.name)
    check_same_software([r["versions"] for r in records], [r["flags"] for r in records])


@pytest.mark.clause("training.p_core")
def test_the_device_computes_as_fast_as_before(
    timed, timed_run, training_baseline, training, figure
):
    """Forward, backward and step alone, on the device's clock."""
    found, row = timed("core"), timed_run.configuration.published
    drop = training.gate.baseline.drop
    floor = floor_text(training_baseline, "p_core", drop)
    figure("p_core", found.p_core, "img/s", expected=floor, images=timed_run.images)
    text = published_text("p_core", found.p_core, row, same_network=timed_run.is_full)
    figure("published p_core", text)
    required = timed_run.is_full
    check_not_slower("p_core", found.p_core, training_baseline, drop=drop, required=required)
    if timed_run.is_the_sources:
        check_not_slower("p_core", found.p_core, {"p_core": float(row.p_core)}, drop=drop)


@pytest.mark.clause("training.p_train")
def test_training_is_as_fast_as_before(timed, timed_run, training_baseline, training, figure):
    """With data, copies and logging; p_whole also with the evaluation and its share of a short run."""
    found, row = timed("train"), timed_run.configuration.published
    drop = training.gate.baseline.drop
    floor = floor_text(training_baseline, "p_train", drop)
    figure("p_train", found.p_train, "img/s", expected=floor, images=timed_run.images)
    figure("p_whole", found.p_whole, "img/s")
    figure("e2e_time", found.e2e_time, "s")
    for name, rate in (("p_train", found.p_train), ("p_whole", found.p_whole)):
        text = published_text(name, rate, row, same_network=timed_run.is_full)
        figure(f"published {name}", text)
    required = timed_run.is_full
    check_not_slower("p_train", found.p_train, training_baseline, drop=drop, required=required)


@pytest.mark.clause("training.counted")
def test_images_are_counted_and_the_warmup_is_left_out(timed_run):
    windows = timed_run.windows
    check_counted(timed_run.ranks, batch=timed_run.batch, iterations=windows.iterations)
    timed_iterations = windows.block * windows.blocks
    check_warmup(timed_run.ranks, warmup=windows.warmup, iterations=timed_iterations)


@pytest.mark.clause("training.order")
def test_the_rates_are_in_order_and_count_the_same_images(timed_run, training):
    found, slack = timed_run.figures, training.gate.closure.clocks
    check_order(found, slack=slack)
    rates, seconds = (found.p_whole, found.p_train, found.p_core), (found.whole_s, found.train_s)
    images = timed_run.images * timed_run.windows.block * timed_run.windows.blocks
    check_numerator(rates, (*seconds, found.core_s), images, relative=slack)


@pytest.mark.clause("training.clocks")
def test_the_device_and_the_host_agree_on_the_time(timed_run, training):
    for rank in timed_run.ranks:
        check_clocks(rank, slack=training.gate.closure.clocks)
        check_nesting(rank, slack=training.gate.closure.clocks)


@pytest.mark.clause("training.accounted")
def test_all_of_the_training_time_is_accounted_for(timed_run, training):
    for rank in timed_run.ranks:
        check_accounted(rank, share=training.gate.closure.sum)


@pytest.mark.clause("training.sum")
def test_data_copy_and_core_fill_the_time(timed_run, training, lane):
    for rank in timed_run.ranks:
        check_sum(rank, share=training.gate.closure.sum, asynchronous=lane.device.kind == "cuda")


@pytest.mark.clause("training.spread")
def test_no_rank_lags_behind(timed_run, training):
    check_spread(timed_run.figures, share=training.gate.closure.spread)


@pytest.mark.clause("training.memory")
def test_memory_is_measured_where_it_is_used(timed_run, lane, figure):
    row = timed_run.configuration.published
    figure("mem", timed_run.figures.mem, "GiB")
    figure("published mem", f"{row.memory_used}/{row.memory_total} GiB on A100")
    check_memory(timed_run.figures, card=lane.device.kind == "cuda")


@pytest.mark.requires("cuda")
@pytest.mark.clause("training.ceiling")
def test_no_card_is_faster_than_its_precision(timed_run, card, least_flops, figure):
    tf32 = timed_run.precision.tf32_conv
    peak = card.peak(timed_run.precision.name, tf32=tf32)
    figure("of the peak", timed_run.figures.p_core / timed_run.figures.world * least_flops / peak)
    check_ceiling(
        timed_run.figures.p_core,
        cards=timed_run.figures.world,
        flop=least_flops,
        peak=peak,
        precision=timed_run.precision.name + (" (TF32)" if tf32 else ""),
    )


@pytest.mark.requires("cuda8")
@pytest.mark.clause("training.scaling")
def test_eight_cards_are_at_most_eight_times_one(one_and_eight, training):
    check_scaling(*one_and_eight, noise=training.gate.closure.efficiency)


@pytest.mark.deviceless("simulated device")
@pytest.mark.clause("training.timer")
def test_a_timer_that_does_not_wait_is_caught(simulated, training, figure):
    """On a simulated asynchronous device, where the truth is known."""
    for style, rates in simulated.items():
        figure(f"p_core, {style}", rates["host"], "img/s", expected=f"{rates['event']:.4g}")
    check_timers(simulated, share=training.gate.closure.harness)


@pytest.mark.deviceless("no device")
@pytest.mark.clause("training.published")
def test_the_published_rows_agree_with_themselves(training):
    recipe, rows = training.recipe, {c.world: c.published for c in training.configuration}
    peak = training.machine_of("A100").peak("fp32", tf32=True)
    for one in training.configuration:
        check_row(one.name, one.published)
        least = min(f.flop for f in training.flops)
        check_row_ceiling(one.name, one.published, cards=one.world, flop=least, peak=peak)
    check_rows_scale(rows)
    check_evaluation_time(rows, recipe.images)


@pytest.mark.deviceless("no device")
@pytest.mark.clause("training.published_epochs")
def test_the_published_time_is_that_of_its_epochs(training, figure):
    row = training.configured("1x8")
    figure("epochs", row.published.epochs, expected="18")
    check_epochs(
        row.name,
        row.published,
        training.recipe.images,
        evaluations=training.published.initialisation_evaluations,
    )
