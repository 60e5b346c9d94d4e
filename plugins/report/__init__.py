"""report.html and summary.md of each run that judged the product, beside its verdict.json."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from plugins import options, verdict
from plugins.report import contents, page, summary
from plugins.store import write_atomically

REPORT, SUMMARY = "report.html", "summary.md"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that GitHub Actions shows on the page of the job
SAID = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """After everybody who writes a file. A report that cannot be drawn is said, and spoils no run."""
    result = yield
    config = session.config
    if verdict.judged(config):
        try:
            path = write(config.stash[options.RUN_DIR], storage(config), golden(config.rootpath))
            config.stash[SAID] = f"report: {options.shown(path, config.rootpath)}"
        except Exception as error:
            config.stash[SAID] = f"report: none, {type(error).__name__}: {error}"
    return result


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if SAID in config.stash:
        terminalreporter.write_line(config.stash[SAID])


def storage(config: pytest.Config) -> Path:
    """Where the timings of all runs lie, whatever their machine class."""
    return Path(options.get(config, "artifacts"), "benchmarks")


def golden(root: Path) -> Path:
    """The manifest that says what golden data was made with."""
    return root / "golden" / "manifest.toml"


def write(folder: Path, timings: Path, manifest: Path) -> Path:
    """Draw the report of the run in a folder; its path."""
    shown = contents.read(folder, storage=timings, manifest=manifest)
    text = summary.markdown(shown)
    write_atomically(folder / SUMMARY, text.encode("utf-8"))
    write_atomically(folder / REPORT, page.html(shown).encode("utf-8"))
    if os.environ.get(STEP_SUMMARY):
        with open(os.environ[STEP_SUMMARY], "a", encoding="utf-8") as step:
            step.write(text)
    return folder / REPORT
