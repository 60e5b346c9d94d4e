"""The canary: a job that cannot turn red is found out, whatever swallowed its exit code."""

from __future__ import annotations

import sys

import pytest

from plugins import canary

pytest_plugins = ["pytester", "tests.lab"]

JUDGE = """
@pytest.mark.clause("export.loads")
def test_loads(request):
    from plugins import options
    if b"no TorchScript" in options.get(request.config, "model_ts").read_bytes():
        raise CheckFailure("the file does not load", expected="a model", actual="none")
"""


@pytest.fixture
def gate(lab, monkeypatch):
    """The line that judges a model file in the lab."""
    lab.chapter(JUDGE)
    monkeypatch.chdir(lab.root)
    monkeypatch.setenv("PYTHONPATH", str(lab.house))
    names = ("options", "capability", "clauses", "waivers", "updating", "benchmark", "verdict")
    loaded = " ".join(f"-p plugins.{name}" for name in names)
    return f"{sys.executable} -m pytest conformance {loaded} --model-ts {{}}"


@pytest.mark.parametrize("line", ["{gate}", "set -o pipefail; {gate} | tee log"])
def test_a_job_that_turns_red_passes(gate, line):
    assert canary.sing(line.replace("{gate}", gate)) == ""


@pytest.mark.parametrize("line", ["{gate} | tee log", "{gate} || true", "{gate}; echo done"])
def test_a_job_that_swallows_the_exit_code_is_found_out(gate, line):
    assert canary.sing(line.replace("{gate}", gate)).startswith("the job stayed green")


def test_a_broken_model_is_on_no_page_of_the_job(gate, lab, monkeypatch):
    page = lab.write("page.md", "")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert canary.sing(f'echo "on ${{GITHUB_STEP_SUMMARY:-none}}" > said; {gate}') == ""
    assert (lab.root / "said").read_text() == "on none\n"
    assert canary.sing(f"{gate} -p plugins.report") == ""
    assert page.read_text() == ""


def test_a_lab_that_keeps_its_runs_elsewhere_has_a_canary_too(gate, lab):
    settings = (lab.root / "pytest.ini").read_text(encoding="utf-8")
    lab.write("pytest.ini", f"{settings}\nartifacts = elsewhere\n")
    assert canary.sing(gate) == ""
    assert not (lab.root / "elsewhere").exists()


def test_red_for_another_reason_does_not_count(gate, lab):
    assert "without judging the model" in canary.sing("exit 3 # {}")
    lab.chapter('@pytest.mark.clause("o.x")\ndef test_x(): raise LabError("no disk")\n')
    assert "called a broken model INCOMPLETE" in canary.sing(gate)
