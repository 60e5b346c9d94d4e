"""From result files to mAP beside the source's path, and the resampling of pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import coco_set
import numpy as np
import pytest

from plugins.checks.accuracy import ImageSet, table_of
from plugins.checks.bootstrap import draw, mean_average_precision
from plugins.checks.matching import match, read_objects

HOUSE = Path(__file__).parents[1]
TIME, MEMORY = "result files to mAP, 5000 images", "peak memory of result files to mAP"
RUNS = {"ours": 3, "source": 1, "files": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """5000 images, and 500 000 detections in the product's result files."""
    return coco_set.write(tmp_path_factory.mktemp("set"), 5000)


def evaluated(who: str, folder: Path) -> dict:
    """What a process of its own found, and what it took."""
    path = os.pathsep.join(map(str, (HOUSE, HOUSE / "plugins" / "workers")))
    done = subprocess.run(
        [sys.executable, str(HOUSE / "benchmarks" / "evaluating.py"), who, str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def bench_from_files_to_map(folder, measured):
    runs = {who: [evaluated(who, folder) for _ in range(n)] for who, n in RUNS.items()}
    names = {"ours": "ours", "source": "the source's path", "files": "reading the files"}
    for who, name in names.items():
        measured(TIME, name, 1e3 * np.median([run["seconds"] for run in runs[who]]))
    for who in ("ours", "source"):
        measured(MEMORY, names[who], max(run["mib"] for run in runs[who]))
    assert all(run["statistics"] == runs["source"][0]["statistics"] for run in runs["ours"])
    assert len(runs["ours"][0]["statistics"]) == 12


@pytest.mark.parametrize(("count", "rounds"), [(5000, 2), (500, 5)])
def bench_paired_bootstrap(rival, tmp_path, count, rounds):
    document = coco_set.objects(count)
    (tmp_path / "instances.json").write_text(json.dumps(document))
    files = {one["id"]: Path(one["file_name"]) for one in document["images"]}
    some = ImageSet(tmp_path / "instances.json", files)
    known = read_objects(some.annotations, list(files))

    def matches(blur):
        found = coco_set.restored(document, coco_set.detected(document, seed=1, blur=blur))
        return match(known, table_of(some, found, range(1, coco_set.CLASSES + 1)))

    pair = matches(0.1), matches(0.101)

    def resample():
        weights = draw(count, 1000, seed=1)
        first, second = (mean_average_precision(one, weights) for one in pair)
        return float((first - second).std())

    assert 0 < rival(f"paired bootstrap, 1000 x {count} images", "ours", resample, rounds) < 1
