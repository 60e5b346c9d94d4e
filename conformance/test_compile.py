"""The compilation: nothing fell back silently, and the module behaves like any other."""

import pytest

from plugins.checks.compiled import check_options, check_placement, check_refused
from plugins.checks.export import check_loaded
from plugins.checks.outputs import check_same

pytestmark = pytest.mark.npu


@pytest.mark.clause("compile.loads")
def test_the_file_loads_where_it_is_compiled(loading):
    check_loaded(loading)


@pytest.mark.clause("compile.placement")
def test_nothing_falls_back_to_torch(compiled_at, contract, figure):
    """On a real NPU at every declared size, on the emulator at the smallest."""
    figure("unknown options", max(len(info["options_not_known"]) for info in compiled_at.values()))
    for side, info in compiled_at.items():
        check_placement(info["left_in_torch"], contract.compile.left_in_torch, side=side)


@pytest.mark.clause("compile.options")
def test_the_compiler_is_told_what_the_contract_says(compiled_at, contract):
    """A device that is asked for another precision, chip or range of shapes gives other numbers.

    At the same sizes as compile.placement.
    """
    for side, info in compiled_at.items():
        check_options(info["options"], contract.compile.options(), contract.input.shape(side))


@pytest.mark.clause("compile.saved")
def test_a_saved_module_gives_the_same_bits_in_a_fresh_process(compiled_case, saved_run):
    wanted = compiled_case.subject.runs.outputs("aie", compiled_case.picture)
    check_same(saved_run, wanted, what="saving and loading changes the result")


@pytest.mark.clause("compile.repeatable")
def test_the_same_input_gives_the_same_bits(compiled_case):
    subject, picture = compiled_case.subject, compiled_case.picture
    again = subject.runs.again("aie", picture)
    check_same(again, subject.runs.outputs("aie", picture), what="two runs of one input differ")


@pytest.mark.clause("compile.contiguity")
def test_a_strided_input_is_the_same_input(compiled_case):
    subject, picture = compiled_case.subject, compiled_case.picture
    strided = subject.runs.again("aie", picture, strided=True)
    check_same(
        strided, subject.runs.outputs("aie", picture), what="the input's strides change the result"
    )


@pytest.mark.clause("compile.lifetime")
def test_outputs_that_are_held_do_not_change(compiled_case):
    subject, picture = compiled_case.subject, compiled_case.picture
    held, early = subject.runs.held(picture)
    check_same(early, subject.runs.outputs("aie", picture), what="two runs of one input differ")
    check_same(held, early, what="outputs change while later images run")


@pytest.mark.clause("compile.refusals")
def test_a_wrong_shape_is_refused_and_harms_nothing(compiled_case):
    subject, picture = compiled_case.subject, compiled_case.picture
    check_refused(subject.runs.refusal("aie", picture), "an input of another size")
    again = subject.runs.again("aie", picture)
    check_same(
        again, subject.runs.outputs("aie", picture), what="a refused input changes the next result"
    )
