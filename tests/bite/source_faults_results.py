"""Faults of the result files: what is written, what is read, what lay there before."""

from __future__ import annotations

from functools import partial

from tests.bite.source_house import seed

results = partial(seed, "plugins/workers/result_files.py")
infer = partial(seed, "plugins/workers/infer.py")
FILES, READ = "results.files", "results.read_back"
BYTES = "temporary.write_bytes(array.tobytes())"
WRITE = "result_files.write(results, stem, boxes, labels, scores)"
STEM = 'stem = Path(paths[len(rows["boxes"])]).stem'

RESULTS = [
    results(
        BYTES,
        'temporary.write_bytes(array.tobytes(order="F"))',
        "files_coordinate_first",
        "boxes are written column by column",
        FILES,
        "it is transposed",
        kin=("LY1",),
    ),
    results(
        BYTES,
        "temporary.write_bytes(array.byteswap().tobytes())",
        "files_big_endian",
        "numbers are written big-endian",
        FILES,
        "it is big-endian",
        kin=("LY6",),
    ),
    results(
        BYTES,
        "temporary.write_bytes((array.astype('f2') if array.dtype == 'f4' else array).tobytes())",
        "files_in_half",
        "floats are written as float16",
        FILES,
        "it is written as float16",
        kin=("LY3",),
    ),
    results(
        BYTES,
        "temporary.write_bytes((array.astype('f4') if array.dtype == 'i8' else array).tobytes())",
        "labels_written_as_floats",
        "labels are written as float32",
        FILES,
        "it is written as float32",
        kin=("LY8",),
    ),
    results(
        BYTES,
        "temporary.write_bytes(array.tobytes()[:-4])",
        "files_cut_short",
        "the last number of each file is missing",
        FILES,
        "it is cut short",
    ),
    infer(
        WRITE,
        "result_files.write(results, stem, boxes, labels, scores.round(1))",
        "scores_rounded_in_files",
        "scores are written with one digit",
        FILES,
        "other values",
        kin=("EV7",),
    ),
    results(
        'Part("labels", "_1.bin"',
        'Part("labels", "_2.bin"',
        "files_swapped",
        "scores and labels are in each other's files",
        FILES,
        "it holds the",
        kin=("LY5",),
        also=[
            (
                "plugins/workers/result_files.py",
                'Part("scores", "_2.bin"',
                'Part("scores", "_1.bin"',
            )
        ],
        quick=True,
    ),
    infer(
        STEM,
        'stem = Path(paths[len(rows["boxes"]) - 1]).stem',
        "files_of_the_image_before",
        "each image's results are in the file of the one before",
        FILES,
        "other values",
    ),
    infer(
        STEM,
        "stem = Path(paths[0]).stem",
        "files_of_one_image",
        "all images write to the first one's files",
        FILES,
        "does not hold the images",
        kin=("PP8",),
    ),
    results(
        "        np.frombuffer(one, part.dtype).reshape(part.shape(detections))",
        "        np.frombuffer(one, part.dtype).reshape(part.shape(detections)[::-1]).T",
        "read_coordinate_first",
        "files are read column by column",
        READ,
        "come back changed",
        kin=("LY1",),
    ),
    results(
        "    if any(folder.iterdir()):",
        "    if False:",
        "earlier_files_accepted",
        "results go into a folder with those of an earlier run",
        "results.refusals",
        "is accepted",
        kin=("ST1", "PP9"),
    ),
    results(
        "    if missing:",
        "    if False:",
        "missing_files_accepted",
        "a folder that lacks images is read",
        "",
        "",
        kin=("PP8",),
        missed="reading a file that is not there is refused all the same",
    ),
    results(
        "    if unknown:",
        "    if False:",
        "strange_files_accepted",
        "a folder that holds other images' files too is read",
        "results.refusals",
        "is accepted",
        kin=("ST1", "ST4"),
    ),
    results(
        "    os.replace(temporary, path)\n",
        '    os.replace(temporary, path)\n    (path.parent / f"{path.name}.tmp").touch()\n',
        "litter_left",
        "a temporary file stays beside each result",
        FILES,
        "does not hold the images",
    ),
]
