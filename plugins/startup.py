"""What makes a session start fast: collected objects are left alone, compiled tests are kept.

First in the list of plugins, so that it is there before the others are compiled.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

BYTECODE = Path(__file__).resolve().parents[1] / ".artifacts" / "bytecode"


def pytest_addoption() -> None:
    """Where nothing may be compiled beside the sources (-B), it goes where runs leave things.

    The first hook that a plugin gets. pytest rewrites the asserts of each file that it imports, and
    without a place to keep the result it does so at each start: a second for our tests.
    """
    if sys.dont_write_bytecode and sys.pycache_prefix is None:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(BYTECODE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """The tests live as long as the session: the garbage collector never looks through them.

    It would go through all of them many times while they are made, and five times at the end.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        if running:
            gc.enable()
