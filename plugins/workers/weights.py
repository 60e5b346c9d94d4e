"""Weights from wherever they are declared to be, complete and under detectron2's names.

Kinds (the contract's [weights] table, or the option --weights): `seeded` (seeded.py and its
calibration file), `checkpoint` (NumPy .npz), `file` (a detectron2 .pkl, read without executing
pickled code, or a torch .pth), `archive` (those inside an exported model.ts).
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import seeded
import torch
from protocol import Refusal

# Names that a detectron2 file carries beside the weights: constants of the architecture.
CONSTANTS = re.compile(r"(^|\.)(pixel_mean|pixel_std|cell_anchors[._]\d|num_batches_tracked)$")
HARMLESS = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}
SHOWN = 4
FIRST_LAYER = "backbone.bottom_up.stem.conv1.weight"
# detectron2's FrozenBatchNorm2d takes this off every variance of a layer whose state dict says that it
# comes from a version below 3: such variances already include the epsilon.
EPSILON, OWN_VERSION = np.float32(1e-5), 3


def fill(network: torch.nn.Module, weights: dict) -> None:
    """Load the declared weights into a RetinaNet; every tensor, no other, right shapes.

    Raises:
        Refusal: the file is missing, broken, or of another model.
    """
    if weights["kind"] == "seeded":
        seeded.draw(network, weights["seed"])
        seeded.apply(network, _read_npz(Path(weights["calibration"])))
        return
    network.load_state_dict(declared(network, weights))


def declared(network: torch.nn.Module, weights: dict) -> dict:
    """The state of a RetinaNet as a weights file has it, whatever a network made of it."""
    path = Path(weights["path"])
    return check_complete(read(path, weights["kind"]), network, path)


def read(path: Path, kind: str) -> dict:
    """All tensors of a weights file by name (constants left out), as float32 arrays."""
    if not path.is_file():
        raise Refusal(f"{path}: no such file; give the path of a weights file")
    if kind != "archive":
        _check_not_exported(path)
    readers = {".pkl": _read_pickle, ".pth": _read_torch, ".pt": _read_torch, ".npz": _read_npz}
    reader = _read_archive if kind == "archive" else readers.get(path.suffix)
    if reader is None:
        raise Refusal(
            f"{path}: '{path.suffix}' is not a weights file; give one of {sorted(readers)}"
        )
    found = {k: v for k, v in reader(path).items() if not CONSTANTS.search(k)}
    odd = [k for k, v in found.items() if np.asarray(v).dtype.kind not in "fiu"]
    if odd:
        raise Refusal(f"{path}: '{odd[0]}' holds no numbers; give a file of float tensors")
    return {k: np.asarray(v, np.float32) for k, v in found.items()}


def _check_not_exported(path: Path) -> None:
    """A TorchScript archive has its code beside its weights; torch's own weights files have none."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except Exception as error:
        raise Refusal(f"{path}: not a whole zip archive ({error}); fetch the file again") from None
    if any("/code/" in name for name in names):
        raise Refusal(
            f"{path}: an exported model, not a weights file; judge it by --model-ts, and "
            "give by --weights the file that it was exported from"
        )


def check_complete(found: dict, network: torch.nn.Module, path: Path) -> dict:
    """The state dict for `network`; Refusal if a tensor is missing, surplus or misshapen."""
    expected = network.state_dict()
    missing = [k for k in expected if k not in found]
    surplus = [k for k in found if k not in expected]
    misshapen = [
        f"{k} {tuple(found[k].shape)} instead of {tuple(v.shape)}"
        for k, v in expected.items()
        if k in found and found[k].shape != tuple(v.shape)
    ]
    broken = [k for k, v in found.items() if not np.isfinite(v).all()]
    for names, sentence in (
        (missing, "tensors of this model are missing"),
        (surplus, "tensors do not belong to this model"),
        (misshapen, "tensors have another shape"),
        (broken, "tensors hold NaN or infinity"),
    ):
        if names:
            rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise Refusal(
                f"{path}: {len(names)} {sentence}: {', '.join(names[:SHOWN])}{rest}; "
                "give the weights of the model that the contract describes"
            )
    return {k: torch.from_numpy(np.array(found[k])) for k in expected}


