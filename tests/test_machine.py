"""The versions below Python, read from tools and files that look like Ascend's; and the fingerprint."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from plugins import machine
from plugins.checks.compiled import check_versions, version_differences
from plugins.contracts.operators import load_environment
from plugins.failure import CheckFailure

USUAL = machine.ASCEND
# As npu-smi of driver 23.0.rc1 prints: the chips' table, the list of NPUs, and one board.
NPU_SMI = """#!/bin/sh
case "$*" in
"info") echo "| npu-smi 23.0.rc1                                 Version: 23.0.rc1      |" ;;
"info -l") printf '\\tTotal Count : 1\\n\\n\\tNPU ID                         : 4\\n' ;;
"info -t board -i 4") printf '\\tSoftware Version : 23.0.rc1\\n\\tFirmware Version : 6.3.0.1.241\\n' ;;
*) echo "wrong arguments"; exit 1 ;;
esac
"""
VERSION_CFG = """# version: 1.0
runtime_running_version=[7.0.0.1.1:7.0.RC1.alpha001]
toolkit_running_version=[7.0.0.3.242:7.0.RC1.alpha003]
"""
WORKER = {
    "python": "3.9.11",
    "torch": "2.0.1+cpu",
    "torchvision": "0.15.2",
    "runtime": "torch_aie 6.3.rc2",
}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any of Ascend's tools and files."""
    for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(machine, "ASCEND", tmp_path / "Ascend")
    machine._output.cache_clear()


@pytest.fixture
def npu_smi(tmp_path: Path):
    """Put a program of that name on PATH."""

    def put(text: str) -> None:
        write(tmp_path / "bin/npu-smi", text).chmod(0o755)

    return put


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_machine_without_ascend_has_no_versions_of_it():
    assert machine.ascend() == {"driver": "", "firmware": "", "CANN": ""}
    assert set(machine.system()) <= {"machine", "cpu"}


def test_driver_and_firmware_come_from_npu_smi(npu_smi):
    npu_smi(NPU_SMI)
    assert (machine.driver(), machine.firmware()) == ("23.0.rc1", "6.3.0.1.241")


def test_where_no_npu_is_listed_the_first_is_asked(npu_smi):
    npu_smi(NPU_SMI.replace("NPU ID", "").replace("-i 4", "-i 0"))
    assert machine.firmware() == "6.3.0.1.241"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho nothing\n", "no program"])
def test_where_npu_smi_says_nothing_the_drivers_own_files_do(npu_smi, tmp_path, text):
    npu_smi(text)
    assert (machine.driver(), machine.firmware()) == ("", "")
    write(tmp_path / "Ascend/driver/version.info", "Version=23.0.rc1\nascendhal_version=6.15.29\n")
    write(tmp_path / "Ascend/firmware/version.info", "Version=6.3.0.1.241\n")
    assert (machine.driver(), machine.firmware()) == ("23.0.rc1", "6.3.0.1.241")


def test_an_npu_smi_that_hangs_is_not_waited_for(npu_smi, monkeypatch):
    assert machine.TOOL_LIMIT_S == 30 and machine._npu_smi("info") == ""
    monkeypatch.setattr(machine, "TOOL_LIMIT_S", 0.2)
    npu_smi("#!/bin/sh\nexec sleep 5\n")
    assert machine._npu_smi("info") == machine.driver() == ""


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("version.cfg", VERSION_CFG, "7.0.RC1.alpha003"),
        ("version.cfg", "runtime_running_version=[7.0.0.1.1:7.0.RC1]\n", "7.0.RC1"),
        ("x86_64-linux/ascend_toolkit_install.info", "path=/x\nversion=7.0.RC1\n", "7.0.RC1"),
        ("version.info", "Version = 7.0.0.3.242\n", "7.0.0.3.242"),
        ("compiler/version.info", "Version=7.0.0.3.242\n", "7.0.0.3.242"),
        ("version.cfg", "nothing of the kind\n", ""),
    ],
)
@pytest.mark.parametrize("variable", ["ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH"])
def test_cann_is_what_its_version_file_says(tmp_path, monkeypatch, variable, name, text, version):
    monkeypatch.setenv(variable, str(tmp_path / "cann"))
    write(tmp_path / "cann" / name, text)
    assert machine.cann() == version


