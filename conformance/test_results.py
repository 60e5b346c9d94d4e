"""The result files: the source's .bin triples, written and read back."""

import pytest

from plugins.checks.compiled import check_refused
from plugins.checks.result_files import check_folder, check_read_back


@pytest.mark.clause("results.files")
def test_the_files_hold_what_was_detected(results_folder, detected):
    check_folder(results_folder, detected.outputs)


@pytest.mark.clause("results.read_back")
def test_what_is_read_back_is_what_was_detected(results_folder, detected, shapes):
    found = shapes.runs.read_results(results_folder, detected.stems)
    check_read_back(found, detected.outputs)


@pytest.mark.clause("results.refusals")
def test_a_folder_that_is_not_this_runs_is_refused(strange_folder):
    """Files of an earlier run, of other images, or of too few would be scored as this run's."""
    check_refused(strange_folder.sentence, strange_folder.what)
