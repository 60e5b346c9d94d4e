"""The numbers: detections as sets, against what the recipe means and what detectron2 means."""

import pytest

from plugins.checks.agreement import check_against_oracle
from plugins.checks.attribution import attribute, check_no_defect
from plugins.checks.detections import detections_of, recipe_oracle, stock_detections
from plugins.checks.stages import check_stages, largest_difference


@pytest.mark.clause("numerics.recipe")
def test_detections_are_what_the_recipe_means(any_outputs, any_oracle, case, backend, figure):
    """Against the rewrite in float64: what differs must be explained by rounding."""
    contract = case.subject.contract
    oracle = recipe_oracle(any_oracle, contract.recipe)
    tolerance = contract.tolerance[backend]
    agreement = check_against_oracle(detections_of(any_outputs), oracle, tolerance)
    figure("matched", agreement.share_matched, "%")
    figure("box error", agreement.box_error, "px")
    figure("score error", agreement.score_error)
    figure("share of tolerance used", agreement.stress)


@pytest.mark.clause("numerics.stock")
def test_what_differs_from_detectron2_is_intended_or_rounding(
    lively_outputs, oracle, lively_case, backend, figure
):
    """Against stock detectron2: the rewrite may lose what it means to lose, and nothing else."""
    contract = lively_case.subject.contract
    parts = attribute(
        detections_of(lively_outputs),
        recipe_oracle(oracle, contract.recipe),
        stock_detections(oracle),
        contract.tolerance[backend],
    )
    figure("same as detectron2", parts.share_same, "%")
    figure("intended change", parts.intended)
    figure("precision", parts.precision)
    check_no_defect(parts)


@pytest.mark.clause("numerics.detectron2")
def test_every_stage_of_our_network_is_detectron2s(parity, figure):
    """Against the stages that detectron2 itself computed: the first that differs is named."""
    check_stages(parity.found, parity.recorded, parity.allowed)
    figure("largest difference", largest_difference(parity.found, parity.recorded), "spacings")
