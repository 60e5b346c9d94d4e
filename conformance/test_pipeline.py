"""The pipeline around the model: from an image file to its input, and from boxes back to the image."""

import pytest

from plugins.checks import images as checks
from plugins.checks.compiled import check_refused


@pytest.mark.clause("pipeline.input")
def test_the_input_is_what_the_rule_says(case, read_image, bands):
    tensor, _ = case.subject.prepared(case.picture)
    rule = case.subject.contract.input.preprocess(case.picture.side)
    checks.check_input(tensor[0], read_image(case.picture.path), **rule, band=bands.grey_levels)


@pytest.mark.clause("pipeline.size")
def test_the_size_is_what_the_rule_says(case):
    _, geometry = case.subject.prepared(case.picture)
    rule = case.subject.contract.input.preprocess(case.picture.side)
    checks.check_size(geometry, shortest=rule["shortest"], longest=rule["longest"])


@pytest.mark.clause("pipeline.boxes")
def test_boxes_return_to_the_image(lively_case, corner_boxes, bands):
    _, geometry = lively_case.subject.prepared(lively_case.picture)
    restored = lively_case.subject.restore(corner_boxes, geometry)
    checks.check_restored(restored, corner_boxes, geometry, tolerance=bands.restored_px)


@pytest.mark.clause("pipeline.labels")
def test_labels_become_category_ids(subject, contract, all_labels):
    categories = subject.categories(all_labels)
    checks.check_categories(categories, all_labels, contract.category_ids)


@pytest.mark.clause("pipeline.refusals")
def test_a_broken_image_file_is_refused_by_name(shapes, broken_image):
    sentence = shapes.image_refusal(broken_image)
    check_refused(sentence if broken_image.name in sentence else "", f"{broken_image.name}")


@pytest.mark.clause("pipeline.stream")
def test_images_in_a_stream_are_those_prepared_alone(stream):
    """Many images share a few buffers: each is there, in order, without a trace of another."""
    checks.check_streamed(stream.found, stream.alone)


@pytest.mark.clause("pipeline.stream")
def test_a_broken_image_in_a_stream_is_refused_by_name(shapes, stream_with_a_broken_image):
    sentence = shapes.stream_refusal(stream_with_a_broken_image)
    broken = stream_with_a_broken_image[1].name
    check_refused(sentence if broken in sentence else "", f"{broken} in a stream")
