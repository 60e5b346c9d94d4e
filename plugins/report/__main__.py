"""python -m plugins.report [RUN]: where the report of a run is (of the last one, without RUN)."""

from __future__ import annotations

import sys
from pathlib import Path

from plugins import report


def main() -> int:
    """Draw the report of a run again from its files, and print its path."""
    folder = Path(*(sys.argv[1:2] or [".artifacts/runs/latest"]))
    if not (folder / "verdict.json").is_file():
        print(f"{folder}: no run that judged anything is there; run: make conformance")
        return 1
    storage = folder.resolve().parents[1] / "benchmarks"
    print(report.write(folder, storage, report.golden(Path())).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
