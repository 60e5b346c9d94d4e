"""A session starts fast: what was collected is left alone, and what was compiled is kept."""

from __future__ import annotations

import gc
import sys

import pytest

from plugins import startup


def test_the_garbage_collector_runs_but_does_not_look_through_the_tests():
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000


def test_a_collection_that_fails_leaves_the_garbage_collector_on():
    hook = startup.pytest_collection()
    next(hook)
    assert not gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        hook.throw(ZeroDivisionError())
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("forbidden", "prefix", "kept_in"),
    [(True, None, "here"), (True, "/elsewhere", "/elsewhere"), (False, None, None)],
)
def test_bytecode_that_may_not_lie_beside_the_sources_is_kept(
    monkeypatch, forbidden, prefix, kept_in
):
    monkeypatch.setattr(sys, "dont_write_bytecode", forbidden)
    monkeypatch.setattr(sys, "pycache_prefix", prefix)
    monkeypatch.setattr(startup, "BYTECODE", "here")
    startup.pytest_addoption()
    assert sys.pycache_prefix == kept_in
    assert sys.dont_write_bytecode == (prefix is not None)
