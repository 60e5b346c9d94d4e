"""Faults of the certificate: edited, swapped, cut short, or of another build. Hashes are mended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from plugins import certificate
from tests.bite.fault import Alarm
from tests.bite.gate_rules import Seeds
from tests.bite.project import Project, run
from tests.certificates import CHAPTER, edit, faster, lose, move, redden, swap

SEEDS = Seeds()
RULE = "gate.certificate"


def sealed(project: Project) -> Path:
    """The certificate of a run on a model file, as it was handed over."""
    model = project.write("model.ts", "weights and graph")
    project.chapter(CHAPTER.replace("MODEL", repr(certificate.sha256(model))))
    assert run(project, "--benchmark", closed=False).code == 0
    latest = project.root / ".artifacts/runs/latest/certificate"
    return Path(shutil.copytree(latest, project.root / "handed over"))


def verified(folder: Path, **how: object) -> list[Alarm]:
    return [Alarm(RULE, "not valid", fault) for fault in certificate.verify(folder, **how)]


def edited(project: Project, change: Callable, name: str = "verdict.json") -> list[Alarm]:
    """What is found after a careful hand changed a file, and the manifest with it."""
    folder = sealed(project)
    edit(folder, change, name)
    return verified(folder)


@SEEDS.twin("certificate", "a certificate as it was written, with the model that was judged")
def good_certificate(project):
    folder = sealed(project)
    chain = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["chain"]
    return verified(folder, chain=chain, files=[project.root / "model.ts"])


@SEEDS.fault(
    "number_edited",
    "a figure is edited in the verdict",
    RULE,
    "verdict.json: was changed after the run",
    "CI15",
    quick=True,
)
def number_edited(project):
    path = sealed(project) / "verdict.json"
    path.write_text(path.read_text(encoding="utf-8").replace("20.0", "21.0"), encoding="utf-8")
    return verified(path.parent)


@SEEDS.fault(
    "number_edited_with_care",
    "a figure is edited, and all hashes above it",
    RULE,
    "its 4 raw samples give 20",
    "CI15",
    "TR15",
)
def number_edited_with_care(project):
    return edited(project, faster)


@SEEDS.fault(
    "word_of_other_rules",
    "the word was spoken by other rules than ours",
    RULE,
    "word does not follow from its tests",
    "CI14",
    "CI15",
)
def word_of_other_rules(project):
    return edited(project, lambda verdict: verdict.update(word="CONFORMANT"))


@SEEDS.fault(
    "red_run_with_zero",
    "a red run says that it ended with 0",
    RULE,
    "exit_code is 0, and the run was red",
    "CI1",
)
def red_run_with_zero(project):
    return edited(project, redden)


@SEEDS.fault(
    "artifact_swapped",
    "the model file was swapped in the middle of the run",
    RULE,
    "model of retinanet_shapes: changed during the run",
    "ST2",
    "CI15",
)
def artifact_swapped(project):
    return edited(project, swap)


@SEEDS.fault(
    "case_lost",
    "a case is cut out of tests, rows and counts",
    RULE,
    "does not say that 1 test (export.loads (export, dog)) did not come to run",
    "CI15",
    "CI2",
)
def case_lost(project):
    return edited(project, lose)


@SEEDS.fault(
    "other_device",
    "an emulated run is said to be the device's",
    RULE,
    "and the lane is on Ascend310P3",
    "CI15",
    "CI4",
)
def other_device(project):
    return edited(project, move)


@SEEDS.fault(
    "other_versions",
    "another version is written into the environment",
    RULE,
    "the environment was edited",
    "CI15",
    "EX10",
    "RT9",
)
def other_versions(project):
    def newer(verdict):
        verdict["environment"]["packages"]["numpy"] = "0.1"

    return edited(project, newer)


@SEEDS.fault(
    "samples_of_another_machine",
    "the raw samples are another machine's",
    RULE,
    "samples.json: was measured on A100",
    "CI15",
    "ST4",
)
def samples_of_another_machine(project):
    def elsewhere(samples):
        samples["machine_info"]["machine_class"] = "A100; A100; 64 x x86"

    return edited(project, elsewhere, "samples.json")


@SEEDS.fault(
    "samples_gone", "a figure has no raw samples", RULE, "has no raw samples", "CI15", "CI7"
)
def samples_gone(project):
    return edited(project, lambda samples: samples["benchmarks"].clear(), "samples.json")


@SEEDS.fault("cut_short", "a file of the certificate is cut short", RULE, "is cut short", "CI15")
def cut_short(project):
    path = sealed(project) / "samples.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return verified(path.parent)


@SEEDS.fault(
    "books_gone", "the must-run list is not in it", RULE, "must_run.toml: is missing", "CI15"
)
def books_gone(project):
    folder = sealed(project)
    (folder / "must_run.toml").unlink()
    certificate.seal(folder)
    return verified(folder)


@SEEDS.fault(
    "other_build",
    "the certificate is shown for another build",
    RULE,
    "is not what was judged",
    "CI15",
    "ST2",
)
def other_build(project):
    folder, other = sealed(project), project.write("newer.ts", "other weights")
    return verified(folder, files=[other])


@SEEDS.fault(
    "old_build",
    "the certificate is shown for the older build that the judged one was compared with",
    RULE,
    "is not what was judged; the run knows it as: what retinanet_shapes is compared with",
    "CI15",
    "ST2",
)
def old_build(project):
    folder, old = sealed(project), project.write("older.ts", "older weights")
    known = {"what retinanet_shapes is compared with": certificate.sha256(old)}
    edit(folder, lambda verdict: verdict["tests"][0]["hashes"].update(known))
    return verified(folder, files=[old])


@SEEDS.fault(
    "other_run",
    "the certificate of another run lies in its place",
    RULE,
    "is of another run",
    "CI15",
    "ST1",
    "ST4",
)
def other_run(project):
    return verified(sealed(project), chain="ab" * 32)
