"""Faults between the gate and pytest: absent devices, second tries, swallowed outcomes, lost processes."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bite.gate_books import GATE, closed
from tests.bite.gate_rules import Seeds, alarms, with_npu
from tests.bite.project import HOUSE, Project, Run, run, words
from tests.test_closed_books import CPU, DEVICE, SECOND_TRY

SEEDS = Seeds()
BAD = """
@pytest.mark.npu
@pytest.mark.clause("outputs.layout")
def test_layout(): raise CheckFailure("swapped", expected="(100, 4)", actual="(4, 100)")
"""


def ends(project: Project, statement: str, **how: object):
    """The gate on a device test that does something of its own."""
    body = DEVICE.replace("(case): pass", f"(case, request):\n    {statement}")
    return alarms(run(closed(project, CPU + body), *GATE, **how))


@SEEDS.fault("broken_product", "a clause fails", "outputs.layout", "swapped", "CI9")
def broken_product(project):
    return alarms(run(closed(project, CPU + BAD), *GATE))


@SEEDS.fault(
    "absent_device",
    "the lane's device is not there",
    "gate.usage",
    "'npu-smi info' does not list",
    "CI4",
    quick=True,
)
def absent_device(project):
    project.chapter(CPU + DEVICE)
    return alarms(run(project, *GATE, closed=False))


@SEEDS.fault(
    "other_chip",
    "another chip stands in for the 310P",
    "gate.usage",
    "'npu-smi info' does not list",
    "CI4",
    "RT2",
)
def other_chip(project):
    with_npu(project).chapter(CPU + DEVICE)
    project.tool("npu-smi", "| 0     910B3           | OK |")
    return alarms(run(project, *GATE, closed=False))


@SEEDS.fault(
    "emulator_for_device",
    "the emulator lies where torch_aie should",
    "gate.usage",
    "torch_aie (interpreter_infer)",
    "CI4",
)
def emulator_for_device(project):
    with_npu(project).chapter(CPU + DEVICE)
    project.write("site/torch_aie/__init__.py", "EMULATED = True\n")
    return alarms(run(project, *GATE, closed=False))


@SEEDS.fault(
    "emulated_result",
    "a device test fell back to the emulator",
    "gate.require",
    "not judged on it: outputs.range passed",
    "CI4",
    "RT1",
)
def emulated_result(project):
    body = DEVICE.replace(
        "(case): pass", "(case, record_property): record_property('runtime', 'emulated')"
    )
    return alarms(run(closed(project, CPU + body), *GATE))


@SEEDS.fault(
    "skip_in_a_test",
    "a test skips itself although its device is there",
    "gate.require",
    "outputs.range skipped",
    "CI4",
)
def skip_in_a_test(project):
    return ends(project, 'case == "bus" or pytest.skip("no device")')


@SEEDS.fault(
    "hidden_failure",
    "a test calls itself expected to fail",
    "outputs.range",
    "let us not look",
    "CI5",
)
def hidden_failure(project):
    return ends(project, 'pytest.xfail("let us not look")')


@SEEDS.fault(
    "swallowed_exception",
    "a test catches what its check raises",
    "",
    "",
    "CI9",
    missed="what a test does not raise nobody sees; ruff's E722 in `make lint` and a review do",
)
def swallowed_exception(project):
    body = BAD.replace("raise", "\n    try: raise").rstrip() + "\n    except: pass\n"
    return alarms(run(closed(project, CPU + body), *GATE))


@SEEDS.fault("late_error", "a fixture breaks after its test", "outputs.range", "the worker hung")
def late_error(project):
    project.write(
        "conftest.py",
        "import pytest\n@pytest.fixture(autouse=True)\ndef late():\n    yield\n"
        "    raise OSError('the worker hung')\n",
    )
    return alarms(run(closed(project), *GATE))


@SEEDS.fault("second_try", "a test passes at its second try", "gate.verdict", "needed a second try")
def second_try(project):
    project.write("conftest.py", SECOND_TRY)
    return alarms(run(closed(project), *GATE))


@SEEDS.fault("exits_with_zero", "a test calls sys.exit(0)", "outputs.range", "0", "CI1")
def exits_with_zero(project):
    return ends(project, "import sys; sys.exit(0)")


@SEEDS.fault(
    "ends_the_session",
    "a test ends the session with exit code 0",
    "gate.require",
    "not run",
    "CI1",
    "CI2",
)
def ends_the_session(project):
    return ends(project, 'case == "bus" or pytest.exit("done", returncode=0)')


@SEEDS.fault(
    "ends_the_process",
    "a library ends the process with exit code 0",
    "gate.exit",
    "",
    "CI1",
    missed="whoever ends the process with 0 leaves no certificate, and the CI pages verify it",
)
def ends_the_process(project):
    return ends(project, "import os; os._exit(0)")


@SEEDS.fault(
    "optimised",
    "assertions are optimised away by python -O",
    "gate.exit",
    "are you using python -O",
    "CI9",
)
def optimised(project):
    closed(project, CPU + BAD)
    return alarms(child(project, *GATE, flags=("-O",)))


def child(project: Project, *arguments: str, flags: tuple[str, ...] = ()) -> Run:
    """A session in a Python of its own."""
    before = set((project.root / ".artifacts/runs").glob("*-*"))
    paths = [str(HOUSE), str(project.root / "site")]
    done = subprocess.run(
        [sys.executable, *flags, "-m", "pytest", *words(*arguments, closed=True)],
        cwd=project.root,
        env={**os.environ, "PATH": project.path, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    new = set((project.root / ".artifacts/runs").glob("*-*")) - before
    found = any((folder / "verdict.json").is_file() for folder in new)
    return Run(done.returncode, done.stdout + done.stderr, project.verdict() if found else None)


@SEEDS.fault(
    "dead_process",
    "a parallel worker dies with its tests",
    "gate.must_run",
    "did not come to run",
    "CI2",
)
def dead_process(project):
    closed(project).chapter(CPU.replace("pass", "import os; os._exit(1)") + DEVICE)
    return alarms(child(project, *GATE, "-n", "1", "--max-worker-restart", "0"))
