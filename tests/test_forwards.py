"""Kept forward passes: found again under the same key alone, whole or not at all, and never a device's."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plugins import contracts
from plugins.drivers import forwards
from plugins.drivers.cache import Cache, file_digest
from plugins.drivers.forwards import kept
from plugins.drivers.process import WorkerFailed
from plugins.failure import LabError

HOUSE = Path(__file__).resolve().parent.parent
CONTRACT = contracts.load_all()["retinanet_shapes"]


class Subject:
    """As much of a subject as decides a key."""

    def __init__(self, folder: Path, emulated: bool = True) -> None:
        self.contract, self.told, self.emulated = CONTRACT, [], emulated
        self.identity = {"torch": "2.11.0", "threads": "1", "ours": {"emulator/rounding.py": "ab"}}
        self.files = {name: folder / name for name in ("model.ts", "library.so")}
        for path in self.files.values():
            path.write_text(path.name)
        cache = Cache(folder / "cache", self.told.append)
        self.lab = SimpleNamespace(cache=cache, call=self.call, digest_of=file_digest)
        self.lab.library = lambda role: str(self.files["library.so"])

    def call(self, role, op, library):
        assert (role, op) == ("infer", "identity")
        known = SimpleNamespace(result={"emulated": self.emulated, "identity": self.identity})
        return known

    def model(self):
        return self.files["model.ts"]

    def once(self, key, make):
        return make()


@pytest.fixture
def subject(tmp_path):
    return Subject(tmp_path)


def found(subject, backend="aie", side=256, inputs=("images", "12ab")):
    """What is kept, whether it was known, and whether it was made."""
    made = []

    def make():
        made.append(True)
        return {"boxes": np.arange(6.0).reshape(2, 3), "labels": np.array([[7]])}

    arrays, known = kept(subject, backend, side, inputs, make)
    assert arrays["boxes"].tolist() == [[0, 1, 2], [3, 4, 5]] and arrays["labels"].tolist() == [[7]]
    assert arrays["labels"].dtype == np.int64 and set(arrays) == {"boxes", "labels"}
    assert known != bool(made)
    return known


@pytest.mark.parametrize("backend", ["aie", "reference"])
def test_what_was_found_once_is_found_again(subject, backend):
    assert [found(subject, backend) for _ in range(3)] == [False, True, True]


def other_contract(subject, **changes):
    subject.contract = dataclasses.replace(subject.contract, **changes)


CHANGES = {
    "the model": lambda s: s.files["model.ts"].write_text("another"),
    "the operators": lambda s: s.files["library.so"].write_text("another"),
    "torch": lambda s: s.identity.update(torch="2.11.1"),
    "threads": lambda s: s.identity.update(threads="2"),
    "the emulator": lambda s: s.identity.update(ours={"emulator/rounding.py": "cd"}),
    "a compile option": lambda s: other_contract(
        s, compile=dataclasses.replace(CONTRACT.compile, optimization_level=1)
    ),
    "the mean": lambda s: other_contract(
        s, input=dataclasses.replace(CONTRACT.input, mean=[0.0, 0.0, 0.0])
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_decides_it_is_another_key(subject, change):
    found(subject)
    CHANGES[change](subject)
    assert not found(subject), f"{change} changed, and the old result came back"


@pytest.mark.parametrize(
    "asked",
    [
        {"backend": "reference"},
        {"side": 320},
        {"inputs": ("images", "34cd")},
        {"inputs": ("prepared", "12ab")},
        {"inputs": ("images", "12ab", "12ab")},
    ],
)
def test_another_question_is_another_key(subject, asked):
    found(subject)
    assert not found(subject, **asked)


def test_our_own_side_of_the_workers_is_part_of_the_key(subject, tmp_path, monkeypatch):
    shutil.copytree(Path(forwards.__file__).parent, tmp_path / "drivers")
    monkeypatch.setattr(forwards, "__file__", str(tmp_path / "drivers" / "forwards.py"))
    assert [found(subject), found(subject)] == [False, True]
    with open(tmp_path / "drivers" / "runs.py", "a") as file:
        file.write("# changed\n")
    assert not found(subject)


def test_a_device_is_measured_each_time_and_the_cpu_beside_it_is_not(tmp_path):
    subject = Subject(tmp_path, emulated=False)
    assert [found(subject), found(subject)] == [False, False]
    assert not list(subject.lab.cache.folder.rglob("*.npz"))
    assert [found(subject, "reference"), found(subject, "reference")] == [False, True]


def test_what_the_emulator_found_is_never_a_devices(tmp_path):
    emulated = Subject(tmp_path)
    assert [found(emulated), found(emulated)] == [False, True]
    assert not found(Subject(tmp_path, emulated=False))


def test_a_failure_is_not_kept(subject):
    def make():
        raise WorkerFailed("RuntimeError: out of luck")

    with pytest.raises(WorkerFailed):
        kept(subject, "aie", 256, ["images", "12ab"], make)
    assert not found(subject)


DAMAGES = {
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "no archive": lambda data: b"nonsense" * 40,
    "one bit": lambda data: data.replace(b"\x07", b"\x06", 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_told_and_made_again(subject, damage):
    found(subject)
    (path,) = subject.lab.cache.folder.rglob("*.npz")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert not found(subject)
    assert subject.told == [f"{path} is damaged and is made again"]
    assert found(subject) and len(subject.told) == 1


def test_an_entry_of_other_arrays_is_damaged(subject):
    found(subject)
    (path,) = subject.lab.cache.folder.rglob("*.npz")
    with np.load(path) as content:
        arrays = {**content, "labels": np.array([[8]])}
    np.savez(path, **arrays)
    assert not found(subject) and subject.told


def test_a_disk_that_damages_everything_is_one_sentence(subject, monkeypatch):
    found(subject)
    monkeypatch.setattr("plugins.drivers.cache._whole", lambda path: None)
    monkeypatch.setattr("plugins.drivers.cache.Path.unlink", lambda path, missing_ok: None)
    with pytest.raises(LabError, match="is damaged as often as it is made; look at that disk"):
        found(subject)


def test_two_at_once_make_it_once(subject):
    known, start = [], threading.Barrier(2)

    def ask():
        start.wait()
        known.append(found(subject))

    both = [threading.Thread(target=ask) for _ in range(2)]
    [one.start() for one in both]
    [one.join(30) for one in both]
    assert sorted(known) == [False, True]


IDENTITY = """
import json, os, sys
from pathlib import Path
here = Path(sys.argv[1])
sys.path.insert(0, str(here))
import torch
torch.set_num_threads(1)
import identity
def seen():
    return json.dumps(identity.identity(), sort_keys=True)
