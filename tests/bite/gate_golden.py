"""Faults of what is compared with: thresholds, golden data, baselines."""

from __future__ import annotations

import re
from pathlib import Path

from plugins import contracts
from plugins.contracts import FOLDER
from plugins.failure import ContractError, LabError
from plugins.store import Producer, Store
from tests.bite.gate_rules import Seeds, alarms, refusal
from tests.bite.project import Project, run
from tests.test_updating import SUITE

SEEDS = Seeds()
SHAPES = FOLDER / "retinanet_shapes.toml"
CARD = Producer("fp32 training", "NVIDIA A100", "x86_64 Linux", lane="a100")
NAME = "retinanet_r50_fpn_3x/card/1x1.toml"
VALUE = "golden/shapes/value.toml"


def contract(project: Project, pattern: str, replacement: str):
    """Load a contract in which one line is another."""
    text = SHAPES.read_text(encoding="utf-8")
    text, found = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert found == 1
    path = project.write("retinanet_shapes.toml", text)
    return refusal(lambda: contracts.load(path), "gate.contract", ContractError)


@SEEDS.twin("contracts", "a contract with another tolerance that can be")
def contracts_load(project):
    return contract(project, "^box_px = .*$", "box_px = 0.5")


@SEEDS.fault(
    "threshold_nan",
    "a tolerance is NaN",
    "gate.contract",
    "tolerance.reference.box_px: must be",
    "CI3",
    quick=True,
)
def threshold_nan(project):
    return contract(project, "^box_px = .*$", "box_px = nan")


@SEEDS.fault(
    "threshold_huge",
    "a tolerance lets everything pass",
    "gate.contract",
    "tolerance.reference.box_px: must be",
    "CI3",
    "PR8",
)
def threshold_huge(project):
    return contract(project, "^box_px = .*$", "box_px = 256.0")


@SEEDS.fault(
    "threshold_negative",
    "a floor is below zero",
    "gate.contract",
    "accuracy[0].floor: must be",
    "CI3",
)
def threshold_negative(project):
    return contract(project, "^floor = .*$", "floor = -1.0")


@SEEDS.fault(
    "threshold_missing", "a floor is not there", "gate.contract", "accuracy[0].floor", "CI3", "CI7"
)
def threshold_missing(project):
    return contract(project, "^floor = .*$", "")


@SEEDS.fault(
    "threshold_misspelt",
    "a tolerance has a name that nobody reads",
    "gate.contract",
    "box_pixels",
    "CI3",
)
def threshold_misspelt(project):
    return contract(project, "^box_px = ", "box_pixels = ")


@SEEDS.fault(
    "threshold_in_words",
    "a tolerance is written in words",
    "gate.contract",
    "tolerance.reference.box_px",
    "CI3",
    "CI13",
)
def threshold_in_words(project):
    return contract(project, "^box_px = .*$", 'box_px = "0,5"')


def recorded(project: Project) -> Project:
    """The project with golden data that was accepted in a run of its own."""
    project.chapter(SUITE)
    run(project, "--update-golden", "first record", closed=False)
    return project


def judged(project: Project, *words: str, **how: object):
    return alarms(run(project, *words, closed=False, **how))


@SEEDS.twin("golden", "golden data that was accepted")
def golden(project):
    return judged(recorded(project))


@SEEDS.fault(
    "golden_empty",
    "the golden folder is empty",
    "numerics.value",
    "there is no such golden file",
    "ST5",
    quick=True,
)
def golden_empty(project):
    project.chapter(SUITE)
    return judged(project)


@SEEDS.fault(
    "golden_placeholder",
    "a pointer stands where golden data should",
    "numerics.value",
    "has another sha256",
    "ST5",
)
def golden_placeholder(project):
    recorded(project).write(VALUE, "version https://git-lfs.example/spec/v1\n")
    return judged(project)


@SEEDS.fault(
    "golden_edited",
    "a golden number was edited by hand",
    "numerics.value",
    "has another sha256",
    "MS13",
)
def golden_edited(project):
    path = recorded(project).root / VALUE
    path.write_text(path.read_text(encoding="utf-8").replace("1.0", "2.0"), encoding="utf-8")
    project.chapter(SUITE.replace("VALUE = 1.0", "VALUE = 2.0"))
    return judged(project)


@SEEDS.fault(
    "golden_unaccepted",
    "golden data came in by copying a file",
    "numerics.value",
    "nobody accepted it",
    "ST5",
)
def golden_unaccepted(project):
    recorded(project)
    project.write("golden/manifest.toml", "")
    return judged(project)


@SEEDS.fault(
    "product_moved", "the product gives another value than golden", "numerics.value", "moved"
)
def product_moved(project):
    recorded(project).chapter(SUITE.replace("VALUE = 1.0", "VALUE = 2.0"))
    return judged(project)


@SEEDS.fault(
    "rewritten_in_ci",
    "golden data is rewritten under CI",
    "gate.usage",
    "refused, because CI is set",
    "MS13",
)
def rewritten_in_ci(project):
    project.chapter(SUITE)
    return judged(project, "--update-golden", "why not", env={"CI": "true"})


@SEEDS.fault(
    "rewriting_left_on",
    "a job rewrites what it should judge",
    "gate.verdict",
    "golden rewritten",
    "MS13",
    "CI11",
)
def rewriting_left_on(project):
    return judged(recorded(project), "--update-golden", "every night")


def accepted(project: Project, values, producer: Producer = CARD, name: str = NAME):
    """Renew a baseline by each of some rates."""

    def renew() -> None:
        for rate in values:
            store = Store(Path(project.root, "golden"), reason="newer driver")
            store.accept(name, {"rate": rate}, producer=producer, allowed_drift=0.05)

    return refusal(renew, "gate.golden", LabError)


@SEEDS.twin("baseline", "a baseline that is renewed within its drift")
def baseline(project):
    return accepted(project, (20.0, 19.6, 19.2))


@SEEDS.fault(
    "baseline_ratchets",
    "a baseline gives way by 2 % at a time",
    "gate.golden",
    "rate has moved by -6 %",
    "MS13",
)
def baseline_ratchets(project):
    return accepted(project, (20.0, 19.6, 19.2, 18.8))


@SEEDS.fault("baseline_nan", "a baseline is renewed with NaN", "gate.golden", "rate is nan", "CI3")
def baseline_nan(project):
    return accepted(project, (20.0, float("nan")))


@SEEDS.fault(
    "first_baseline_nan",
    "the first baseline of a machine is NaN",
    "gate.golden",
    "no number",
    "CI3",
    "ST5",
)
def first_baseline_nan(project):
    return accepted(project, (float("nan"),))


@SEEDS.fault(
    "baseline_of_the_emulator",
    "the emulator writes the NPU's baseline",
    "gate.golden",
    "cannot write a baseline",
    "CI4",
)
def baseline_of_the_emulator(project):
    emulated = Producer("aie", "emulated 310P3 (torch_aie emulator)", "class", lane="npu")
    return accepted(project, (20.0,), emulated)


@SEEDS.fault(
    "own_referee",
    "the product writes the truth it is judged by",
    "gate.golden",
    "cannot write its own truth",
    "ST5",
)
def own_referee(project):
    return accepted(project, (20.0,), Producer("aie", "cpu", "class"), "shapes/value.toml")
