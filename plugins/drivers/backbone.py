"""Weights of a backbone, from a path or an https:// address, verified by their name."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Callable, Optional

from plugins.drivers.cache import Cache, file_digest
from plugins.failure import LabError

CONNECT_LIMIT_S = 30.0  # also of every single read
# A published file's name ends with the first digits of its own SHA-256.
SIGNED = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
FORMATS = (b"PK", b"\x80")  # how torch's zip archive begins, and its older pickle


def resolve(address: str, *, cache: Cache, tell: Callable[[str], None] = lambda line: None) -> Path:
    """A local file with the weights that an address names; what is remote is kept in the cache.

    Raises:
        LabError: no file, no connection, or a file that is not what its name says.
    """
    if not address.startswith("https://"):
        return _verified(_local(address), address)
    name = address.rpartition("/")[2]

    def download(path: Path) -> None:
        tell(f"downloading {address}")
        _download(address, path)
        _verified(path, address)

    return cache.file("backbone", name, address, download)


def _local(address: str) -> Path:
    path = Path(address)
    if not path.is_file():
        raise LabError(f"--backbone {address}: there is no such file; give the path of one")
    return path


def _download(address: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(address, timeout=CONNECT_LIMIT_S) as reply:
            length = reply.headers.get("Content-Length")
            with open(path, "wb") as file:
                shutil.copyfileobj(reply, file, 2**20)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise LabError(
            f"{address}: cannot be downloaded here ({getattr(error, 'reason', error)}); download it"
            " elsewhere and give --backbone=file:///path/of/the/file"
        ) from None
    _check_length(address, path, length)


def _check_length(address: str, path: Path, length: Optional[str]) -> None:
    size = path.stat().st_size
    if length and size != int(length):
        raise LabError(
            f"{address}: the download stopped at {size} of {length} bytes; run again, or download"
            " it elsewhere and give --backbone=file:///path/of/the/file"
        )


def _verified(path: Path, address: str) -> Path:
    """The path, if its content is what the name promises and looks like weights of torch."""
    signed = SIGNED.search(address)
    digest = file_digest(path) if signed else ""
    if signed and not digest.startswith(signed.group(1)):
        raise LabError(
            f"{address}: its SHA-256 begins with {digest[:8]}, not with {signed.group(1)} as its"
            " name says; it is truncated or another file: download it again"
        )
    with open(path, "rb") as file:
        if not file.read(2).startswith(FORMATS):
            raise LabError(f"{address}: is no file that torch.save writes; give another --backbone")
    return path
