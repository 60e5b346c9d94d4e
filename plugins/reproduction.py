"""The one command that repeats a test as this run had it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from plugins import options


def command(item: pytest.Item) -> str:
    """What to type in the folder of the suite to run one test again, quoted for a shell."""
    words = [*_pytest(item.config.rootpath), item.nodeid, *_given(item.config)]
    if item.get_closest_marker("slow") and "--run-slow" not in words:
        words.append("--run-slow")
    return " ".join(map(shlex.quote, words))


def _pytest(house: Path) -> list[str]:
    """This interpreter's: the first pytest on PATH may be one without any of our packages."""
    python = Path(sys.executable)
    inside = house in python.parents
    return [str(python.relative_to(house) if inside else python), "-m", "pytest"]


def _given(config: pytest.Config) -> list[str]:
    """The command-line arguments that matter to one test.

    With "=", because pytest takes the value of an option that it does not know yet for a path, and
    looks for its settings there.
    """
    words = []
    for setting in options.SETTINGS:
        given = config.stash[options.KEY][setting.name]
        if given.source == options.COMMAND_LINE and setting.repeat:
            bare = setting.metavar is None
            words.append(setting.flag if bare else f"{setting.flag}={given.value}")
    overrides = config.option.override_ini or ()
    return words + [word for one in overrides for word in ("-o", one)]
