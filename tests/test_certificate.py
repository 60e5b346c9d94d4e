"""The certificate: whatever is edited, swapped, missing or of another machine is found and named."""

from __future__ import annotations

import json
import shutil

import pytest

from plugins import certificate
from tests.certificates import CHAPTER, edit, faster, lose, move, redden, swap

pytest_plugins = ["pytester", "tests.lab"]


def digest_of(path):
    return certificate.sha256(path)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Where the certificate of one run is kept; `folder` hands out copies of it."""
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture
def folder(sealed, lab, tmp_path):
    """The certificate of a run of the lab, verified once as it is."""
    kept = sealed / "certificate"
    if not kept.is_dir():
        model = lab.write("model.ts", "weights and graph")
        lab.chapter(CHAPTER.replace("MODEL", repr(digest_of(model))))
        result = lab.run("--benchmark")
        result.stdout.fnmatch_lines(["certificate: .artifacts/runs/*/certificate, chain *"])
        shutil.copytree(lab.root / ".artifacts/runs/latest/certificate", kept)
        assert certificate.verify(kept) == []
    return shutil.copytree(kept, tmp_path / "copy")


def test_a_run_leaves_one_and_it_holds(folder):
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names >= {"manifest.json", "verdict.json", "junit.xml", "samples.json", "must_run.toml"}
    assert certificate.verify(folder) == []


def test_an_edited_number_is_found(folder):
    text = (folder / "verdict.json").read_text()
    (folder / "verdict.json").write_text(text.replace("20.0", "21.0"))
    faults = certificate.verify(folder)
    assert faults[0] == (
        "verdict.json: was changed after the run; its sha256 is not the one in manifest.json"
    )


@pytest.mark.parametrize("name", ["verdict.json", "samples.json", "junit.xml", "must_run.toml"])
def test_a_file_that_is_cut_short_is_found(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert f"{name}: is cut short: {len(content) // 2} of {len(content)} bytes" in (
        certificate.verify(folder)
    )


@pytest.mark.parametrize("name", ["verdict.json", "junit.xml", "must_run.toml"])
def test_a_file_that_is_missing_is_found_even_if_the_manifest_agrees(folder, name):
    (folder / name).unlink()
    assert f"{name}: is missing from the certificate" in certificate.verify(folder)
    if name != "verdict.json":
        certificate.seal(folder)
        assert f"{name}: is missing from the certificate" in certificate.verify(folder)


def test_a_file_that_was_added_is_found(folder):
    (folder / "extra.log").write_text("all well")
    assert certificate.verify(folder) == [
        "extra.log: is in no line of manifest.json; it was added later"
    ]


def test_an_edited_manifest_is_found(folder):
    edit(folder, lambda m: m["files"].pop("junit.xml"), "manifest.json", seal=False)
    faults = certificate.verify(folder)
    assert (
        faults[0] == "manifest.json: was edited; its chain value does not follow from its content"
    )


def test_a_certificate_of_another_run_is_told_by_its_chain(folder):
    chain = edit(folder, lambda v: v.update(suite="another"))
    assert certificate.verify(folder, chain=chain) == []
    (fault,) = certificate.verify(folder, chain="ab" * 32)
    assert fault == f"manifest.json: is of another run: its chain is {chain}, not {'ab' * 32}"


# What a careful hand would do: change something and mend every hash above it.
def test_a_figure_that_its_raw_samples_do_not_give_is_found(folder):
    edit(folder, faster)
    (fault,) = certificate.verify(folder)
    assert fault == (
        "throughput.fps: retinanet_shapes: compute is 21, and its 4 raw samples give 20"
    )


def test_a_figure_without_its_samples_is_found(folder):
    edit(folder, lambda s: s["benchmarks"].clear(), "samples.json")
    (fault,) = certificate.verify(folder)
    assert fault.endswith("compute has no raw samples in samples.json")


def test_a_row_that_its_figures_do_not_give_is_found(folder):
    edit(folder, lambda v: v["rows"][0].update(measured="99 img/s compute"))
    (fault,) = certificate.verify(folder)
    assert fault.startswith("verdict.json: rows does not follow from its tests: measured of ")


@pytest.mark.parametrize(
    ("field", "value", "how"),
    [
        ("word", "CONFORMANT", "it is 'CONFORMANT', and 'INCOMPLETE' follows"),
        ("headline", "CONFORMANT", "it is 'CONFORMANT', and 'INCOMPLETE (npu lane emulated; "),
        ("reasons", [], "0 are there, 2 follow"),
        ("counts", {"passed": 4}, "passed is 4, and 3 follows"),
    ],
)
def test_a_word_that_the_tests_do_not_give_is_found(folder, field, value, how):
    edit(folder, lambda v: v.update({field: value}))
    (fault,) = certificate.verify(folder)
    assert fault.startswith(f"verdict.json: {field} does not follow from its tests: {how}")


def test_an_exit_code_that_the_tests_do_not_give_is_found(folder):
    edit(folder, redden)
    assert certificate.verify(folder) == ["verdict.json: exit_code is 0, and the run was red"]


def test_a_missing_case_is_found_by_the_must_run_list(folder):
    edit(folder, lose)
    (fault,) = certificate.verify(folder)
    assert "does not say that 1 test (export.loads (export, dog)) did not come to run" in fault


def test_an_outcome_that_junit_does_not_know_is_found(folder):
    text = (folder / "junit.xml").read_text()
    (folder / "junit.xml").write_text(text.replace("test_loads[dog]", "test_loads[cat]"))
    certificate.seal(folder)
    (fault,) = certificate.verify(folder)
    assert fault == (
        "junit.xml: conformance/test_outputs.py::test_loads[dog] is missing, in verdict.json passed"
    )


def test_another_device_is_found(folder):
    edit(folder, move)
    faults = certificate.verify(folder)
    assert faults[0] == (
        "throughput.fps: retinanet_shapes: ran on emulated 310P3 (torch_aie emulator), and the lane"
        " is on Ascend310P3 (torch_aie 6.3.rc2)"
    )


def test_a_lane_that_was_made_deviceless_is_found(folder):
    def nowhere(verdict):
        for test in verdict["tests"]:
            test["runtime"] = "no device" if "npu" in test["lanes"] else test["runtime"]

    edit(folder, nowhere)
    faults = certificate.verify(folder)
    assert any("ran on no device, and the lane is on emulated 310P3" in fault for fault in faults)


def test_samples_of_another_machine_are_found(folder):
    edit(
        folder,
        lambda s: s["machine_info"].update(machine_class="A100; A100; 64 x x86"),
        "samples.json",
    )
    (fault,) = certificate.verify(folder)
    assert fault.startswith(
        "samples.json: was measured on A100; A100; 64 x x86, and verdict.json on "
    )


def test_an_edited_environment_is_found(folder):
    edit(folder, lambda v: v["environment"]["packages"].update(numpy="0.1"))
    (fault,) = certificate.verify(folder)
    assert fault == "verdict.json: the environment was edited; its fingerprint is another one"


def test_an_artifact_that_was_swapped_during_the_run_is_found(folder):
    edit(folder, swap)
    (fault,) = certificate.verify(folder)
    assert fault.startswith("model of retinanet_shapes: changed during the run: sha256 ")


def test_a_model_that_was_not_judged_is_found(folder, tmp_path, capsys):
    judged, other = tmp_path / "model.ts", tmp_path / "other.ts"
    judged.write_text("weights and graph")
    other.write_text("other weights")
    assert certificate.main(["verify", str(folder), str(judged)]) == 0
    assert capsys.readouterr().out.startswith(
        "valid: INCOMPLETE (npu lane emulated; not a statement"
    )
    assert certificate.main(["verify", str(folder), str(other)]) == 1
    assert f"not valid: {other}: is not what was judged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"tests": 3}, {"scope": {}}, {"tests": [{"nodeid": 1}]}, {"counts": None}]
)
def test_nonsense_is_a_sentence_and_no_traceback(folder, change):
    edit(folder, lambda v: v.update(change), seal=False)
    assert certificate.main(["verify", str(folder)]) == 1


def test_a_folder_without_a_certificate_is_a_sentence(tmp_path, capsys):
    assert certificate.main(["verify", str(tmp_path)]) == 1
    assert (
        "manifest.json: is missing; name the folder `certificate` of a run"
        in capsys.readouterr().out
    )


def test_a_gate_whose_own_certificate_contradicts_itself_is_red(lab, monkeypatch):
    lab.chapter(
        '@pytest.mark.clause("o.x")\n@pytest.mark.requires("weights")\ndef test_x(): pass\n'
    )
    weights = lab.write("w.pkl", "w")
    assert lab.run("--require", "weights", "--weights", weights).ret == 0
    monkeypatch.setattr(certificate, "verify", lambda folder: ["a row does not follow"])
    result = lab.run("--require", "weights", "--weights", weights)
    assert result.ret == 1
    folder = lab.root / ".artifacts/runs/latest/certificate"
    sealed = {
        name: json.loads((folder / f"{name}.json").read_text()) for name in ("verdict", "manifest")
    }
    assert sealed["verdict"]["exit_code"] == 1
    result.stdout.fnmatch_lines(
        [f"*, chain {sealed['manifest']['chain']}", "  contradiction: a row does not follow"]
    )
