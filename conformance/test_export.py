"""The export: a TorchScript file that a clean process loads, holding this model and no other."""

import pytest

from plugins.checks import export as checks
from plugins.checks.agreement import check_against_oracle
from plugins.checks.detections import detections_of


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.loads")
def test_the_file_loads_where_it_will_run(loading):
    checks.check_loaded(loading)


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.recipe")
def test_the_graph_suppresses_as_the_recipe_says(census, contract):
    checks.check_recipe(census, contract.recipe, levels=len(contract.architecture.sizes))


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.constants")
def test_no_tensor_of_the_file_is_broken(census):
    checks.check_constants(census)


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.device")
def test_no_device_but_the_cpu_is_written_into_the_graph(census):
    checks.check_devices(census)


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.weights")
def test_the_file_holds_whole_weights(relation, known_weights, figure):
    if not relation["refusal"]:
        same = relation["tensors"] - len(relation["differing"])
        figure("tensors as declared", same, f"of {relation['tensors']}")
    checks.check_weights(relation, known_weights.untrained)


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.origin")
@pytest.mark.requires("weights")
def test_the_weights_file_is_the_published_one_and_trained(given_weights, known_weights, figure):
    """Its hash and its first layer are recorded; another model's file is called by its name."""
    for name in ("md5", "sha256", "first_layer_mean", "first_layer_std"):
        figure(name.replace("_", " "), given_weights[name])
    checks.check_trained(given_weights, known_weights.untrained)
    checks.check_origin(given_weights, known_weights.published, given_weights["subject"])


@pytest.mark.npu
@pytest.mark.deviceless("no device")
@pytest.mark.clause("export.size")
def test_nothing_depends_on_the_size_that_was_traced(at_sizes, contract):
    checks.check_sizes(at_sizes, contract.tolerance["reference"])


@pytest.mark.clause("export.repeatable")
@pytest.mark.parametrize("trace_with", ["noise", "nan"])
def test_what_is_traced_does_not_matter(own_export, trace_with):
    """The published script traces uninitialised memory."""
    checks.check_same_graph(own_export(trace_with), own_export("zeros"))


@pytest.mark.clause("export.detectron2")
@pytest.mark.requires("detectron2")
def test_detectron2s_own_model_exports_to_the_same_detections(twins, figure):
    """Its config, its classes and its box decoding, rewritten at run time, on one photograph."""
    figure("revision", twins.revision)
    figure("bits of our rebuilt model", "same" if twins.same_bits else "others")
    found = detections_of(twins.detectron2)
    agreement = check_against_oracle(found, twins.oracle, twins.tolerance)
    figure("matched", agreement.matched, f"of {agreement.expected}")
