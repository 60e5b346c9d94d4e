"""`run` and `stand_in`: training runs of a program that trains nothing, for self-tests to break."""

from __future__ import annotations

import sys

import pytest

from plugins.drivers.training import launch
from tests.training_launches import HERE, LIMITS, PLAN, PROGRAM


@pytest.fixture
def stand_in(tmp_path):
    """An "interpreter" whose torchrun is our stand-in: tests of what torchrun is not, are quick."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {HERE}/torchrun_stand_in.py "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def run(tmp_path, stand_in):
    """Run the program in a fresh folder: run("hangs", rank=1, ...)."""

    def one(kind="", *, rank=1, python=stand_in, nodes=1, per_node=2, plan=(), **more):
        fault = {"kind": kind, "rank": rank} if kind else None
        return launch(
            {**PLAN, "fault": fault, **dict(plan)},
            python=python,
            folder=tmp_path / "run",
            program=PROGRAM,
            **{"nodes": nodes, "per_node": per_node, **LIMITS, **more},
        )

    return one
