"""How a failing test reads: its own line and what the check said, without our internals."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback

from plugins import options


def rendered(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException] | None, lines: list[str]
) -> ExceptionChainRepr:
    """Text lines under the place in the test (or fixture) that they came from.

    The first line is what the short summary shows.
    """
    path, number, function = _own_place(item, excinfo)
    source = linecache.getline(str(path), number).strip()
    shown = [f"    {source}"] if source else []
    shown += [f"E   {line}" for line in lines]
    where = ReprFileLocation(options.shown(path, item.config.rootpath), number, f"in {function}")
    entry = ReprEntry(shown, None, None, where, "short")
    crash = ReprFileLocation(str(path), number, "\n".join(lines))
    return ExceptionChainRepr([(ReprTraceback([entry], None, "short"), crash, None)])


def _own_place(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException] | None
) -> tuple[Path, int, str]:
    """The first frame in the test's own file, else in a fixture, else the test itself."""
    folders = (item.path, item.config.rootpath / "fixtures")
    for home in folders:
        for frame in excinfo.traceback if excinfo else ():
            path = Path(str(frame.path))
            if path == home or home in path.parents:
                return path, frame.lineno + 1, frame.name
    path, number, _ = item.reportinfo()
    return Path(path), (number or 0) + 1, item.name
