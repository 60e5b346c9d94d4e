"""The report in a real browser engine: on a phone, on a desk, in the dark, with its filters."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytest_plugins = ["pytester", "tests.lab", "tests.report_run"]

HOUSE = Path(__file__).resolve().parent.parent
BROWSER = HOUSE / ".venv-browser" / "bin" / "python"
PROBE = """
(function () {
  var shown = function () {
    return Array.from(document.querySelectorAll("tr[data-outcome]")).filter(r => r.offsetHeight).length;
  };
  var all = shown(), buttons = Array.from(document.querySelectorAll("#filters button"));
  var press = function (name) { buttons.find(b => b.textContent === name).click(); return shown(); };
  var failed = press("failed"), again = press("failed"), npu = press("npu");
  return JSON.stringify({
    all: all, failed: failed, again: again, npu: npu, pwned: typeof pwned,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor,
    word: document.querySelector("h1").getBoundingClientRect().bottom < innerHeight,
    standin: document.querySelector(".standin").getBoundingClientRect().bottom < innerHeight,
    foreign: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
    text: Math.min(...Array.from(document.querySelectorAll("svg text")).map(
      t => t.getBoundingClientRect().height))
  });
})()
"""


@pytest.fixture
def browsed(run, tmp_path):
    """A function that opens the report in a window and tells what is to be seen there."""
    if not BROWSER.exists():
        pytest.skip("no browser; run: make browser")

    def browse(width, dark):
        job = {"page": str(run / "report.html"), "width": width, "dark": dark, "script": PROBE}
        (tmp_path / "job.json").write_text(json.dumps(job))
        command = [str(BROWSER), str(HOUSE / "tests" / "browser.py"), str(tmp_path / "job.json")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["loaded"] and answer["console"] == []
        return json.loads(answer["value"])

    return browse


@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it_on_a_phone_and_on_a_desk(browsed, width):
    seen = browsed(width, dark=False)
    assert seen["overflow"] == 0
    assert seen["word"] and seen["standin"], "without scrolling"
    assert (seen["foreign"], seen["pwned"]) == (0, "undefined")
    assert (seen["all"], seen["failed"], seen["again"], seen["npu"]) == (4, 1, 4, 2)
    assert seen["text"] >= 10, "px: charts stay readable"


def test_a_browser_shows_it_in_the_dark(browsed):
    light, dark = (browsed(800, dark=dark)["background"] for dark in (False, True))
    assert (light, dark) == ("rgb(251, 250, 247)", "rgb(20, 22, 26)")
