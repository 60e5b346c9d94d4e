"""Weights: whole, of this model and bit for bit, or refused in a sentence; never executed."""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from plugins import contracts
from plugins.drivers.process import Worker, WorkerRefused

HERE = Path(__file__).resolve().parent
SHIPPED = contracts.load_all()["retinanet_r50_fpn_3x"]
TINY = {
    "stem": 4, "blocks": [1, 1, 1, 1], "widths": [2, 2, 2, 2], "outputs": [4, 4, 4, 4], "fpn": 4,
    "head_convs": 1, "classes": 2, "sizes": [32, 64, 128, 256, 512], "ratios": [0.5, 1.0, 2.0],
    "scales": [1.0],
}  # fmt: skip
CONSTANTS = {
    "pixel_mean": np.ones((3, 1, 1), np.float32),
    "pixel_std": np.ones((3, 1, 1), np.float32),
    "anchor_generator.cell_anchors.0": np.ones((9, 4), np.float32),
}
STEM = "backbone.bottom_up.stem.conv1.weight"


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    log = tmp_path_factory.mktemp("weights") / "worker.log"
    env = {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    with Worker("torch_roles", log=log, env=env) as worker:
        yield worker


@pytest.fixture(scope="module")
def state(worker):
    """Random numbers for every tensor of the tiny network."""
    random = np.random.RandomState(0)
    shapes = worker.call("names", spec=TINY).result["shapes"]
    return {name: random.rand(*shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def load(worker, tmp_path):
    """Write a file with some content and load it: what the network then holds."""

    def load(name: str, content: object, kind: str = "file") -> dict:
        path = tmp_path / name
        if name.endswith(".npz"):
            np.savez(path, **content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
        return worker.call("load", path=str(path), spec=TINY, kind=kind).arrays

    return load


def same(found: dict, wanted: dict) -> bool:
    return found.keys() == wanted.keys() and all(
        found[k].tobytes() == wanted[k].tobytes() for k in wanted
    )


def test_the_shipped_network_has_detectron2_s_names_and_size(worker):
    facts = worker.call("names", spec=dataclasses.asdict(SHIPPED.architecture)).result
    assert (len(facts["shapes"]), sum(map(math.prod, facts["shapes"].values()))) == (301, 38021812)
    assert facts["numbers"] == 37915572
    assert facts["shapes"][STEM] == [64, 3, 7, 7]
    assert facts["shapes"]["head.cls_score.weight"] == [720, 256, 3, 3]
    assert facts["shapes"]["backbone.bottom_up.res5.0.shortcut.norm.running_var"] == [2048]


def test_the_shipped_anchors_are_detectron2_s(worker):
    spec = dataclasses.asdict(SHIPPED.architecture)
    levels = worker.call("anchors", spec=spec, side=1344).arrays
    assert sum(len(level) for level in levels.values()) == 338454
    width, height = 32 * math.sqrt(2), 32 / math.sqrt(2)
    first = [-width / 2, -height / 2, width / 2, height / 2]
    assert levels["level0"][0] == pytest.approx(first)
    assert levels["level0"][9] == pytest.approx(np.add(first, [8, 0, 8, 0]))
    assert levels["level0"][9 * 168] == pytest.approx(np.add(first, [0, 8, 0, 8]))


def test_a_detectron2_file_loads_bit_for_bit_without_its_constants(load, state):
    content = {"model": {**state, **CONSTANTS}, "__author__": "x", "matching_heuristics": True}
    assert same(load("model.pkl", content), state)


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_usual_pickle_protocol_and_an_ordered_dict_load(load, state, protocol):
    content = {"model": collections.OrderedDict(state)}
    assert same(load("model.pkl", pickle.dumps(content, protocol)), state)


@pytest.mark.parametrize("place", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_a_file_of_either_major_numpy_loads_in_this_one(load, state, place):
    # Protocol 2 has the names as lines of text.
    written = pickle.dumps({"model": state}, 2)
    assert b"core.multiarray" in written
    written = re.sub(rb"numpy\._?core\.multiarray", place, written)
    assert same(load("model.pkl", written), state)


def test_a_pickle_of_arrays_alone_and_an_npz_load(load, state):
    assert same(load("model.pkl", state), state)
    assert same(load("model.npz", {**state, **CONSTANTS}), state)
    assert same(load("model.npz", state, kind="checkpoint"), state)


@pytest.mark.parametrize("form", ["state", "model", "parameters", "half"])
def test_a_torch_file_loads(worker, state, tmp_path, form):
    path = str(tmp_path / "model.pth")
    worker.call("save_torch", arrays=state, path=path, form=form)
    found = worker.call("load", path=path, spec=TINY).arrays
    if form == "half":
        assert np.abs(found[STEM] - state[STEM]).max() < 2**-8
    else:
        assert same(found, state)


def versioned(state: dict, version: int) -> collections.OrderedDict:
    """A state dict that says, as torch's do, which version of its class a layer comes from."""
    named = collections.OrderedDict(state)
    norms = [k[: -len(".weight")] for k in state if k.endswith("norm.weight")]
    named._metadata = collections.OrderedDict((k, {"version": version}) for k in norms)
    return named


@pytest.mark.parametrize(("version", "less"), [(2, 1e-5), (3, 0.0)])
@pytest.mark.parametrize("form", ["pkl", "pth"])
def test_variances_of_older_versions_lose_the_epsilon_that_detectron2_takes_off(
    worker, load, state, tmp_path, form, version, less
):
    if form == "pkl":
        found = load("model.pkl", {"model": versioned(state, version)})
    else:
        path = str(tmp_path / "model.pth")
        worker.call("save_torch", arrays=state, path=path, form="model", version=version)
        found = worker.call("load", path=path, spec=TINY).arrays
    wanted = {k: v - np.float32(less) if k.endswith("running_var") else v for k, v in state.items()}
    assert same(found, wanted)


@pytest.mark.parametrize("form", ["exported", "frozen"])
@pytest.mark.parametrize("name", ["model.ts", "model.pt", "model.pth"])
def test_an_exported_model_is_not_taken_for_a_weights_file(worker, tmp_path, form, name):
    path = str(tmp_path / name)
    worker.call("save_torch", path=path, form=form)
    with pytest.raises(WorkerRefused) as refusal:
        worker.call("load", path=path, spec=TINY)
    assert str(refusal.value) == (
        f"{path}: an exported model, not a weights file; judge it by --model-ts, and give by "
        "--weights the file that it was exported from"
    )


def test_an_archive_whose_directory_is_damaged_is_refused(worker, state, tmp_path):
    path = tmp_path / "model.pth"
    worker.call("save_torch", arrays=state, path=str(path), form="state")
    path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK??"))
    with pytest.raises(WorkerRefused, match=r"model.pth: not a whole zip archive \(.*; fetch the"):
        worker.call("load", path=str(path), spec=TINY)


def test_layers_as_a_new_network_has_them_are_named(worker, state):
    lateral, norm = "backbone.fpn_lateral3", "backbone.bottom_up.stem.conv1.norm"
    lost = {
        **state,
        f"{lateral}.bias": np.zeros_like(state[f"{lateral}.bias"]),
        f"{norm}.weight": np.ones_like(state[f"{norm}.weight"]),
        f"{norm}.bias": np.zeros_like(state[f"{norm}.bias"]),
    }
    assert worker.call("facts", arrays=state).result["initial"] == []
    assert sorted(worker.call("facts", arrays=lost).result["initial"]) == [norm, lateral]
    with pytest.raises(WorkerRefused, match=f"model.pkl: '{norm}.bias' has no weight beside it; "):
        worker.call("facts", arrays=without(state, f"{norm}.weight"))


def without(state: dict, *names: str) -> dict:
    return {k: v for k, v in state.items() if k not in names}


def nan(state: dict) -> dict:
    broken = state[STEM].copy()
    broken[0, 0, 0, 0] = np.nan
    return {**state, STEM: broken}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: without(s, STEM), f"1 tensors of this model are missing: {STEM};"),
        (lambda s: without(s, *list(s)[:6]), "6 tensors of this model are missing: "),
        (lambda s: {**s, "extra.weight": s[STEM]}, "1 tensors do not belong to this model: extra"),
        (
            lambda s: {**s, STEM: s[STEM].transpose(1, 0, 2, 3)},
            f"1 tensors have another shape: {STEM} (3, 4, 7, 7) instead of (4, 3, 7, 7);",
        ),
        (nan, f"1 tensors hold NaN or infinity: {STEM};"),
        (lambda s: {**s, STEM: s[STEM] * np.float32(np.inf)}, "1 tensors hold NaN or infinity"),
        (lambda s: {**s, STEM: np.array(["a"])}, f"'{STEM}' holds no numbers; give"),
        (lambda s: {}, "holds no tensors by name; give a file with a model's state"),
        (lambda s: [1, 2], "holds no tensors by name"),
        (lambda s: {"model": [1, 2]}, "holds no tensors by name"),
        (lambda s: {"model": {STEM: 1.0}}, "holds no tensors by name"),
    ],
)
def test_what_is_not_this_model_is_refused_with_the_tensors_names(load, state, change, sentence):
    with pytest.raises(WorkerRefused) as refusal:
        load("model.pkl", change(state))
    assert f"model.pkl: {sentence}" in str(refusal.value)


def test_a_long_list_of_tensors_is_cut_and_counted(load, state):
    with pytest.raises(WorkerRefused, match=r"and 2 more; give the weights of the model that"):
        load("model.pkl", without(state, *list(state)[:6]))


class Shell:
    """What unpickles to a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_with_a_command_is_refused_and_not_executed(load, state, tmp_path):
    with pytest.raises(WorkerRefused) as refusal:
        load("model.pkl", {"model": {**state, "x": Shell(f"touch {tmp_path}/executed")}})
    assert str(refusal.value) == (
        f"{tmp_path}/model.pkl: the file asks to execute '{os.system.__module__}.system'; "
        "only NumPy arrays are read: save the weights as such"
    )
    assert not (tmp_path / "executed").exists()


def test_a_torch_file_with_a_command_is_refused_and_not_executed(worker, tmp_path):
    path = str(tmp_path / "model.pth")
    worker.call("save_torch", path=path, form="shell")
    with pytest.raises(WorkerRefused, match="model.pth: not a torch weights file"):
        worker.call("load", path=path, spec=TINY)
    assert not Path(f"{path}.executed").exists()


@pytest.mark.parametrize("form", ["list", "numbers"])
def test_a_torch_file_without_named_tensors_is_refused(worker, state, tmp_path, form):
    path = str(tmp_path / "model.pth")
    worker.call("save_torch", arrays=state, path=path, form=form)
    with pytest.raises(WorkerRefused, match="model.pth: holds no tensors by name"):
        worker.call("load", path=path, spec=TINY)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.pkl", "not a whole pickle"),
        ("model.pth", "not a torch weights file"),
        ("model.npz", "not a whole .npz file"),
        (
            "model.onnx",
            "'.onnx' is not a weights file; give one of ['.npz', '.pkl', '.pt', '.pth']",
        ),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_or_foreign_file_is_refused(worker, state, tmp_path, name, sentence, share):
    whole = pickle.dumps(state)
    path = tmp_path / name
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WorkerRefused) as refusal:
        worker.call("load", path=str(path), spec=TINY)
    assert str(refusal.value).startswith(f"{path}: {sentence}")


def test_a_file_that_is_not_there_is_refused(worker, tmp_path):
    with pytest.raises(WorkerRefused, match="none.pkl: no such file; give the path of a weights"):
        worker.call("load", path=str(tmp_path / "none.pkl"), spec=TINY)


def test_seeded_weights_follow_from_the_seed(worker):
    first = worker.call("draw", spec=TINY, seed=7).arrays
    assert same(worker.call("draw", spec=TINY, seed=7).arrays, first)
    other = worker.call("draw", spec=TINY, seed=8).arrays
    assert not np.array_equal(other[STEM], first[STEM])
    # NumPy's RandomState never changes, and 17 bits hide the last digits of any machine.
    assert first[STEM][0, 0, 3, :3] == pytest.approx([0.04651737, 0.05390072, 0.08493328], rel=1e-6)
