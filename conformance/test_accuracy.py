"""The accuracy: mAP of everything that is shipped, on every image of its set."""

import pytest

from plugins.checks import accuracy as checks
from plugins.checks.noninferiority import check_not_inferior


@pytest.mark.clause("accuracy.coverage")
def test_every_image_of_the_set_is_there(shapes_images, shapes_accuracy):
    checks.check_coverage(shapes_images, expected=shapes_accuracy.images)


@pytest.mark.clause("accuracy.map")
def test_map_on_the_synthetic_set_holds_its_floor(
    shapes_images,
    shapes_detections,
    shapes_accuracy,
    shapes,
    backend,
    figure,
    precision_curves,
    per_class,
):
    found = checks.evaluate(shapes_images, shapes_detections, shapes.contract.category_ids)
    precision_curves(found, shapes, backend)
    per_class(found, shapes_detections, shapes, backend)
    figure("mAP", found.ap, "%", expected=f">= {shapes_accuracy.floor:.4g} %")
    figure("AP75", found.statistics["AP75"], "%")
    checks.check_floor(found, floor=shapes_accuracy.floor)


@pytest.mark.npu
@pytest.mark.clause("accuracy.drop")
def test_the_device_is_as_accurate_as_the_cpu(decide_on_shapes, show_decision):
    decided = decide_on_shapes()
    show_decision(decided)
    check_not_inferior(decided.last)


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.requires("coco", "weights")
@pytest.mark.clause("accuracy.coverage")
def test_every_image_of_val2017_is_there(coco_images, coco_accuracy, shipped):
    ids = shipped.contract.category_ids
    checks.check_coverage(coco_images, expected=coco_accuracy.images, category_ids=ids)


@pytest.mark.requires("coco", "weights", "all_images")
@pytest.mark.clause("accuracy.map")
def test_map_on_val2017_holds_what_was_published(
    coco_images, coco_detections, coco_accuracy, shipped, figure, precision_curves, per_class
):
    found = checks.evaluate(coco_images, coco_detections, shipped.contract.category_ids)
    precision_curves(found, shipped, "aie")
    per_class(found, coco_detections, shipped, "aie")
    figure("mAP", found.ap, "%", expected=f">= {coco_accuracy.floor:.4g} %")
    checks.check_floor(found, floor=coco_accuracy.floor)


@pytest.mark.npu
@pytest.mark.requires("coco", "weights")
@pytest.mark.clause("accuracy.drop")
def test_the_device_is_as_accurate_as_the_cpu_on_val2017(decide_on_coco, show_decision):
    decided = decide_on_coco()
    show_decision(decided)
    check_not_inferior(decided.last)
