"""Plugins that are run as programs: `python -m` says their word and ends with their code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["plugins.certificate", "verify", "no/such"], 1, "not valid: "),
        (["plugins.books"], 2, "conformance/must_run.toml: is not written while CI is set"),
    ],
)
def test_what_is_run_as_a_program_says_its_word_and_ends_with_its_code(
    monkeypatch, words, code, said
):
    monkeypatch.setenv("CI", "true")
    done = subprocess.run([sys.executable, "-m", *words], cwd=HOUSE, capture_output=True, text=True)
    assert (done.returncode, done.stdout[: len(said)], done.stderr) == (code, said, "")
