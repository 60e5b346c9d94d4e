"""The photographs that numerics are judged on: whose they are, and that they are what they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2

from plugins.contracts.tables import tomllib

DATA = Path(__file__).resolve().parents[1] / "fixtures" / "data"
LICENCES = ("CC0-1.0", "public domain")
LARGEST_BYTES = 120_000


def test_every_photograph_is_recorded_with_author_licence_and_checksum():
    records = tomllib.loads((DATA / "cases.toml").read_text())["photograph"]
    assert [record["file"] for record in records] == sorted(p.name for p in DATA.glob("*.jpg"))
    for record in records:
        data = (DATA / record["file"]).read_bytes()
        assert record["licence"] in LICENCES
        assert record["author"]
        assert hashlib.sha256(data).hexdigest() == record["sha256"]
        height, width = cv2.imread(str(DATA / record["file"])).shape[:2]
        assert (width, height) == (record["width"], record["height"])
        assert len(data) == record["bytes"] <= LARGEST_BYTES
