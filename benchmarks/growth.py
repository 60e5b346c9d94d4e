"""Time and memory at 500, 5000 and 50 000 images: does anything grow faster than its input?

    python -m benchmarks.growth [--images 500 5000 50000] [--out FILE]

Each part runs in a process of its own, whose CPU time after the imports and whose peak memory count.
The last columns are what ten times as many images cost: at most 10 is linear.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HOUSE = Path(__file__).resolve().parents[1]
for place in (HOUSE / "plugins" / "workers", HOUSE / "benchmarks", HOUSE):
    sys.path.insert(0, str(place))

CLASSES, RESAMPLES, CHUNK = 80, 250, 50
LINE = "{:<12} {:>8} {:>12} {:>8} {:>12} {:>8}"


def evaluation(folder: Path) -> None:
    """Instances and a table of detections to COCO's 12 statistics, by our own engine."""
    from plugins.checks.average_precision import statistics

    statistics(_matches(folder))


def bootstrap(folder: Path) -> None:
    """mAP of 250 resamples, from matches that are there."""
    from plugins.checks.bootstrap import draw, mean_average_precision

    matches = _matches(folder)
    _start()
    mean_average_precision(matches, draw(len(matches.objects.images), RESAMPLES, 0))


def report(folder: Path) -> None:
    """report.html and summary.md of a run that found detections on so many images."""
    from plugins.report import write

    _start()
    write(folder / "run", folder / "none", HOUSE / "golden" / "manifest.toml")


def certificate(folder: Path) -> None:
    """The certificate of such a run, written and verified."""
    from plugins import certificate

    _start()
    run = folder / "run"
    sources = {certificate.VERDICT: run / "verdict.json", certificate.JUNIT: run / "junit.xml"}
    certificate.write(folder / "certificate", sources)
    certificate.verify(folder / "certificate")


PARTS = {part.__name__: part for part in (evaluation, bootstrap, report, certificate)}
_started = [0.0]


def _start() -> None:
    _started[0] = time.process_time()


def _matches(folder: Path):
    from plugins.checks.matching import match, read_objects

    table = np.load(folder / "table.npy")
    _start()
    ids = np.unique(table[:, 0]).astype(int)
    return match(read_objects(folder / "instances.json", ids), table)


def measured(name: str, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of one part, run in this process."""
    PARTS[name](folder)
    seconds = time.process_time() - _started[0]
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def world(folder: Path, count: int) -> None:
    """A set of `count` images, 100 detections on each, and a run that leaves as much behind."""
    import coco_set

    document = coco_set.objects(count)
    (folder / "instances.json").write_text(json.dumps(document))
    found = coco_set.restored(document, coco_set.detected(document, seed=1))
    boxes, labels, scores = (found[name] for name in ("boxes", "labels", "scores"))
    ids = np.repeat([one["id"] for one in document["images"]], scores.shape[1])
    corners = boxes.reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    columns = [ids, corners[:, :2], sides, scores.ravel(), labels.ravel() + 1]
    np.save(folder / "table.npy", np.column_stack(columns))
    _run(folder, ids[:: scores.shape[1]])


def _run(folder: Path, ids: np.ndarray) -> None:
    """A short real run, with the hashes and the file that detections on these images leave."""
    command = [sys.executable, "-m", "pytest", "-q", "conformance/test_environment.py"]
    options = ["-p", "no:cacheprovider", f"--artifacts={folder / 'artifacts'}"]
    subprocess.run([*command, *options], cwd=HOUSE, stdout=subprocess.DEVNULL)
    shutil.copytree((folder / "artifacts" / "runs" / "latest").resolve(), folder / "run")
    verdict = json.loads((folder / "run" / "verdict.json").read_text())
    hashes = {
        f"detections on {backend} from {first:012}.jpg": f"{first:064x}"
        for backend in ("aie", "reference")
        for first in ids[::CHUNK].tolist()
    }
    verdict["tests"][0]["hashes"].update(hashes)
    (folder / "run" / "verdict.json").write_text(json.dumps(verdict, indent=2))
    content = json.dumps({"images": {"npu:0": ids.tolist()}}, indent=1)
    (folder / "run" / "accuracy").mkdir()
    (folder / "run" / "accuracy" / "retinanet_r50_fpn_3x-aie.json").write_text(content)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; write it where --out says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[500, 5000, 50000])
    parser.add_argument("--out", type=Path, help="e.g. golden/evidence/growth.json")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.part:
        print(json.dumps(measured(given.part[0], Path(given.part[1]))))
        return 0
    print(LINE.format("part", "images", "CPU s", "x", "peak MiB", "x"), flush=True)
    rows = [row for row in _rows(given.images)]
    if given.out:
        given.out.write_text(json.dumps(_evidence(rows), indent=1) + "\n")
    return 0


def _rows(sizes: Sequence[int]) -> list[dict]:
    """One row a part and a size, printed as it comes."""
    rows: list[dict] = []
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _child("world", folder, count)
            for name in PARTS:
                before = next((r for r in reversed(rows) if r["part"] == name), None)
                seconds, peak = json.loads(_child("--part", name, folder))
                rows.append(_row(name, count, seconds, peak, before))
    return rows


def _row(name: str, count: int, seconds: float, peak: float, before: dict | None) -> dict:
    row = {"part": name, "images": count, "CPU s": round(seconds, 3), "peak MiB": round(peak, 1)}
    if before:  # scaled to ten times as many images
        tenfold = 10 / (count / before["images"])
        row["CPU x"] = round(seconds / before["CPU s"] * tenfold, 2)
        row["peak x"] = round(peak / before["peak MiB"] * tenfold, 2)
    cells = (row["CPU s"], row.get("CPU x", ""), row["peak MiB"], row.get("peak x", ""))
    print(LINE.format(name, count, *cells), flush=True)
    return row


def _child(*words: object) -> str:
    """This program again, in a process of its own: `world FOLDER COUNT` or `--part NAME FOLDER`."""
    command = [sys.executable, "-m", "benchmarks.growth", *map(str, words)]
    run = subprocess.run(command, cwd=HOUSE, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout


def _evidence(rows: list[dict]) -> dict:
    from plugins import machine

    about = {
        **machine.measured("python -m benchmarks.growth", "numpy"),
        "detections per image": 100,
        "resamples": RESAMPLES,
    }
    return {"provenance": about, "rows": rows}


if __name__ == "__main__":
    if sys.argv[1:2] == ["world"]:
        sys.exit(world(Path(sys.argv[2]), int(sys.argv[3])))
    sys.exit(main())