@pytest.mark.parametrize("place", ["Ascend/ascend-toolkit/latest", "Ascend/latest"])
@pytest.mark.parametrize("root", ["root", "."])
def test_cann_is_found_where_it_is_usually_installed(tmp_path, monkeypatch, place, root):
    """By root in one place of the machine, by another user at home."""
    assert USUAL == Path("/usr/local/Ascend")
    monkeypatch.setattr(machine, "ASCEND", tmp_path / "root/Ascend")
    write(tmp_path / root / place / "version.cfg", VERSION_CFG)
    assert machine.cann() == "7.0.RC1.alpha003"


def test_of_two_toolkits_the_first_by_name_is_told_whatever_bytes_it_holds(tmp_path):
    for name, version in (("b", 2), ("a", 1), ("c", 3)):
        place = f"Ascend/latest/{name}-linux/ascend_toolkit_install.info"
        write(tmp_path / place, "").write_bytes(b"path=\xff\nversion=%d\n" % version)
    assert machine.cann() == "1"


def test_a_machine_as_the_sources_is_accepted_and_each_difference_is_named(npu_smi, tmp_path):
    npu_smi(NPU_SMI)
    write(tmp_path / "Ascend/latest/version.cfg", VERSION_CFG)
    declared = load_environment().npu
    check_versions(machine.observed(WORKER, real=True), declared, strict=True)
    npu_smi(NPU_SMI.replace("23.0.rc1", "24.1.rc1").replace("6.3.0.1.241", "7.5.0.1.129"))
    machine._output.cache_clear()
    with pytest.raises(CheckFailure) as failure:
        check_versions(machine.observed(WORKER, real=True), declared, strict=True)
    assert failure.value.worst == [
        "driver is 24.1.rc1, not 23.0.rc1",
        "firmware is 7.5.0.1.129, not 23.0.rc1",
    ]


def test_a_processor_has_a_name_where_nothing_lists_it(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(machine, "_found", lambda path, pattern: asked.append(path) or "")
    monkeypatch.setattr(machine.platform, "processor", lambda: "ft-2000")
    assert machine.processor() == "ft-2000" and asked == [Path("/proc/cpuinfo")]
    monkeypatch.setattr(machine, "_found", lambda path, pattern: "Kunpeng")
    assert machine.processor() == "Kunpeng"
    assert machine.machine() == " ".join(os.uname()[k] for k in (4, 0))


def test_figures_say_what_measured_them_on_what_and_when(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "machine", lambda: "x86 Linux")
    monkeypatch.setattr(machine, "processor", lambda: "Xeon")
    assert machine.measured("make bite", "pytest", "no-such-package") == {
        "command": "make bite",
        "machine": "x86 Linux, 2 x Xeon",
        "python": platform.python_version(),
        "pytest": pytest.__version__,
        "no-such-package": "absent",
        "date": machine.today().isoformat(),
    }


def test_processors_without_a_name_go_by_the_machine_class(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "processor", lambda: "")
    assert machine.processors() == f"2 x {machine.machine()}"


def test_all_after_a_runtimes_name_is_its_version():
    runtime = {**WORKER, "runtime": "torch_aie 6.3.rc2 of CANN"}
    assert machine.observed(runtime, real=True)["torch_aie"] == "6.3.rc2 of CANN"


def test_an_emulators_version_is_no_version():
    found = machine.observed({**WORKER, "runtime": "torch_aie 6.3.rc2"}, real=False)
    assert found["torch_aie"] == ""
    assert "torch_aie is not found, not 6.3.rc2" in version_differences(
        found, load_environment().npu
    )


def test_a_fingerprint_changes_with_each_version_and_with_nothing_else():
    versions = {"torch": "2.0.1", "system": {"driver": "23.0.rc1"}}
    assert len(machine.fingerprint(versions)) == 16
    assert machine.fingerprint(versions) == machine.fingerprint(dict(reversed(versions.items())))
    other = {**versions, "system": {"driver": "24.1.rc1"}}
    assert machine.fingerprint(other) != machine.fingerprint(versions)
