"""The operators: what mmdet_ops computes, on the CPU, for every model that carries them."""

import pytest

from plugins.checks.compiled import check_placement
from plugins.checks.device_nms import check_device_nms
from plugins.checks.ops import (
    batch_nms_reference,
    check_nms_equal,
    check_roi_close,
    roi_extractor_reference,
)
from plugins.checks.ops_calls import check_described, check_refused, check_schema


@pytest.mark.clause("ops.schema")
@pytest.mark.parametrize("name", ["batch_nms", "roi_extractor"])
def test_the_schema_is_what_exported_models_carry(name, call_operator, operators):
    check_schema(call_operator.schema(name), getattr(operators, name).schema)


@pytest.mark.clause("ops.batch_nms")
def test_batch_nms_decides_as_its_contract_says(nms_case, dtype, call_operator):
    boxes, scores = nms_case.boxes.astype(dtype), nms_case.scores.astype(dtype)
    found = call_operator.batch_nms(boxes, scores, nms_case.options)
    check_nms_equal(found, batch_nms_reference(boxes, scores, nms_case.options))


@pytest.mark.clause("ops.meta")
def test_batch_nms_has_shapes_that_no_data_decides(nms_case, call_operator):
    boxes, scores = nms_case.boxes.astype("float16"), nms_case.scores
    found = call_operator.describe_nms(boxes, scores, nms_case.options)
    check_described(found, batch_nms_reference(boxes, scores, nms_case.options))


@pytest.mark.clause("ops.refusals")
def test_bad_input_is_refused_by_name(bad_call, call_operator):
    check_refused(call_operator.refusal(bad_call), bad_call)


@pytest.mark.clause("ops.roi_extractor")
def test_roi_extractor_pools_as_its_contract_says(roi_case, dtype, call_operator, operators):
    feats, rois = roi_case.arrays(dtype)
    found = call_operator.roi_extractor(feats, rois, roi_case.options)
    wanted = roi_extractor_reference(feats, rois, roi_case.options)
    check_roi_close(found, wanted, relative=getattr(operators.roi_extractor.tolerance, dtype))


@pytest.mark.npu
@pytest.mark.clause("ops.device_nms")
def test_the_device_suppresses_as_the_operator_does(device_nms_case, device_nms, operators):
    """The NMS alone, without a network before it: what compare tools leave out."""
    case = device_nms_case
    found, left = device_nms(case.boxes, case.scores, case.options)
    check_placement(left, allowed=[])
    wanted = batch_nms_reference(case.boxes.astype("float16"), case.scores, case.options)
    check_device_nms(found, wanted, case, operators.device_nms)
