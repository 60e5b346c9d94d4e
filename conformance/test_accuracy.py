"""The accuracy: mAP of everything that is shipped, on every image of its set."""

import pytest

from plugins.checks import accuracy as checks


@pytest.mark.clause("accuracy.coverage")
def test_every_image_of_the_set_is_there(shapes_images, shapes_accuracy):
    checks.check_coverage(shapes_images, expected=shapes_accuracy.images)


@pytest.mark.clause("accuracy.map")
def test_map_on_the_synthetic_set_holds_its_floor(
    shapes_images, shapes_detections, shapes_accuracy, shapes, figure
):
    found = checks.evaluate(shapes_images, shapes_detections, shapes.contract.category_ids)
    figure("mAP", found.ap, "%", expected=f">= {shapes_accuracy.floor:.4g} %")
    figure("AP75", found.statistics["AP75"], "%")
    checks.check_floor(found, floor=shapes_accuracy.floor)


@pytest.mark.npu
@pytest.mark.clause("accuracy.drop")
def test_the_device_is_as_accurate_as_the_cpu(
    shapes_images, device_and_cpu, shapes_accuracy, shapes, figure
):
    device, cpu = (
        checks.evaluate(shapes_images, found, shapes.contract.category_ids)
        for found in device_and_cpu
    )
    figure("mAP lost", cpu.ap - device.ap, "points", f"<= {shapes_accuracy.allowed_drop:.4g}")
    checks.check_close(device, cpu, drop=shapes_accuracy.allowed_drop)


@pytest.mark.requires("coco", "weights")
@pytest.mark.clause("accuracy.coverage")
def test_every_image_of_val2017_is_there(coco_images, coco_accuracy, shipped):
    ids = shipped.contract.category_ids
    checks.check_coverage(coco_images, expected=coco_accuracy.images, category_ids=ids)


@pytest.mark.requires("coco", "weights")
@pytest.mark.clause("accuracy.map")
def test_map_on_val2017_holds_what_was_published(
    coco_images, coco_detections, coco_accuracy, shipped, figure
):
    found = checks.evaluate(coco_images, coco_detections, shipped.contract.category_ids)
    figure("mAP", found.ap, "%", expected=f">= {coco_accuracy.floor:.4g} %")
    checks.check_floor(found, floor=coco_accuracy.floor)
