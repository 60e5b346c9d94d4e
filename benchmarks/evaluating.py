"""From a folder of result files to COCO's 12 statistics: python evaluating.py WHO FOLDER

WHO is ours, source or files (which only reads them: nobody can be faster). Prints JSON: the CPU seconds
after the imports, the peak memory of this process in MiB, and the statistics in percent.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import coco_set
import feeding
import images
import numpy as np
import result_files


def ours(folder: Path) -> list[float]:
    """The product's readers, its table and its own engine."""
    from plugins.checks.accuracy import ImageSet, table_of
    from plugins.checks.average_precision import NAMES, statistics
    from plugins.checks.matching import match, read_objects

    start = time.process_time()
    document = json.loads((folder / "instances.json").read_text())
    files = {one["id"]: Path(one["file_name"]) for one in document["images"]}
    known = coco_set.geometries(document)
    del document
    triples = (result_files.read(folder / "results", file.stem) for file in files.values())
    boxes, labels, scores = zip(
        *((images.restore(b, g), k[:, 0], s) for (b, k, s), g in zip(triples, known))
    )
    found = {"boxes": np.array(boxes), "labels": np.array(labels), "scores": np.array(scores)}
    del boxes, labels, scores
    some = ImageSet(folder / "instances.json", files)
    table = table_of(some, found, range(1, coco_set.CLASSES + 1))
    del found
    figures = statistics(match(read_objects(some.annotations, list(files)), table))
    return [time.process_time() - start, *(figures[name] for name in NAMES)]


def source(folder: Path) -> list[float]:
    """A loop over images and detections, indented JSON, pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    start = time.process_time()
    document = json.loads((folder / "instances.json").read_text())
    rows = []
    for picture, geometry in zip(document["images"], coco_set.geometries(document)):
        across = geometry.resized_width / geometry.width
        down = geometry.resized_height / geometry.height
        stem = str(folder / "results" / Path(picture["file_name"]).stem)
        boxes = np.fromfile(f"{stem}_0.bin", np.float32).reshape(-1, 4)
        labels = np.fromfile(f"{stem}_1.bin", np.int64)
        scores = np.fromfile(f"{stem}_2.bin", np.float32)
        for box, label, score in zip(boxes, labels, scores):
            left, top = float(box[0]) / across, float(box[1]) / down
            right, bottom = float(box[2]) / across, float(box[3]) / down
            rows.append(
                {
                    "image_id": picture["id"],
                    "category_id": int(label) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "score": float(score),
                }
            )
    written = folder / "results.json"
    with written.open("w") as file:
        json.dump(rows, file, indent=4)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "instances.json"))
        evaluation = COCOeval(truth, truth.loadRes(str(written)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [time.process_time() - start, *(100 * float(v) for v in evaluation.stats)]


def files(folder: Path) -> list[float]:
    """Reads the result files and does nothing with them."""
    start = time.process_time()
    for path in (folder / "results").iterdir():
        path.read_bytes()
    return [time.process_time() - start]


if __name__ == "__main__":
    who = {"ours": ours, "source": source, "files": files}[sys.argv[1]]
    seconds, *found = who(Path(sys.argv[2]))
    print(json.dumps({"seconds": seconds, "mib": feeding.peak_memory(), "statistics": found}))
