"""Which suite, which environment: what a verdict and golden data say about their origin."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins import capability, machine, options

PACKAGES = ("pytest", "pytest-benchmark", "numpy", "pycocotools", "hypothesis", "pillow")
# where a file that git does not know may change a verdict; of the root only what pytest or Python reads there
JUDGING = (
    *("conformance", "fixtures", "golden", "mmdet_ops", "plugins"),
    *(":(glob)*.py", ":(glob)*.ini", ":(glob)*.toml"),
)


def environment(config: pytest.Config) -> dict[str, Any]:
    """Python, platform, packages, what the workers have, what lies below, and the capabilities.

    `fingerprint` is one number for all versions: two runs that differ in it are not alike.
    """
    known = config.stash[capability.KEY]
    versions = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: machine.version(name) for name in PACKAGES},
        "workers": {
            role: {name: module["version"] for name, module in known.modules(role).items()}
            for role in options.ROLES
        },
        "system": machine.system(),
    }
    return {
        **versions,
        "fingerprint": machine.fingerprint(versions),
        "capabilities": {
            name: {"present": known.present(name), "why": known.why(name)}
            for name in capability.VOCABULARY
        },
        "lanes": {"npu": known.runtime(), "a100": known.training_runtime()},
    }


def suite_version(root: Path) -> str:
    """The git commit of the suite, with "-dirty" where files differ or were added; "unknown" outside git."""
    try:
        commit = _git(root, "describe", "--always", "--dirty", "--abbrev=40", "--match=")
        added = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *JUDGING)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-dirty" if added and not commit.endswith("-dirty") else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()
