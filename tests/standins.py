"""`Config` and `Item`: as much of pytest's as our hooks ask for, to call them one by one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins import capability, options
from plugins.clauses import LEDGER
from plugins.ledger import Ledger

ROOT = Path("/house")
NODE = "conformance/test_outputs.py::test_range"


class Config(SimpleNamespace):
    """As much of a configuration as the rules ask for."""

    def __init__(self, **chosen):
        option = SimpleNamespace(**{"keyword": "", "markexpr": "", "override_ini": None, **chosen})
        plugins = SimpleNamespace(list_name_plugin=list)
        super().__init__(stash=pytest.Stash(), rootpath=ROOT, option=option, pluginmanager=plugins)
        known = SimpleNamespace(runtime=lambda: "310P3", training_runtime=lambda: "A100")
        self.stash[capability.KEY] = known
        self.stash[LEDGER] = Ledger()
        given = {s.name: options.Value(s.default, options.DEFAULT) for s in options.SETTINGS}
        self.stash[options.KEY] = given

    def give(self, name, value):
        self.stash[options.KEY][name] = options.Value(value, options.COMMAND_LINE)


class Item(SimpleNamespace):
    """As much of a test as the rules ask for; its markers are the closest first."""

    def __init__(self, *marks, config=None, path="conformance/test_outputs.py", **fields):
        super().__init__(marks=[mark.mark for mark in marks], stash=pytest.Stash(), nodeid=NODE)
        self.config, self.path, self.name = config or Config(), ROOT / path, "test_range"
        self.__dict__.update(fields)

    def iter_markers(self, name):
        return (mark for mark in self.marks if mark.name == name)

    def get_closest_marker(self, name):
        return next(self.iter_markers(name), None)

    def reportinfo(self):
        return self.path, self.line, self.name

    line = 6
