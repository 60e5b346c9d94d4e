"""The command line and the ini settings of the suite, each with the place its value came from."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from plugins import inputs

COMMAND_LINE, INI, DEFAULT = "command line", "ini", "default"
ROLES = ("export", "infer", "train")  # of workers; each may have a Python of its own


@dataclass(frozen=True)
class Setting:
    """One thing a user can set.

    `flag` is its option and `ini` says whether an ini setting of the same name is its twin.
    `path` is "file", "folder" or "" and makes an absent path a usage error, which `cure` ends;
    `remote` lets a file be an address too, file:// or https://.
    """

    name: str
    help: str
    flag: str = ""
    metavar: str | None = None
    ini: bool = False
    many: bool = False
    path: str = ""
    default: Any = None
    cure: str = ""
    remote: bool = False
    repeat: bool = True  # whether a reproduction command needs it


SETTINGS = (
    Setting(
        "require",
        "absence of capability CAP is an error, not a skip; repeatable",
        "--require",
        "CAP",
        ini=True,
        many=True,
        default=(),
        repeat=False,
    ),
    Setting(
        "benchmark",
        "run the timing clauses too; without it the verdict says that they did not run",
        "--benchmark",
        default=False,
    ),
    Setting(
        "model_ts",
        "judge this exported TorchScript file instead of exporting one",
        "--model-ts",
        "PATH",
        path="file",
        cure="give the path of a file written by torch.jit.save",
    ),
    Setting(
        "against",
        "with --benchmark: measure whether the judged model is slower than this exported file",
        "--against",
        "PATH",
        path="file",
        cure="give the path of an older file written by torch.jit.save",
    ),
    Setting(
        "weights",
        "RetinaNet-detectron2.pkl, the trained weights",
        "--weights",
        "PATH",
        ini=True,
        path="file",
        cure="give the path of RetinaNet-detectron2.pkl, or leave it out for seeded weights",
    ),
    Setting(
        "coco_root",
        "COCO folder that holds annotations/ and val2017/; training uses train2017/ if it is there",
        "--coco-root",
        "DIR",
        ini=True,
        path="folder",
        cure="give the folder that holds annotations/instances_val2017.json and val2017/",
    ),
    Setting(
        "backbone",
        "backbone weights to train from: a path, file:// or https:// (default: seeded)",
        "--backbone",
        "FILE_OR_URL",
        ini=True,
        path="file",
        remote=True,
        cure="give the path of resnet50-0676ba61.pth, or leave it out for seeded weights",
    ),
    Setting(
        "rendezvous",
        "where two machines meet for 2x8; HOST is the first of them, the same run on each",
        "--rendezvous",
        "HOST:PORT",
        ini=True,
    ),
    Setting(
        "update_golden",
        "rewrite golden data that differs, and fail; refused under CI",
        "--update-golden",
        "REASON",
        repeat=False,
    ),
    Setting(
        "waivers",
        "known deviations (default: conformance/waivers.toml)",
        "--waivers",
        "FILE",
        ini=True,
        path="file",
        cure="give a file in the format of conformance/waivers.toml, or use --no-waivers",
    ),
    Setting("no_waivers", "judge without any waiver", "--no-waivers", default=False),
    Setting("run_slow", "run the tests marked slow", "--run-slow", default=False),
    Setting(
        "all_images",
        "judge accuracy on all images of a set, not on as few as decide it",
        "--all-images",
        ini=True,
        default=False,
    ),
    Setting(
        "devices",
        "ids of the NPUs that share the images of a set (default: all that are visible)",
        ini=True,
        many=True,
        default=(),
    ),
    Setting(
        "artifacts",
        "folder for what a run leaves behind (default: .artifacts)",
        "--artifacts",
        "DIR",
        ini=True,
        default=".artifacts",
        repeat=False,
    ),
    *(
        Setting(
            f"interpreter_{role}",
            f"Python of the {role} workers (default: the one that runs pytest)",
            ini=True,
            path="file",
            cure="give the path of a Python interpreter, or leave it empty",
        )
        for role in ROLES
    ),
)


@dataclass(frozen=True)
class Value:
    """An effective value and where it came from: command line, ini or default."""

    value: Any
    source: str


Values = Mapping[str, Value]
KEY = pytest.StashKey[Values]()
RUN_DIR = pytest.StashKey[Path]()
REFUSED = pytest.StashKey[str]()


def get(config: pytest.Config, name: str) -> Any:
    """The effective value of a setting; paths are absolute, an unset path is None."""
    return config.stash[KEY][name].value


def interpreter(config: pytest.Config, role: str) -> str:
    """The Python that the workers of a role run in."""
    return str(get(config, f"interpreter_{role}") or sys.executable)


def shown(path: Path, root: Path) -> str:
    """A path as a person reads it: relative where it lies in the house."""
    return str(path.relative_to(root)) if root in path.parents else str(path)


def refuse(config: pytest.Config, sentence: str) -> NoReturn:
    """End the run with a usage error (exit code 4) that the verdict will repeat."""
    config.stash[REFUSED] = sentence
    raise pytest.UsageError(sentence)


def is_controller(config: pytest.Config) -> bool:
    """Whether this process owns the report: false in a worker of pytest-xdist."""
    return not hasattr(config, "workerinput")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "RetinaNet conformance")
    for setting in SETTINGS:
        if setting.flag:
            shape = _argument(setting)
            group.addoption(setting.flag, dest=setting.name, help=setting.help, **shape)
        if setting.ini:
            kind = "bool" if setting.default is False else "string"
            parser.addini(setting.name, setting.help, "args" if setting.many else kind)


def _argument(setting: Setting) -> dict[str, Any]:
    if setting.metavar is None:
        return {"action": "store_true", "default": False}
    action = "append" if setting.many else "store"
    return {"action": action, "default": None, "metavar": setting.metavar}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    values = {setting.name: _effective(config, setting) for setting in SETTINGS}
    config.stash[KEY] = values
    inputs.check_coco(values["coco_root"].value, values["coco_root"].source)
    inputs.check_rendezvous(values["rendezvous"].value, values["rendezvous"].source)
    config.stash[RUN_DIR] = _run_dir(config, values["artifacts"].value)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_dir"] = str(node.config.stash[RUN_DIR])


def _run_dir(config: pytest.Config, artifacts: Path) -> Path:
    if not is_controller(config):
        return Path(config.workerinput["run_dir"])
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return artifacts / "runs" / f"{stamp}-{os.getpid()}"


def _effective(config: pytest.Config, setting: Setting) -> Value:
    given = getattr(config.option, setting.name) if setting.flag else None
    written = config.getini(setting.name) if setting.ini else None
    if given == "" or (setting.many and "" in (given or ())):
        raise pytest.UsageError(f"{setting.flag}: empty; is a variable unset?")
    if given and setting.many and written:  # a lab's ini says what is always required
        return Value(tuple(dict.fromkeys([*written, *given])), f"{INI}, {COMMAND_LINE}")
    if given not in (None, False):
        return _resolved(setting, given, COMMAND_LINE, config.invocation_params.dir)
    if written:
        return _resolved(setting, written, INI, config.rootpath)
    return _resolved(setting, setting.default, DEFAULT, config.rootpath)


def _resolved(setting: Setting, value: Any, source: str, folder: Path) -> Value:
    if setting.many:
        return Value(tuple(value), source)
    if value is None or not (setting.path or setting.name == "artifacts"):
        return Value(value, source)
    if setting.remote:
        value = inputs.local_part(setting.flag, value, source)
        if inputs.is_remote(value):
            return Value(value, source)
    # not resolve(): a virtual environment's interpreter is a link that must stay one
    path = folder / os.path.expanduser(value)
    place = setting.flag or f"ini setting {setting.name}"
    inputs.check_kind(place, path, setting.path, setting.cure)
    return Value(path, source)


def pytest_report_header(config: pytest.Config) -> list[str]:
    values = config.stash[KEY]
    chosen = [
        f"conformance: {name.replace('_', '-')} {_shown(config, item.value)} ({item.source})"
        for name, item in values.items()
        if item.source != DEFAULT
    ]
    unset = [name.replace("_", "-") for name, item in values.items() if item.source == DEFAULT]
    return [*chosen, f"conformance: at their defaults: {', '.join(unset)}"]


def _shown(config: pytest.Config, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, Path):
        return shown(value, config.rootpath)
    return "on" if value is True else str(value)
