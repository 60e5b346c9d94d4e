"""The training lane's small set in files, and the worker that reads it with torch."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from fixtures import training_set
from plugins.drivers.process import Worker
from tests.training_modules import CLASSES, COUNT, SCALE


@pytest.fixture(scope="module")
def set_file(tmp_path_factory):
    """Path of the instances file of a training set of COUNT images."""
    folder = tmp_path_factory.mktemp("training_set")
    return training_set.write_training_set(folder, "train", COUNT, SCALE)


@pytest.fixture(scope="module")
def set_images(set_file):
    return set_file.parents[1] / "train2017"


@pytest.fixture(scope="module")
def set_content(set_file):
    return json.loads(set_file.read_text())


@pytest.fixture
def edited_set(tmp_path, set_content):
    """Writes a changed copy of the instances file and returns its path."""

    def write(change):
        changed = copy.deepcopy(set_content)
        change(changed)
        path = tmp_path / "edited.json"
        path.write_text(json.dumps(changed))
        return path

    return write


@pytest.fixture
def set_data(set_file, set_images):
    """The set as a worker's arguments."""
    return {"annotations": str(set_file), "images": str(set_images), "classes": CLASSES}


def _worker(folder):
    env = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    return Worker("training_data_roles", log=folder / "training_data.log", env=env)


@pytest.fixture(scope="module")
def data_worker(tmp_path_factory):
    with _worker(tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture
def fresh_worker(tmp_path_factory):
    """One that has read no image yet: what has readers of its own does not survive a fork."""
    with _worker(tmp_path_factory.mktemp("worker")) as worker:
        yield worker