def facts(state: dict, path: Path) -> dict:
    """What tells trained weights from others: the first layer, the class head, untouched layers."""
    norms = [k[: -len("bias")] for k in state if k.endswith(".norm.bias")]
    alone = [f"{norm}bias" for norm in norms if f"{norm}weight" not in state]
    if alone:
        raise Refusal(
            f"{path}: '{alone[0]}' has no weight beside it; give the weights of the model that the "
            "contract describes"
        )
    first = state.get(FIRST_LAYER, np.zeros(1, np.float32)).astype(np.float64)
    score = {k: state.get(f"head.cls_score.{k}", np.zeros(1)) for k in ("weight", "bias")}
    return {
        "first_layer_mean": float(first.mean()),
        "first_layer_std": float(first.std()),
        "score_bias_mean": float(score["bias"].mean()),
        "score_bias_spread": float(np.ptp(score["bias"])),
        "score_weight_std": float(score["weight"].std()),
        "initial": [
            k[: -len(".bias")] for k in state if k.endswith(".bias") and _initial(state, k)
        ],
    }


def _initial(state: dict, bias: str) -> bool:
    """Whether a layer is as a new one: biases of zero, and in a normalisation also weights of one.

    A normalisation's statistics say nothing: published backbones have them folded into the others.
    """
    normal = not bias.endswith(".norm.bias") or (state[f"{bias[: -len('bias')]}weight"] == 1).all()
    return bool(normal and not state[bias].any())


def compare(found: dict, expected: dict) -> dict:
    """How many tensors of two complete sets are bit-equal, which are not, and if rounding explains it."""
    differing = [k for k in expected if not np.array_equal(found.get(k), expected[k])]
    rounded = _rounding(found, expected) if differing else ""
    return {"tensors": len(expected), "differing": differing, "rounded": rounded}


def _rounding(found: dict, expected: dict) -> str:
    """The format that every expected tensor was rounded to, if that is all that differs."""
    for name in ("bfloat16", "float16"):
        kept = {k: torch.from_numpy(v).to(getattr(torch, name)) for k, v in expected.items()}
        if all(np.array_equal(found.get(k), v.float().numpy()) for k, v in kept.items()):
            return name
    return ""


def _place(module: str) -> str:
    """Where this NumPy has what a file of NumPy 2 calls numpy._core, or one of NumPy 1 numpy.core."""
    if not module.startswith("numpy."):
        return module
    own = "numpy._core" if int(np.__version__.split(".")[0]) > 1 else "numpy.core"
    return re.sub(r"numpy\._?core", own, module)


class _Unpickler(pickle.Unpickler):
    """Arrays, strings, numbers and containers only: a weights file has no business with code."""

    def find_class(self, module: str, name: str):
        if (module, name) in HARMLESS:
            return super().find_class(_place(module), name)
        raise Refusal(f"the file asks to execute '{module}.{name}'")


def _read_pickle(path: Path) -> dict:
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    except Refusal as error:
        raise Refusal(
            f"{path}: {error}; only NumPy arrays are read: save the weights as such"
        ) from None
    except Exception as error:
        raise Refusal(f"{path}: not a whole pickle ({error}); fetch the file again") from None
    content = _tensors(content, path, "dtype")
    return _as_loaded(content, {k: np.asarray(v) for k, v in content.items()})


def _read_torch(path: Path) -> dict:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except TypeError:
        raise Refusal(
            f"{path}: torch {torch.__version__} cannot read .pth files safely; give a .pkl"
        ) from None
    except Exception as error:
        raise Refusal(
            f"{path}: not a torch weights file ({str(error)[:80]}); fetch it again"
        ) from None
    content = _tensors(content, path, "detach")
    return _as_loaded(content, {k: v.detach().float().numpy() for k, v in content.items()})


def _tensors(content, path: Path, mark: str) -> dict:
    """The tensors by name, under "model" or at the top; `mark` is what each of them has."""
    content = content.get("model", content) if isinstance(content, dict) else {}
    named = isinstance(content, dict) and all(isinstance(k, str) for k in content)
    if not content or not named or not all(hasattr(v, mark) for v in content.values()):
        raise Refusal(f"{path}: holds no tensors by name; give a file with a model's state")
    return content


def _as_loaded(content: dict, state: dict) -> dict:
    """The variances as detectron2's own loading leaves them: it asks the state dict's versions."""
    versions = getattr(content, "_metadata", None) or {}
    for name in [k for k in state if k.endswith(".running_var")]:
        version = versions.get(name[: -len(".running_var")], {}).get("version")
        if version is not None and version < OWN_VERSION:
            state[name] = state[name].astype(np.float32) - EPSILON
    return state


def _read_npz(path: Path) -> dict:
    try:
        with np.load(path, allow_pickle=False) as content:
            return {k: content[k] for k in content.files}
    except Exception as error:
        raise Refusal(
            f"{path}: not a whole .npz file ({error}); restore it from version control"
        ) from None


def _read_archive(path: Path) -> dict:
    import archive

    return archive.state(archive.load(path))
