"""The house: who may import whom, what stands at the top, how long a module may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
TOP = {
    *("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile"),
    *("pyproject.toml", "pytest.ini", "conftest.py"),
    *("conformance", "fixtures", "golden", "plugins", "mmdet_ops", "tests", "requirements"),
    *("docs", ".ci", ".gitignore"),
}
OPTIONAL = {"benchmarks"}
FRAMEWORKS = {"torch", "torchvision", "detectron2", "torch_aie", "mindietorch"}
LONGEST = 300
HOOKS = (
    *("options", "capability", "clauses", "waivers", "updating", "benchmark", "verdict"),
    *("failing", "judgement", "ledger", "probe", "provenance", "contracts", "store", "failure"),
    *("books", "inconclusive", "certificate", "consistency", "report"),
    *("machine", "inputs", "pinning", "training_device", "evidence", "reproduction"),
)
KNOWLEDGE = ("contracts", "store", "failure")
# a folder, or a module and those that its name begins, and the modules of ours that its files may
# import; the first that fits decides
ALLOWED = {
    "plugins/workers/emulator": ("plugins.workers.emulator",),
    "plugins/workers": (),
    "plugins/checks": ("plugins.checks", "plugins.failure"),
    "plugins/drivers": (
        "plugins.drivers",
        "plugins.workers.protocol",
        *(f"plugins.{name}" for name in KNOWLEDGE),
    ),
    "plugins/contracts": ("plugins.contracts", "plugins.failure"),
    "plugins": tuple(f"plugins.{name}" for name in HOOKS),
    "conformance": ("plugins.checks",),
    "fixtures": (
        "fixtures",
        "plugins.drivers",
        "plugins.checks",  # for its data types and its NumPy oracles
        *(f"plugins.{name}" for name in (*KNOWLEDGE, "machine")),
        # for the stash keys, and for what is deselected with a reason
        *(f"plugins.{name}" for name in ("options", "capability", "updating", "benchmark")),
        *("plugins.clauses", "plugins.ledger"),
    ),
}
OURS = ("plugins", "fixtures", "conformance", "tests")


def modules(*folders):
    """The Python files of some folders of the house, as paths relative to it."""
    found = (path for folder in folders for path in (HOUSE / folder).rglob("*.py"))
    return sorted(path.relative_to(HOUSE).as_posix() for path in found)


def imports(text, package=""):
    """The dotted names that a module imports; `from a import b` counts as a.b."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: -node.level or None]) if node.level else ""
            stem = ".".join(filter(None, [base, node.module]))
            names += [f"{stem}.{alias.name}" for alias in node.names]
    return names


def trespasses(path, text):
    """What a module imports of ours although its place forbids it."""
    places = ((place, (f"{place}/", f"{place}_", f"{place}.py")) for place in ALLOWED)
    allowed = ALLOWED[next(place for place, starts in places if path.startswith(starts))]
    package = path[: -len(".py")].replace("/", ".")
    ours = [name for name in imports(text, package) if name.split(".")[0] in OURS]
    fits = [name for name in ours if any(f"{name}.".startswith(f"{one}.") for one in allowed)]
    return sorted(set(ours) - set(fits))


@pytest.mark.parametrize("path", modules("plugins", "fixtures", "conformance"))
def test_imports_point_one_way(path):
    assert trespasses(path, (HOUSE / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("plugins/checks/a.py", "from plugins import store", ["plugins.store"]),
        ("plugins/checks/a.py", "from .. import store", ["plugins.store"]),
        ("plugins/workers/a.py", "import plugins.failure", ["plugins.failure"]),
        ("plugins/drivers/a.py", "from plugins.checks.b import c", ["plugins.checks.b.c"]),
        ("plugins/options.py", "def f():\n    import plugins.drivers", ["plugins.drivers"]),
        ("conformance/test_a.py", "from fixtures import cases", ["fixtures.cases"]),
        ("fixtures/a.py", "from plugins.verdict import b", ["plugins.verdict.b"]),
        ("plugins/contracts/training.py", "from plugins.store import a", ["plugins.store.a"]),
        ("plugins/workers/training/a.py", "from plugins import failure", ["plugins.failure"]),
        ("conformance/test_a.py", "from plugins.checks import b", []),
        ("plugins/contracts/training_gates.py", "from plugins.contracts.training import a", []),
        ("fixtures/a.py", "from plugins.contracts.training_runs import b", []),
        ("plugins/checks/a.py", "from . import b", []),
        ("fixtures/a.py", "import numpy", []),
    ],
)
def test_a_forbidden_import_would_be_found(path, text, found):
    assert trespasses(path, text) == found


def test_no_framework_is_imported_outside_the_workers():
    places = [*modules("plugins", "fixtures", "conformance"), "conftest.py"]
    guilty = [
        (path, name)
        for path in places
        if not path.startswith("plugins/workers/")
        for name in imports((HOUSE / path).read_text(encoding="utf-8"))
        if name.split(".")[0] in FRAMEWORKS
    ]
    assert guilty == []


def test_the_top_level_holds_what_the_readme_explains_and_nothing_else():
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    present = {name.split("/")[0] for name in names if (HOUSE / name).exists()}
    assert present - OPTIONAL == TOP


@pytest.mark.parametrize("path", modules("plugins", "fixtures", "conformance", "tests"))
def test_a_module_can_be_read_in_one_sitting(path):
    assert len((HOUSE / path).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", modules("plugins", "fixtures"))
def test_a_module_says_in_its_first_line_what_it_is_for(path):
    text = (HOUSE / path).read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = {"utils", "helpers", "common", "base", "constants", "misc"}
    assert [path for path in modules("plugins", "fixtures") if Path(path).stem in drawers] == []


def test_collection_loads_no_framework(tmp_path):
    spy = tmp_path / "spy.py"
    spy.write_text(
        "import sys\n"
        "def pytest_collection_finish(session):\n"
        f"    print('LOADED', sorted(set({sorted(FRAMEWORKS)}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "spy"]
        + ["-p", "no:cacheprovider", f"--artifacts={tmp_path}"],
        cwd=HOUSE,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr
    assert {"conformance", "tests"} <= {line.split("/")[0] for line in done.stdout.splitlines()}
