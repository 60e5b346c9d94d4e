"""After a run: what enters its certificate, and what a contradiction in it makes of the run."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import certifying, options, verdict, waivers
from plugins.certifying import SEALED, Sealed
from tests.standins import Config

OK, RED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED


class Keeper(verdict.Bookkeeper):
    """Reddens a run without a verdict to write."""

    def __init__(self):
        pass

    def redden(self, session, sentence):
        session.exitstatus, session.sentence = RED, sentence


@pytest.fixture
def config(tmp_path):
    """A run whose bookkeeper writes down what it is told."""
    made = Config(xmlpath="mine.xml", benchmark_storage="file://./none", benchmark_save=None)
    made.rootpath = tmp_path
    made.pluginmanager.get_plugin = lambda name: Keeper() if name == verdict.KEEPER else None
    made.stash[options.RUN_DIR] = tmp_path / "runs" / "one"
    return made


def touched(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.fixture
def sealed(config, monkeypatch):
    """A function that ends a run whose certificate has these faults: the exit code."""

    def end(*faults: str, judged=True, required=(), code=OK) -> int:
        monkeypatch.setattr(verdict, "judged", lambda config: judged)
        monkeypatch.setattr(certifying.certificate, "write", lambda folder, sources: "the chain")
        monkeypatch.setattr(certifying.certificate, "verify", lambda folder: list(faults))
        config.give("require", required)
        session = SimpleNamespace(config=config, exitstatus=code)
        steps = certifying.pytest_sessionfinish(session)
        next(steps)
        with pytest.raises(StopIteration) as stop:
            steps.send("a result")
        assert stop.value.value == "a result"
        return session.exitstatus

    return end


def test_a_certificate_is_sealed_and_looked_through_at_once(config, sealed, tmp_path):
    assert sealed("a fault") == OK
    assert config.stash[SEALED] == Sealed(
        tmp_path / "runs/one/certificate", "the chain", ["a fault"]
    )


def test_a_gate_whose_certificate_contradicts_itself_is_red(sealed):
    assert sealed("a fault", required=("npu",)) == RED
    assert sealed(required=("npu",)) == OK
    assert sealed("a fault", required=("npu",), code=pytest.ExitCode.INTERRUPTED) == 2


def test_a_run_without_a_verdict_has_no_certificate(config, sealed):
    assert sealed("a fault", judged=False, required=("npu",)) == OK
    assert SEALED not in config.stash


def test_the_summary_says_where_it_lies_and_what_contradicts(config, tmp_path):
    lines = []
    terminal = SimpleNamespace(write_line=lambda text, **marks: lines.append((text, marks)))
    certifying.pytest_terminal_summary(terminal, config)
    assert lines == []
    config.stash[SEALED] = Sealed(tmp_path / "runs/c", "abc", ["a fault"])
    certifying.pytest_terminal_summary(terminal, config)
    assert lines == [
        ("certificate: runs/c, chain abc", {}),
        ("  contradiction: a fault", {"red": True}),
    ]


def test_what_the_run_left_and_was_judged_by_enters_it(config, tmp_path):
    touched(
        tmp_path,
        *("conformance/contracts/a.toml", "conformance/contracts/b.toml", "conformance/contracts/c.md"),
        *("runs/one/workers/w.log", "runs/one/workers/w.txt"),
        *("runs/one/curves/k.json", "runs/one/curves/k.csv"),
    )  # fmt: skip
    home, run = tmp_path / "conformance", tmp_path / "runs/one"
    found = certifying._sources(config)
    assert found == {
        "verdict.json": run / "verdict.json",
        "junit.xml": Path("mine.xml"),
        "must_run.toml": home / "must_run.toml",
        "waivers.toml": home / "none",
        "golden.toml": tmp_path / "golden/manifest.toml",
        "contracts/a.toml": home / "contracts/a.toml",
        "contracts/b.toml": home / "contracts/b.toml",
        "workers/w.log": run / "workers/w.log",
        "curves/k.json": run / "curves/k.json",
    }
    touched(tmp_path, "conformance/waivers.toml")
    assert certifying._sources(config)["waivers.toml"] == waivers.file(config)


def test_the_samples_are_the_latest_that_were_stored_for_this_run(config, tmp_path):
    store = tmp_path / "store"
    touched(store, "x/0001_one.json", "x/0002_one.json", "x/0003_other.json", "one.json")
    os.utime(store / "x/0002_one.json", (1, 1))
    config.option.benchmark_storage = f"file://{store}"
    assert certifying._samples(config) == store / "x/0001_one.json"
    config.option.benchmark_storage = str(store)  # which pytest-benchmark takes too
    assert certifying._samples(config) == store / "x/0001_one.json"
    assert certifying._sources(config)["samples.json"] == store / "x/0001_one.json"
    config.option.benchmark_save = "other"
    assert certifying._samples(config) == store / "x/0003_other.json"
    config.option.benchmark_save = "none"
    assert certifying._samples(config) is None
    assert "samples.json" not in certifying._sources(config)
