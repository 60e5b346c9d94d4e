"""`artifacts`, `run`: one run that has some of everything, hostile names among it, with its report."""

from __future__ import annotations

import json
import shutil

import pytest

from plugins.report import write
from tests.strict_html import HOSTILE

CHAPTER = """
HOSTILE = VALUE

@pytest.mark.npu
@pytest.mark.clause("outputs.layout")
@pytest.mark.parametrize("backend", ["aie"])
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
@pytest.mark.parametrize("case", ["bus", pytest.param(HOSTILE, id="hostile")])
def test_layout(subject, backend, case):
    long = "w" * 300
    raise CheckFailure("swapped " + case, expected=long, actual=HOSTILE, worst=[HOSTILE, long])

@pytest.mark.npu
@pytest.mark.clause("throughput.fps")
@pytest.mark.parametrize("subject", ["retinanet_shapes"])
def test_fps(subject, benchmark, request, record_property):
    from plugins import benchmark as instrument
    seconds = iter([0.05, 0.04, 0.06, 0.05])
    clock = request.config.stash[instrument.CLOCK]
    benchmark.pedantic(lambda: clock.advance(next(seconds)), rounds=4, iterations=1)
    figure = dict(name="compute " + HOSTILE, measured=20.0, unit="img/s", expected=HOSTILE)
    record_property("figure", figure)

@pytest.mark.clause("accuracy.map")
@pytest.mark.requires("coco")
def test_map(): pass

@pytest.mark.clause("export.loads")
def test_loads(record_property): record_property("hash", {HOSTILE: "ab" * 32})
""".replace("VALUE", repr(HOSTILE))
CURVES = {
    "a": {"title": "Loss " + HOSTILE, "x": [1, 2, 3], "y": [3, 2, None], "low": [2, 1, 1],
          "high": [4, 3, 3], "xlabel": HOSTILE, "ylabel": "loss", "name": HOSTILE},
    "b": {"title": "AP", "labels": [HOSTILE, "dog"], "y": [30.0, None], "name": "aie", "unit": "%"},
    "c": {"title": "AP", "labels": [HOSTILE, "dog"], "y": [31.0, 40.0], "name": "reference"},
    "d": {"title": "nothing", "y": []},
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def artifacts(kept, lab):
    """The artifacts of one run that has some of everything, hostile names among it."""
    if not any(kept.iterdir()):
        lab.chapter(CHAPTER)
        lab.run("--benchmark")
        shutil.copytree(lab.root / ".artifacts", kept / "artifacts", symlinks=True)
        run = kept / "artifacts/runs/latest"
        (run / "curves").mkdir()
        for name, content in CURVES.items():
            (run / "curves" / f"{name}.json").write_text(json.dumps(content))
        (run / "curves" / "broken.json").write_text("{")
        _picture(run / "evidence" / "test_layout-bus-retinanet_shapes-aie-.png")
        (kept / "golden.toml").write_text(
            '[file."a.csv"]\nversions = {numpy = "0.1+x", pytest = "?"}'
        )
    return kept / "artifacts"


def _picture(path):
    from PIL import Image

    path.parent.mkdir()
    Image.effect_noise((1024, 1024), 60).save(path)


@pytest.fixture
def run(artifacts):
    """The folder of that run, with its report drawn anew."""
    folder = artifacts / "runs" / "latest"
    write(folder, artifacts / "benchmarks", artifacts.parent / "golden.toml")
    return folder
