"""What decides the bits of a forward pass in this interpreter, apart from the file and the image.

Two processes of the same identity return the same bits for the same input; so whatever was computed
under one identity may be used again under it, and under no other.
"""

from __future__ import annotations

import hashlib
import os
import platform
import site
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
# Variables that choose kernels, their threads or their rounding, or put other code in their place.
PREFIXES = tuple(
    "ATEN_ CONFORMANCE_ CUBLAS_ CUDA_ DNNL_ GOMP_ KMP_ LD_ MKL_ OMP_ ONEDNN_ OPENBLAS_ OPENCV_ "
    "PYTHON PYTORCH_ TORCH_".split()
)
PROCESSOR = ("model name", "flags", "Features", "CPU implementer", "CPU part")  # of /proc/cpuinfo


def identity() -> dict:
    """Interpreter, libraries, processor, threads, variables and code, as JSON can carry them."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "torch": torch.__version__,
        "build": torch.__config__.show(),
        "threads": torch.__config__.parallel_info(),
        "numpy": np.__version__,
        "cv2": cv2.__version__,
        "variables": {k: v for k, v in os.environ.items() if k.startswith(PREFIXES)},
        "ours": _digests(p for p in HERE.rglob("*.py") if "training" not in p.parts),
        "strangers": _digests(_strangers()),
    }


def _processor() -> list:
    """The first processor's lines that say which instructions it knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return [platform.processor()]
    return [line for line in lines if line.partition(":")[0].strip() in PROCESSOR]


def _strangers() -> list:
    """Files of loaded modules that are neither ours nor installed: somebody put them in between."""
    installed = [*sysconfig.get_paths().values(), *site.getsitepackages(), *_user_site()]
    homes = [HERE, *(Path(place).resolve() for place in installed)]
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    paths = {Path(file).resolve() for file in files if file}
    strange = (path for path in paths if not any(home in path.parents for home in homes))
    return [path for path in strange if path.is_file()]


def _user_site() -> list:
    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []


def _digests(paths) -> dict:
    """Path -> SHA-256 of its content."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}
