"""The outputs: their number, types, layout, ranges, order and padding, on every image."""

import pytest

from plugins.checks import outputs as checks


@pytest.mark.clause("outputs.runs")
def test_the_model_runs_on_every_image(running):
    checks.check_runs(running)


@pytest.mark.clause("outputs.dtype")
def test_outputs_have_the_declared_dtypes(lively_outputs, lively_case, backend):
    declared = lively_case.subject.contract.output
    checks.check_dtypes(lively_outputs, declared, device=backend == "aie")


@pytest.mark.clause("outputs.shape")
def test_outputs_have_the_declared_shapes(any_outputs, case):
    checks.check_shapes(any_outputs, case.subject.contract.output)


@pytest.mark.clause("outputs.order")
def test_outputs_come_in_the_declared_order(lively_outputs, lively_case):
    checks.check_order(lively_outputs, lively_case.subject.contract.architecture.classes)


@pytest.mark.clause("outputs.layout")
def test_boxes_are_laid_out_detection_first(lively_outputs):
    checks.check_layout(lively_outputs)


@pytest.mark.clause("outputs.values")
def test_values_are_in_their_ranges(any_outputs, case):
    contract = case.subject.contract
    checks.check_values(
        any_outputs,
        classes=contract.architecture.classes,
        side=case.picture.side,
        threshold=contract.recipe.score_threshold,
    )


@pytest.mark.clause("outputs.sorted")
def test_detections_are_sorted_by_score(any_outputs):
    checks.check_sorted(any_outputs)


@pytest.mark.clause("outputs.padding")
def test_unused_rows_are_empty(any_outputs, backend):
    checks.check_padding(any_outputs, labels_too=backend == "reference")


@pytest.mark.clause("outputs.stale_rows")
def test_a_blank_input_after_a_busy_one_shows_nothing_of_it(backend, runnable_case, blank_like):
    subject, picture = runnable_case.subject, runnable_case.picture
    before = subject.runs.again(backend, picture, blank_like)
    subject.runs.again(backend, picture)
    after = subject.runs.again(backend, picture, blank_like)
    checks.check_padding(after, labels_too=backend == "reference")
    checks.check_same(after, before, what="a blank input shows leftovers of the one before")


@pytest.mark.clause("outputs.vacuous")
def test_the_result_says_something(lively_outputs, lively_case):
    """Constant or empty results would pass every other clause of this chapter."""
    checks.check_not_vacuous(lively_outputs, **lively_case.liveliness)
