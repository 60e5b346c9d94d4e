"""Faults of the books: a test that is lost, left out or came in, and figures that are not there."""

from __future__ import annotations

from tests.bite.gate_rules import Seeds, alarms, with_npu
from tests.bite.project import Project, run
from tests.test_closed_books import CPU, DEVICE, FIGURE, FIXTURE

SEEDS = Seeds()
NOTHING_BAD = (0, 5)  # 5: all that there is was deselected, and it is in the list
GATE = ("--require", "npu")
MORE = '@pytest.mark.npu\n@pytest.mark.clause("o.x")\ndef test_x(): pass\n'


def closed(project: Project, body: str = CPU + DEVICE) -> Project:
    """The project on a machine with an NPU, with each of its tests entered in the list."""
    with_npu(project).chapter(body)
    assert run(project, "--collect-only", closed=False).code in NOTHING_BAD
    return project


def clean(project: Project):
    """The clean twin of this layer: everything planned ran and held."""
    result = run(closed(project), *GATE)
    assert result.verdict["word"] == "CONFORMANT"
    return alarms(result)


def changed(project: Project, body: str, *words: str):
    """The gate on books that were closed before the chapter became another."""
    closed(project).chapter(body)
    return alarms(run(project, *GATE, *words))


LOST = "did not come to run"


@SEEDS.fault("vanished_test", "a case was removed", "gate.must_run", LOST, "CI2", quick=True)
def vanished_test(project):
    return changed(project, CPU + DEVICE.replace(', "dog"', ""))


@SEEDS.fault(
    "shadowed_test",
    "two tests of a file have one name, and Python keeps one",
    "gate.must_run",
    LOST,
    "CI2",
)
def shadowed_test(project):
    return changed(
        project,
        CPU
        + DEVICE
        + CPU.replace("outputs.dtype", "outputs.range").replace("test_cpu", "test_device"),
    )


@SEEDS.fault(
    "no_cases_left",
    "the list of cases is empty, and pytest makes a skip of it",
    "gate.usage",
    "test_device[NOTSET]: carries the marker skip",
    "CI2",
)
def no_cases_left(project):
    return changed(project, CPU + DEVICE.replace('["bus", "dog"]', "[]"))


@SEEDS.fault(
    "unplanned_test", "a test came in that nobody entered", "gate.must_run", "ran unplanned"
)
def unplanned_test(project):
    return changed(project, CPU + DEVICE.replace('"dog"', '"dog", "cat"'))


@SEEDS.fault("renamed_clause", "a clause has another name", "gate.must_run", LOST, "CI2")
def renamed_clause(project):
    return changed(project, CPU + DEVICE.replace("outputs.range", "outputs.ranges"))


@SEEDS.fault("other_lane", "a device test lost its marker", "gate.must_run", LOST, "CI2", "CI4")
def other_lane(project):
    return changed(project, CPU + DEVICE.replace("@pytest.mark.npu\n", ""))


@SEEDS.fault("zero_collected", "no file holds a test any more", "gate.must_run", LOST, "CI2")
def zero_collected(project):
    return changed(project, "")


@SEEDS.fault(
    "file_does_not_import",
    "a chapter cannot be imported",
    "gate.collected",
    "conformance/test_more.py",
    "CI2",
)
def file_does_not_import(project):
    closed(project).chapter("import nowhere\n", name="more")
    return alarms(run(project, *GATE))


def listed(project: Project, text: str | None):
    path = closed(project).root / "conformance" / "must_run.toml"
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    return alarms(run(project, *GATE))


@SEEDS.fault(
    "empty_list", "the must-run list is empty", "gate.must_run", "nothing would have to run", "CI2"
)
def empty_list(project):
    return listed(project, "# nothing\n")


@SEEDS.fault(
    "no_list", "there is no must-run list", "gate.must_run", "there is no must-run list", "CI2"
)
def no_list(project):
    return listed(project, None)


@SEEDS.fault(
    "list_cut_short", "the must-run list is cut short", "gate.must_run", "is not valid TOML", "CI2"
)
def list_cut_short(project):
    return listed(project, "[npu\n")


def selected(project: Project, *words: str, **how: object):
    return alarms(run(closed(project), *GATE, *words, **how))


DESELECTED = "outputs.range deselected"


@SEEDS.fault(
    "deselected", "a test is deselected by -k", "gate.require", DESELECTED, "CI2", quick=True
)
def deselected(project):
    return selected(project, "-k", "bus")


@SEEDS.fault(
    "deselected_by_environment", "PYTEST_ADDOPTS holds a -k", "gate.require", DESELECTED, "CI2"
)
def deselected_by_environment(project):
    return selected(project, env={"PYTEST_ADDOPTS": "-k bus"})


@SEEDS.fault("ignored_file", "a chapter is ignored", "gate.must_run", LOST, "CI2")
def ignored_file(project):
    project.chapter(MORE, name="more")
    return selected(project, "--ignore=conformance/test_more.py")


@SEEDS.fault(
    "part_of_the_house", "only one chapter is named", "gate.require", "was selected", "CI2"
)
def part_of_the_house(project):
    project.chapter(MORE, name="more")
    return selected(project, "conformance/test_more.py")


@SEEDS.fault(
    "removed_by_a_plugin",
    "a plugin removes tests without a word",
    "gate.require",
    "outputs.range not run",
    "CI2",
)
def removed_by_a_plugin(project):
    project.write("conftest.py", "def pytest_collection_modifyitems(items): del items[2:]\n")
    return selected(project)


@SEEDS.fault(
    "part_switched_off",
    "the plugin of waivers is blocked",
    "gate.usage",
    "is a part of the gate",
    "CI14",
)
def part_switched_off(project):
    return selected(project, "-p", "no:plugins.waivers")


def measured(project: Project, body: str):
    project.write("conftest.py", FIXTURE)
    closed(project, CPU + DEVICE + FIGURE.replace("BODY", body))
    return alarms(run(project, *GATE))


@SEEDS.twin("figure", "a clause that records its figure")
def figure(project):
    return measured(project, 'figure("mAP", 38.0)')


@SEEDS.fault(
    "figure_missing",
    "a clause passes without its figure",
    "accuracy.map",
    "passed without a figure",
    "CI7",
    quick=True,
)
def figure_missing(project):
    return measured(project, "pass")


@SEEDS.fault("figure_nan", "a clause passes with NaN", "accuracy.map", "is no measurement", "CI7")
def figure_nan(project):
    return measured(project, 'figure("mAP", float("nan"))')


@SEEDS.fault(
    "figure_none", "a clause passes with no number", "accuracy.map", "is no measurement", "CI7"
)
def figure_none(project):
    return measured(project, 'figure("mAP", None)')


@SEEDS.fault(
    "figures_stopped",
    "a clause records no figures any more",
    "gate.must_run",
    "records no figures any more",
    "CI7",
)
def figures_stopped(project):
    measured(project, 'figure("mAP", 38.0)')
    project.chapter(CPU + DEVICE + FIGURE.replace("BODY", "pass").replace("figure", ""))
    return alarms(run(project, *GATE))
