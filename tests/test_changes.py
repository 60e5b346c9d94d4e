"""What a failure says of what changed since its record was made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fixtures import changes
from plugins import capability, machine, updating
from plugins.drivers.process import WorkerCrashed

NAME = "retinanet_shapes/scene/oracle.npz"
VERSIONS = {"python": "3.9.11", "torch": "2.0.1", "torchvision": "0.15.2", "numpy": "1.26.4"}
NOW = {**VERSIONS, "runtime": "torch_aie 6.3.rc2", "emulated": False}
RECORD = {"versions": VERSIONS, "machine": "x86_64 Linux"}
ASCEND = {"driver": "23.0.rc1", "firmware": "6.3.0.1.241", "CANN": "7.0.RC1.alpha003"}


@pytest.fixture
def config(monkeypatch):
    """A session on a machine as the source's, with golden data that was made on one as well."""
    monkeypatch.setattr(machine, "machine", lambda: "x86_64 Linux")
    monkeypatch.setattr(machine, "ascend", lambda: ASCEND)
    config = SimpleNamespace(record={**RECORD, "versions": {**VERSIONS, **ASCEND}}, now=dict(NOW))
    store = SimpleNamespace(manifest=lambda: {NAME: config.record})
    known = SimpleNamespace(present=lambda name: not config.now["emulated"])
    config.stash = {updating.KEY: store, capability.KEY: known}
    config.call = lambda role, op, **arguments: SimpleNamespace(result=config.now)
    lab = SimpleNamespace(call=lambda *a, **k: config.call(*a, **k), library=lambda role: "x.so")
    monkeypatch.setattr(changes, "lab_of", lambda config: lab)
    return config


def test_where_nothing_changed_it_says_so(config):
    assert changes.since_golden(config, NAME) == {"changed since golden": "nothing"}
    assert changes.since_source(config) == {"changed since the source's figures": "nothing"}


def test_each_version_that_changed_stands_with_both_its_values(config, monkeypatch):
    config.now["torch"] = "2.1.0"
    monkeypatch.setattr(machine, "machine", lambda: "aarch64 Linux")
    assert changes.since_golden(config, NAME)["changed since golden"] == (
        "torch 2.0.1 -> 2.1.0, machine x86_64 Linux -> aarch64 Linux"
    )


def test_a_driver_that_was_not_there_is_a_change_too(config):
    config.record = RECORD
    assert changes.since_golden(config, NAME)["changed since golden"] == (
        "driver absent -> 23.0.rc1, firmware absent -> 6.3.0.1.241, CANN absent -> 7.0.RC1.alpha003"
    )


def test_a_timing_is_compared_with_the_versions_of_the_sources_figures(config, monkeypatch):
    monkeypatch.setattr(machine, "ascend", lambda: {**ASCEND, "driver": "24.1.rc1"})
    config.now["emulated"] = True
    assert changes.since_source(config)["changed since the source's figures"] == (
        "driver is 24.1.rc1, not 23.0.rc1; torch_aie is not found, not 6.3.rc2"
    )


def test_a_worker_that_does_not_answer_leaves_the_failure_as_it_is(config):
    def crash(*arguments, **named):
        raise WorkerCrashed("gone")

    config.call = crash
    assert changes.since_golden(config, NAME) == changes.since_source(config) == {}


def test_a_test_without_a_record_has_nothing_to_say(config):
    assert changes.since_golden(config, "") == {}
