"""What earlier runs found out: one line a row, worth something while the suite is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.bite.benches import Place, Row

HOUSE = Path(__file__).resolve().parents[2]
SUITE = (
    *("conformance/**/*", "fixtures/**/*", "plugins/**/*", "mmdet_ops/**/*", "golden/**/*"),
    *("conftest.py", "pytest.ini", "tests/bite/sessions.py", "tests/bite/host.py"),
)
GENERATED = ("__pycache__", "build", "evidence")  # evidence is what we write


class Memory:
    """A file of results by row, for as long as nothing changes that decides them."""

    def __init__(self, path: Path, house: Path = HOUSE) -> None:
        self.path, self.house = path, house
        self._digests: dict[Place, str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known = dict(self._lines())

    def get(self, row: Row) -> dict | None:
        """The result of a row, or None where it has to be judged."""
        return self._known.get(self._key(row))

    def add(self, row: Row, result: dict) -> None:
        """Append a result; a bench that broke said nothing that is worth keeping."""
        if "broken" in result:
            return
        line = {"key": self._key(row), "id": row.id, **result}
        self._known[line["key"]] = line
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pace(self) -> dict[str, float]:
        """Seconds of a row, by layer, from whatever is known of earlier suites too."""
        spent: dict[str, list[float]] = {}
        for result in self._known.values():
            spent.setdefault(result["id"].split("/")[0], []).append(result["seconds"])
        return {layer: sum(some) / len(some) for layer, some in spent.items()}

    def _key(self, row: Row) -> str:
        if row.place not in self._digests:
            self._digests[row.place] = _digest(self.house, (*SUITE, *row.place.sources))
        return f"{self._digests[row.place]} {row.id}"

    def _lines(self) -> Iterator[tuple[str, dict]]:
        """The lines of the file; one that an interruption cut short is none."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        for line in text.splitlines():
            try:
                result = json.loads(line)
            except ValueError:
                continue
            yield result["key"], result


def _digest(house: Path, patterns: tuple[str, ...]) -> str:
    """One number for the content of files."""
    sha = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in house.glob(pattern)}):
        if path.is_file() and not set(path.relative_to(house).parts) & set(GENERATED):
            sha.update(path.relative_to(house).as_posix().encode() + b"\0")
            sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()[:16]
