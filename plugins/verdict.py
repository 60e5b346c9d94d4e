"""The end of a run: one table, one word, verdict.json, JUnit, and the exit code of a gate."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from plugins import (
    books,
    capability,
    evidence,
    inconclusive,
    judgement,
    ledger,
    machine,
    options,
    provenance,
)
from plugins.certificate import sha256
from plugins.clauses import LEDGER, refuse_blocked
from plugins.judgement import Judgement, Scope
from plugins.ledger import Ledger
from plugins.store import write_atomically
from plugins.waivers import PATIENCE, WAIVERS, Waiver

SCHEMA = 1
RUN_DIR = options.RUN_DIR
BOOKS = ("broken", "remarks", "gaps", "overdue", "trouble", "interrupted")
XDIST_BOOKS = "conformance_books"
KEEPER = "conformance-bookkeeper"
REFUSALS = (OSError, ValueError)  # of a disk; the second where a name is no text


def pytest_configure(config: pytest.Config) -> None:
    refuse_blocked(config)
    config.pluginmanager.register(Bookkeeper(config), KEEPER)
    given = config.option.xmlpath
    if given:  # as pytest reads it; the certificate takes the file from there
        config.option.xmlpath = os.path.expanduser(os.path.expandvars(given))
    elif not config.option.collectonly:
        config.option.xmlpath = str(config.stash[RUN_DIR] / "junit.xml")


def judged(config: pytest.Config) -> bool:
    """Whether this run was about the product: a run of self-tests alone has no verdict."""
    if config.option.collectonly or not options.is_controller(config):
        return False
    books = config.stash[LEDGER]
    return bool(books.entries or books.broken) or not books.self_tests


class Bookkeeper:
    """Writes outcomes into the ledger, and the verdict from it; xdist workers send their plans."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.started = _now()
        self.verdict: tuple[Judgement, list[dict[str, Any]]] | None = None

    @property
    def books(self) -> Ledger:
        return self.config.stash[LEDGER]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        findings = getattr(report, "conformance", None)
        if findings is None and report.failed:
            findings = {"outcome": ledger.ERROR, "reason": "its process died"}
        self.books.record(report.nodeid, getattr(report, "duration", 0.0), findings or {})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and report.nodeid.startswith("conformance"):
            self.books.broken.append(report.nodeid)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest also stops itself this way, after collection errors: that is told by their names
        if not isinstance(excinfo.value, pytest.Session.Interrupted):
            self.books.interrupted = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        books = getattr(node, "workeroutput", {}).get(XDIST_BOOKS)
        if books:
            self.books.merge(json.loads(books))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Timings that cannot be stored take no verdict with them; a wrapper of theirs saves them."""
        timings = self.config._benchmarksession
        save = timings.handle_saving

        def saved() -> None:
            with self.told(session):
                save()

        timings.handle_saving = saved

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, None]:
        """Around everybody who writes a file, within what seals the certificate and draws."""
        if not options.is_controller(self.config):
            self.config.workeroutput[XDIST_BOOKS] = json.dumps(self.books.as_dict())
        with self.told(session):
            yield
        if not judged(self.config):
            return
        with self.told(session):
            _close(self.config, _scope(self.config))
        with self.told(session):
            self._speak(session)
        with self.told(session):
            _point_at(self.config.stash[RUN_DIR])

    def _speak(self, session: pytest.Session) -> None:
        """The word from the books, the exit code that follows from it, and both in verdict.json."""
        verdict = judgement.judge(self.books, _scope(self.config))
        self.verdict = verdict, judgement.rows(self.books, self.rates())
        red = verdict.holes or any(entry.outcome in ledger.RED for entry in self.books)
        if red and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        _write(self.config.stash[RUN_DIR], self._document(session.exitstatus))

    def redden(self, session: pytest.Session, sentence: str) -> None:
        """Write down what went wrong at the end of a run; the run is red, and verdict.json says so."""
        self.books.trouble.append(sentence)
        with contextlib.suppress(*REFUSALS):  # the word is spoken; a full disk was told before
            self._speak(session)

    @contextlib.contextmanager
    def told(self, session: pytest.Session) -> Iterator[None]:
        """What the disk refuses at the end of a run is red by name, and takes nothing else with it."""
        try:
            yield
        except REFUSALS as error:
            if not judged(self.config):
                raise
            place = getattr(error, "filename2", "") or getattr(error, "filename", "") or "the disk"
            cause = f"{place}: {getattr(error, 'strerror', '') or error}, at the end of the run"
            self.redden(session, f"{cause}; put that in order and run again")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.verdict is None:
            return
        verdict, rows = self.verdict
        terminalreporter.section("verdict")
        for line in judgement.table(rows) if rows else ():
            terminalreporter.write_line(line)
        good = verdict.word == judgement.CONFORMANT
        terminalreporter.write_line(verdict.headline(), bold=True, green=good, red=not good)
        for reason in [*verdict.reasons, *(f"red: {hole}" for hole in verdict.holes)]:
            terminalreporter.write_line(f"  {reason}")
        written = self.config.stash[RUN_DIR] / "verdict.json"
        terminalreporter.write_line(f"written: {options.shown(written, self.config.rootpath)}")

    def _document(self, exit_code: int) -> dict[str, Any]:
        verdict, rows = self.verdict
        return {
            "schema": SCHEMA,
            "word": verdict.final_word(),
            "headline": verdict.headline(),
            "reasons": verdict.reasons,
            "holes": verdict.holes,
            "exit_code": int(exit_code),
            "started": self.started,
            "ended": _now(),
            "suite": provenance.suite_version(self.config.rootpath),
            "command": ["pytest", *map(str, self.config.invocation_params.args)],
            "options": _options(self.config),
            "environment": provenance.environment(self.config),
            "scope": asdict(_scope(self.config)),
            "books": {name: getattr(self.books, name) for name in BOOKS},
            "counts": dict(Counter(entry.outcome for entry in self.books)),
            "rows": rows,
            "false_alarms": self.rates(),
            "tests": [asdict(entry) for entry in self.books],
            "waivers": [self._waived(waiver) for waiver in self.config.stash[WAIVERS]],
            "artifacts": {
                "folder": str(self.config.stash[RUN_DIR]),
                "junit": str(self.config.option.xmlpath),
            },
        }

    def rates(self) -> dict[str, str]:
        """How often each clause of this run was wrong about a clean product, as far as measured."""
        known = evidence.rates(self.config.rootpath)
        clauses = dict.fromkeys(entry.clause for entry in self.books)
        return {clause: known[clause] for clause in clauses if clause in known}

    def _waived(self, waiver: Waiver) -> dict[str, Any]:
        tests = [entry.nodeid for entry in self.books if entry.waiver == waiver.id]
        return {**waiver.as_dict(), "tests": tests}


def _scope(config: pytest.Config) -> Scope:
    known = capability.of(config)
    expression = config.option.markexpr.strip()
    return Scope(
        lane=expression if expression in ledger.LANES else "",
        partial=partial_selection(config),
        required=tuple(options.get(config, "require")),
        refused=config.stash.get(options.REFUSED, ""),
        absent=tuple(name for name in capability.VOCABULARY if not known.present(name)),
    )


def _close(config: pytest.Config, scope: Scope) -> None:
    """Compare the books with the must-run list, and see what has been inconclusive for too long."""
    whole = config.stash[LEDGER]
    if not scope.partial and not scope.refused:
        whole.gaps = books.faults(config.rootpath / books.FILE, whole, scope.lane)
    given = options.get(config, "model_ts")
    whole.overdue = inconclusive.overdue(
        options.get(config, "artifacts") / inconclusive.NAME,
        whole,
        days=config.stash[PATIENCE],
        today=machine.today(),
        of=f"of {sha256(given)[:12]}" if given else "",
    )


def partial_selection(config: pytest.Config) -> str:
    """That only a part of conformance/ was named on the command line, in words; else empty."""
    home = config.rootpath / "conformance"
    named = [(config.invocation_params.dir / arg.split("::")[0], arg) for arg in config.args]
    for path, arg in named:
        whole = Path(os.path.normpath(path))
        if "::" not in arg and (whole == home or whole in home.parents):
            return ""
    return f"only {', '.join(arg for _, arg in named)} was selected"


def _options(config: pytest.Config) -> dict[str, Any]:
    return {
        name: {"value": None if item.value is None else str(item.value), "source": item.source}
        for name, item in config.stash[options.KEY].items()
    }


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _write(folder: Path, document: dict[str, Any]) -> None:
    """Write verdict.json, whole or not at all."""
    text = json.dumps(_strict(document), indent=2, ensure_ascii=False, allow_nan=False)
    content = (text + "\n").encode("utf-8", "backslashreplace")  # odd file names
    write_atomically(folder / "verdict.json", content)


def _strict(value: Any) -> Any:
    """JSON knows neither NaN nor infinity: a number that is none is written as text."""
    if isinstance(value, dict):
        return {name: _strict(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _point_at(folder: Path) -> None:
    """Let `latest` be the link to a run, the next moment after it was another's."""
    link = folder.parent / f"latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(folder.name, target_is_directory=True)
        os.replace(link, folder.parent / "latest")
    finally:
        link.unlink(missing_ok=True)
