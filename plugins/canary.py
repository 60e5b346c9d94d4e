"""The canary: does a broken model turn the job red, through everything that stands around the gate?

    python -m plugins.canary ["COMMAND with {} for the model file"]

runs the job's own line on a file that is no model. A gate that is piped into `tee` without pipefail,
or followed by `|| true`, lives on as green as ever; then the canary fails. Without a command it judges
the export alone.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = f"{shlex.quote(sys.executable)} -m pytest -q conformance/test_export.py --model-ts={{}}"
BROKEN = b"this is no TorchScript file"
WORD = "NOT CONFORMANT"
PAGE = "GITHUB_STEP_SUMMARY"  # a file that GitHub shows on the page of the job
ARTIFACTS = Path(".artifacts", "canary")  # its runs are not among those of the product
ADDED = "PYTEST_ADDOPTS"


def sing(command: str, shell: str = "bash") -> str:
    """What is wrong with a job's line; empty if a broken model turns it red for the right reason.

    The shell has no pipefail of its own, as in a CI system that nobody asked for it. What it says of
    the broken model belongs on no page of the job.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "canary.ts")
        model.write_bytes(BROKEN)
        line = command.replace("{}", shlex.quote(str(model)))
        before = _latest()
        told = {name: value for name, value in os.environ.items() if name != PAGE}
        place = shlex.quote(f"artifacts={ARTIFACTS.absolute()}")
        told[ADDED] = f"{told.get(ADDED, '')} -o {place}"
        code = subprocess.run([shell, "-c", line], env=told).returncode
    return _complaint(code, before, _latest())


def _complaint(code: int, before: str, after: str) -> str:
    if code == 0:
        return (
            "the job stayed green on a broken model; look for a pipe without pipefail, or `|| true`"
        )
    if before == after:
        return (
            f"the job turned red (exit code {code}) without judging the model; read what it said, and"
            " leave --artifacts to the canary"
        )
    word = json.loads(Path(after, "verdict.json").read_text(encoding="utf-8"))["word"]
    if word != WORD:
        return f"the job turned red (exit code {code}) and called a broken model {word}"
    return ""


def _latest() -> str:
    """The folder of the last run that was judged."""
    latest = ARTIFACTS / "runs" / "latest"
    return str(latest.resolve()) if latest.exists() else ""


def main() -> int:
    """0 if the job turned red as it should; 1 and what is wrong if not."""
    complaint = sing(sys.argv[1] if len(sys.argv) > 1 else COMMAND)
    print(f"canary: {complaint or 'a broken model turns this job red'}")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