def differs(change):
    before = seen()
    change()
    return seen() != before
def append(name):
    with open(here / name, "a") as file:
        file.write("# changed\\n")
def import_stranger():
    (here.parent / "other").mkdir()
    (here.parent / "other" / "hook.py").write_text("")
    sys.path.insert(0, str(here.parent / "other"))
    import hook
changes = {
    "nothing": lambda: None,
    "emulator": lambda: append("emulator/torch_aie/_emulator/rounding.py"),
    "images": lambda: append("images.py"),
    "training": lambda: append("training/loop.py"),
    "threads": lambda: torch.set_num_threads(2),
    "variable": lambda: os.environ.update(ONEDNN_MAX_CPU_ISA="SSE41"),
    "unrelated variable": lambda: os.environ.update(HOMEPAGE="x"),
    "stranger": import_stranger,
    "stranger changed": lambda: (here.parent / "other" / "hook.py").write_text("x = 1"),
    "torch": lambda: setattr(torch, "__version__", "9"),
}
print(json.dumps({name: differs(change) for name, change in changes.items()}))
"""


def test_the_identity_of_a_worker_is_all_that_decides_its_bits_and_nothing_else(tmp_path):
    shutil.copytree(HOUSE / "plugins" / "workers", tmp_path / "workers")
    command = [sys.executable, "-c", IDENTITY, str(tmp_path / "workers")]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [name for name, differs in said.items() if not differs] == [
        "nothing",
        "training",
        "unrelated variable",
    ]
