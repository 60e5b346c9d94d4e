"""What a user names is used, or refused in a sentence that says what to give."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from plugins import inputs

VALIDATION = ("annotations/instances_val2017.json", "val2017")
TRAINING = ("annotations/instances_train2017.json", "train2017")


def coco(root, *parts: str):
    for part in parts:
        place = root / part
        if part.endswith(".json"):
            place.parent.mkdir(exist_ok=True)
            place.write_text("{}")
        else:
            place.mkdir()
    return root


def test_a_path_is_of_the_kind_that_is_asked_for(tmp_path):
    file = tmp_path / "a.pkl"
    file.write_text("")
    inputs.check_kind("--x", file, "file", "give one")
    inputs.check_kind("--x", tmp_path, "folder", "give one")
    inputs.check_kind("--x", tmp_path / "gone", "", "give one")
    for path, kind, told in (
        (tmp_path, "file", f"--x: there is no file {tmp_path}, but a folder; give one"),
        (file, "folder", f"--x: there is no folder {file}, but a file; give one"),
        (tmp_path / "b", "file", f"--x: there is no file {tmp_path / 'b'}; give one"),
    ):
        with pytest.raises(pytest.UsageError) as refused:
            inputs.check_kind("--x", path, kind, "give one")
        assert str(refused.value) == told


@pytest.mark.parametrize(
    "parts", [VALIDATION, (*VALIDATION, *TRAINING), (*VALIDATION, TRAINING[0])]
)
def test_a_coco_folder_may_hold_the_training_images_or_not(tmp_path, parts):
    inputs.check_coco(coco(tmp_path, *parts), "ini")
    inputs.check_coco(None, "ini")


@pytest.mark.parametrize(
    ("parts", "lacking"),
    [
        ((), VALIDATION[0]),
        (VALIDATION[:1], VALIDATION[1]),
        (VALIDATION[1:], VALIDATION[0]),
        ((*VALIDATION, TRAINING[1]), TRAINING[0]),
    ],
)
def test_a_part_that_a_coco_folder_lacks_is_named(tmp_path, parts, lacking):
    with pytest.raises(pytest.UsageError) as refused:
        inputs.check_coco(coco(tmp_path, *parts), "ini")
    head = f"--coco-root (ini): {tmp_path} holds no {lacking}; unpack COCO's"
    assert str(refused.value).startswith(head)


def test_a_file_that_is_there_but_may_not_be_read_is_refused_at_once(tmp_path, monkeypatch):
    def denied(*_, **__):  # root may read whatever it likes, and this may run as root
        raise PermissionError(errno.EACCES, "Permission denied")

    file = tmp_path / "a.pkl"
    file.write_text("")
    monkeypatch.setattr(Path, "open", denied)
    says = f"--x: {file} cannot be looked at: Permission denied; give a path that you may read"
    with pytest.raises(pytest.UsageError, match=re.escape(says)):
        inputs.check_kind("--x", file, "file", "give one")
    inputs.check_kind("--x", tmp_path, "folder", "give one")


def test_a_path_that_cannot_be_looked_at_is_refused_with_the_reason(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    for look in ("is_file", "is_dir", "exists"):
        monkeypatch.setattr(Path, look, denied)  # as pathlib does up to Python 3.13; root may look
    says = f"{tmp_path} cannot be looked at: Permission denied; give a path that you may read"
    for place, check in (
        ("--x", lambda: inputs.check_kind("--x", tmp_path, "file", "give one")),
        ("--coco-root (ini)", lambda: inputs.check_coco(tmp_path, "ini")),
    ):
        with pytest.raises(pytest.UsageError, match=re.escape(f"{place}: {says}")):
            check()


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("a/b.pth", "a/b.pth"),
        ("https://a.org/b.pth", "https://a.org/b.pth"),
        ("file:///a/b%20c.pth", "/a/b c.pth"),
    ],
)
def test_a_path_an_address_and_a_file_address_are_taken(address, path):
    assert inputs.local_part("--backbone", address, "ini") == path
    assert inputs.is_remote(address) == address.startswith("https")


@pytest.mark.parametrize("address", ["https://", "ftp://a/b.pth", "file://a/b.pth", "http:///a"])
def test_another_address_is_refused(address):
    with pytest.raises(pytest.UsageError, match=f"^--backbone .ini.: {address} is neither a path"):
        inputs.local_part("--backbone", address, "ini")


@pytest.mark.parametrize("address", [None, "node-0.a:1", "n:65535"])
def test_a_meeting_point_is_a_host_and_a_port(address):
    inputs.check_rendezvous(address, "ini")


@pytest.mark.parametrize("address", ["n:0", "n:65536", "n", ":1", "n:x", "n:1:2", "n:123456"])
def test_no_meeting_point_is_refused(address):
    with pytest.raises(pytest.UsageError, match=f"^--rendezvous .ini.: {address} is no HOST:PORT"):
        inputs.check_rendezvous(address, "ini")
