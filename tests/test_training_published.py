"""The source's own rows obey every identity; rows with one figure changed do not."""

from __future__ import annotations

import dataclasses

import pytest

from plugins.checks import training_published as published
from plugins.contracts.training import load_training
from tests.training_records import failing

TRAINING = load_training()
IMAGES = TRAINING.recipe.images
ROWS = {c.world: c.published for c in TRAINING.configuration}
A100 = TRAINING.machine_of("A100")


def test_a_published_number_is_a_band_of_its_digits():
    assert published.band("138") == published.Band(138.0, 139.0)
    assert published.band("22.3") == published.Band(22.3, 22.400000000000002)


def test_the_published_rows_obey_every_identity():
    for configuration in TRAINING.configuration:
        row, cards = configuration.published, configuration.world
        published.check_row(configuration.name, row)
        published.check_row_ceiling(
            configuration.name, row, cards=cards, flop=TRAINING.flops[0].flop, peak=A100.tf32
        )
    published.check_evaluation_time(ROWS, IMAGES)
    published.check_rows_scale(ROWS)


def test_15253_s_at_138_images_a_second_are_18_epochs_and_no_other_number():
    most = TRAINING.published.initialisation_evaluations
    assert published.epochs(ROWS[8], IMAGES, evaluations=most) == [18]
    published.check_epochs("1x8", ROWS[8], IMAGES, evaluations=most)
    assert published.epochs(ROWS[8], IMAGES, evaluations=10) == [17, 18]


@pytest.mark.parametrize(("key", "text"), [("e2e_time", "14000"), ("p_whole", "146")])
def test_a_row_of_two_runs_fits_no_number_of_epochs(key, text):
    row = dataclasses.replace(ROWS[8], **{key: text})
    failure = failing(published.check_epochs, "1x8", row, IMAGES, evaluations=2.0)
    assert failure.what == "e2e_time and p_whole of the row 1x8 are not of one run"


def test_the_published_fp32_is_tf32():
    """Every row is faster than FP32 can be on the card."""
    for cards, row in ROWS.items():
        named = {"cards": cards, "flop": TRAINING.flops[0].flop, "peak": A100.fp32}
        failing(published.check_row_ceiling, "row", row, **named)
    assert TRAINING.precision_of("fp32").tf32_conv


@pytest.mark.parametrize(
    ("key", "text"), [("p_whole", "153"), ("p_core", "151"), ("memory_used", "40.1")]
)
def test_a_row_that_contradicts_itself_fails(key, text):
    row = dataclasses.replace(ROWS[8], **{key: text})
    failure = failing(published.check_row, "1x8", row)
    assert failure.what == "the published row 1x8 contradicts itself"


def test_a_row_of_another_model_does_not_belong_to_the_others():
    for rate in ("240", "280"):
        rows = {**ROWS, 16: dataclasses.replace(ROWS[16], p_whole=rate)}
        assert "belong" in failing(published.check_evaluation_time, rows, IMAGES).what
    for rate in ("340", "298"):  # more than twice 1x8's; less of it than p_train keeps
        rows = {**ROWS, 16: dataclasses.replace(ROWS[16], p_core=rate)}
        assert "scale" in failing(published.check_rows_scale, rows).what
