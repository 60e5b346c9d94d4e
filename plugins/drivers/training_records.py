"""What one rank of a training run leaves behind, and whether all of it is there."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

import numpy as np

from plugins.failure import LabError

UNREADABLE = (OSError, ValueError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Rank:
    """What one rank left behind.

    Args:
        number: the rank.
        folder: where its files are.
        record: the content of rank<k>.json; empty where it was not written.
        events: the lines of rank<k>.events.
    """

    number: int
    folder: Path
    record: dict
    events: list[dict]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of rank<k>.npz, read when first asked for; a LabError if it is no such file."""
        path = self.folder / f"rank{self.number}.npz"
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except UNREADABLE as error:
            raise LabError(f"{path}: cannot be read ({error}); run again") from None

    def event(self, name: str) -> Optional[dict]:
        """The last event of a name."""
        named = (event for event in reversed(self.events) if event.get("event") == name)
        return next(named, None)


def record_of(folder: Path, number: int, world: int) -> tuple[dict, str]:
    """A rank's record, and what is wrong with it or with its arrays."""
    path = folder / f"rank{number}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = record["rank"], record["world"]
        path = folder / f"rank{number}.npz"
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except FileNotFoundError:
        return {}, f"{path}: rank {number} said FINISHED, but did not write it"
    except (*UNREADABLE, KeyError, TypeError) as error:
        return {}, f"{path}: rank {number} left a file that cannot be read ({error!r})"
    if broken:
        return {}, f"{path}: rank {number} left a file whose {broken} is damaged"
    if found != (number, world):
        said = f"rank {found[0]} of {found[1]}"
        return {}, f"{folder / f'rank{number}.json'}: is of {said}, not of rank {number} of {world}"
    return record, ""
