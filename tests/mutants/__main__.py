"""Mutation testing of the judge: python -m tests.mutants [FILE ...] [-k WORD] [--jobs N].

Without a FILE: all of plugins/checks and plugins/contracts, then the code of the gate. What is known
already is not tried again; the survivors are listed at the end. --evidence writes golden/evidence/mutants.json.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.mutants import evidence
from tests.mutants.campaign import Campaign
from tests.mutants.record import Record, check_equivalents, read_equivalents
from tests.mutants.selftests import SelfTests, leave_alone
from tests.mutants.source import Source

HOUSE = Path(__file__).resolve().parent.parent.parent
# Imported before any fork, so that none has to; nothing of ours is among them.
EARLY = (
    "numpy",
    "pytest",
    "hypothesis",
    "hypothesis.extra.numpy",
    "pycocotools.cocoeval",
    "PIL.Image",
)
GATE = (
    *("judgement", "ledger", "books", "waivers", "inconclusive", "verdict", "consistency"),
    *("certificate", "certifying", "capability", "clauses", "updating", "pinning"),
    *("training_device", "machine", "failing", "failure", "inputs"),
)


def main(words: list[str]) -> int:
    options = arguments().parse_args(words)
    for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background ignores the first
        signal.signal(number, signal.default_int_handler)
    root = Path(options.root).resolve()
    folder = root / ".artifacts/mutants"
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    sources, records = {}, {}
    known = read_equivalents(root / "tests/mutants/equivalent.toml")
    paths = chosen(root, options.file, options.k)
    if options.known:
        for path in paths:
            source = Source(root / path)
            record = Record(root, folder, source, None)
            if all(mutant.key in record.fates for mutant in source.mutants):
                sources[path], records[path] = source, record
            else:
                print(f"{path}: not measured", file=sys.stderr)
    else:
        prepare(root)
        for path, source, record in tried(root, folder, paths, options):
            sources[path], records[path] = source, record
    check_equivalents(known, sources, records)
    report = evidence.report(sources, records, known)
    print(evidence.text(report))
    if options.evidence:
        evidence.write(root / "golden/evidence/mutants.json", report, sys.argv[1:])
    return 0


def tried(root: Path, folder: Path, paths: list[str], options) -> Iterator[tuple]:
    """Each module with its source and the fates of all its mutants."""
    selftests = SelfTests(root, folder, options.tests)
    for file, count in selftests.read(paths, options.jobs):
        if options.loud:
            print(f"{file}: {count} tests", file=sys.stderr)
    for path in paths:
        source = Source(root / path)
        record = Record(root, folder, source, selftests.state(path))
        if selftests.stale(path):
            print(f"{path}: changed while it was measured; run it again", file=sys.stderr)
        else:
            Campaign(source, root, selftests, record).run(options.jobs)
            yield path, source, record


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("file", nargs="*", help="modules, relative to the root")
    parser.add_argument("-k", default="", help="only modules whose path contains this")
    parser.add_argument(
        "--tests", nargs="+", default=(), help="ask only test files named like this"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument(
        "--evidence", action="store_true", help="write golden/evidence/mutants.json"
    )
    parser.add_argument("--known", action="store_true", help="try nothing, say what is known")
    parser.add_argument("--loud", action="store_true", help="show the clean run, file by file")
    parser.add_argument("--root", default=str(HOUSE), help="the project, if it is another one")
    return parser


def chosen(root: Path, files: list[str], word: str) -> list[str]:
    """The modules to mutate, in their order of weight."""
    folders = (sorted(root.glob(f"plugins/{name}/*.py")) for name in ("checks", "contracts"))
    found = [path.relative_to(root).as_posix() for folder in folders for path in folder]
    found += [f"plugins/{name}.py" for name in GATE]
    return [path for path in files or found if word in path and (root / path).stat().st_size]


def prepare(root: Path) -> None:
    """Import what all tests need and nothing of ours; examples are few and always the same."""
    sys.path.insert(0, str(root))
    for name in EARLY:
        importlib.import_module(name)
    hypothesis = sys.modules["hypothesis"]
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, max_examples=20, deadline=None, database=None
    )
    hypothesis.settings.load_profile("mutants")
    leave_alone()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
