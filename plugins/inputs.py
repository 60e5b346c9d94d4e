"""Whether what a user names can be used: a COCO folder, an address of weights, a meeting point."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional
from urllib.request import url2pathname

import pytest

COCO_PARTS = ("annotations/instances_val2017.json", "val2017")
COCO_TRAINING = ("annotations/instances_train2017.json", "train2017")
MEETING = re.compile(r"[\w.-]+:(\d{1,5})")
REMOTE = "https://"


@contextlib.contextmanager
def _looked_at(place: str, path: Path) -> Iterator[None]:
    """Up to Python 3.13 pathlib raises where it may not look, and of a name that is too long."""
    try:
        yield
    except OSError as error:
        raise pytest.UsageError(
            f"{place}: {path} cannot be looked at: {error.strerror}; give a path that you may read"
        ) from None


def check_kind(place: str, path: Path, kind: str, cure: str) -> None:
    """A path is the "file" or the "folder" that it should be; any will do where `kind` is empty."""
    if not kind:
        return
    with _looked_at(place, path):
        is_one = {"file": path.is_file(), "folder": path.is_dir()}
        if kind == "file" and is_one["file"]:
            path.open("rb").close()  # that it is there does not say that it may be read
    if not is_one.pop(kind):
        ((other, is_other),) = is_one.items()
        but = f", but a {other}" if is_other else ""
        raise pytest.UsageError(f"{place}: there is no {kind} {path}{but}; {cure}")


def check_coco(root: Optional[Path], source: str) -> None:
    """What evaluation needs is there; training images, if they are there, have annotations."""
    if root is None:
        return
    with _looked_at(f"--coco-root ({source})", root):
        training = COCO_TRAINING if (root / COCO_TRAINING[1]).exists() else ()
        lacking = [part for part in (*COCO_PARTS, *training) if not (root / part).exists()]
    if lacking:
        raise pytest.UsageError(
            f"--coco-root ({source}): {root} holds no {lacking[0]}; unpack COCO's"
            " annotations_trainval2017.zip and val2017.zip there"
        )


def is_remote(address: str) -> bool:
    """Whether an address has to be downloaded."""
    return address.startswith(REMOTE)


def local_part(flag: str, address: str, source: str) -> str:
    """The path that a file:// address names; a path, or what is remote, as it is."""
    scheme, found, rest = address.partition("://")
    if not found or (is_remote(address) and rest):
        return address
    if scheme != "file" or not rest.startswith("/"):
        raise pytest.UsageError(
            f"{flag} ({source}): {address} is neither a path nor an address that begins with"
            f" file:/// or {REMOTE}; give one of these"
        )
    return url2pathname(rest)


def check_rendezvous(address: Optional[str], source: str) -> None:
    """HOST:PORT, in form; whether the host is known only a run can find."""
    match = MEETING.fullmatch(address) if address else None
    if address and not (match and 0 < int(match.group(1)) < 2**16):
        raise pytest.UsageError(
            f"--rendezvous ({source}): {address} is no HOST:PORT; name the first machine and a"
            " port of it that is free, such as node0:29500"
        )
