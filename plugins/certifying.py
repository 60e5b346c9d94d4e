"""After a run that judged the product: its certificate, verified at once, and where it lies."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugins import benchmark, books, certificate, options, verdict, waivers

FOLDER = "certificate"


@dataclass(frozen=True)
class Sealed:
    """A certificate that was written: its folder, its chain value, and what contradicts in it."""

    folder: Path
    chain: str
    faults: list[str]


SEALED = pytest.StashKey[Sealed]()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """The innermost wrapper: later than everybody who writes a file, earlier than the summary."""
    result = yield
    config = session.config
    if verdict.judged(config):
        keeper = config.pluginmanager.get_plugin(verdict.KEEPER)
        with keeper.told(session):
            sealed = config.stash[SEALED] = _seal(config)
            gate = options.get(config, "require")
            if gate and sealed.faults and session.exitstatus == pytest.ExitCode.OK:
                keeper.redden(session, f"certificate: contradicts itself: {sealed.faults[0]}")
                config.stash[SEALED] = _seal(config)  # verdict.json has another exit code now
    return result


def _seal(config: pytest.Config) -> Sealed:
    folder = config.stash[options.RUN_DIR] / FOLDER
    chain = certificate.write(folder, _sources(config))
    return Sealed(folder, chain, certificate.verify(folder))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    sealed = config.stash.get(SEALED, None)
    if sealed:
        where = options.shown(sealed.folder, config.rootpath)
        terminalreporter.write_line(f"certificate: {where}, chain {sealed.chain}")
        for fault in sealed.faults:
            terminalreporter.write_line(f"  contradiction: {fault}", red=True)


def _sources(config: pytest.Config) -> dict[str, Path]:
    """Name in the certificate -> file: what the run left, and what it was judged by."""
    run, home = config.stash[options.RUN_DIR], config.rootpath / "conformance"
    sources = {
        certificate.VERDICT: run / "verdict.json",
        certificate.JUNIT: Path(config.option.xmlpath),
        "must_run.toml": config.rootpath / books.FILE,
        "waivers.toml": waivers.file(config) or home / "none",
        "golden.toml": config.rootpath / "golden" / "manifest.toml",
    }
    for folder, pattern in ((home / "contracts", "*.toml"), (run / "workers", "*.log")):
        sources.update({f"{folder.name}/{p.name}": p for p in folder.glob(pattern)})
    sources.update({f"curves/{p.name}": p for p in (run / "curves").glob("*.json")})
    samples = _samples(config)
    return {**sources, certificate.SAMPLES: samples} if samples else sources


def _samples(config: pytest.Config) -> Path | None:
    """The file that pytest-benchmark stored for this run."""
    storage = benchmark.storage(config)
    name = config.option.benchmark_save or config.stash[options.RUN_DIR].name
    return max(storage.rglob(f"*_{name}.json"), key=lambda p: p.stat().st_mtime, default=None)
