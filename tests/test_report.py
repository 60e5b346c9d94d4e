"""The report: everything of a run, in one file that nothing hostile in the run can get out of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.report import contents, page, summary
from tests.strict_html import HOSTILE, Strict

pytest_plugins = ["pytester", "tests.lab", "tests.report_run"]

HOUSE = Path(__file__).resolve().parent.parent


@pytest.fixture
def shown(run):
    return Strict((run / "report.html").read_text(encoding="utf-8"))


def test_the_word_and_what_stands_in_for_hardware_come_first(shown):
    text = "".join(shown.text)
    head = text[text.index("}\n", text.rindex("@media print")) :]
    assert head.index("NOT CONFORMANT") < head.index("STAND-IN: npu lane emulated") < 200
    assert {"class": "standin"} in shown.all("p")


def test_nothing_is_loaded_from_anywhere_and_only_our_script_runs(shown):
    assert len(shown.all("script")) == 1
    assert shown.all("script") == [{}]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in shown.all("img"))
    targets = {link["href"] for link in shown.all("a")}
    beside = {"verdict.json", "junit.xml", "summary.md", "certificate/manifest.json"}
    assert targets == beside
    assert not {"link", "iframe", "object", "base", "form"} & {name for name, _ in shown.seen}
    (policy,) = (m["content"] for m in shown.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; img-src data:; ")


def test_what_is_known_about_the_judge_itself_is_said(shown):
    text = "".join(shown.text)
    assert "May the judge be believed?" in text
    for command in ("make bite", "make census"):
        assert command in text
    assert text.count("not measured") >= 4, "here, and for each clause"


def test_hostile_names_are_text_and_nothing_else(shown):
    text = "".join(shown.text)
    assert text.count(HOSTILE) >= 8, "in reasons, cards, rows, charts, legends and hashes"
    attributes = {name for _, some in shown.seen for name in some}
    assert not {name for name in attributes if name.startswith("on")}


def test_each_failing_case_has_a_card_and_its_picture_in_a_small_form(shown):
    cards = [a for a in shown.all("article") if "bad" in a["class"]]
    assert len(cards) == 2
    (picture,) = shown.all("img")
    assert 1000 < len(picture["src"]) < 250_000


def test_a_case_that_passed_and_still_shifted_is_shown_with_its_figures(run, artifacts):
    evidence = run / "evidence"
    shutil.copy(next(evidence.glob("*.png")), evidence / "test_fps-retinanet_shapes-.png")
    try:
        found = contents.read(run, storage=artifacts / "none", manifest=artifacts / "none")
        drawn = Strict(page.html(found))
    finally:
        (evidence / "test_fps-retinanet_shapes-.png").unlink()
    assert "1 shifted within tolerance" in drawn.text
    assert len(drawn.all("img")) == 2
    assert any(text.startswith("20 img/s compute") for text in drawn.text)


def test_rows_say_their_lane_and_outcome_for_the_filters(shown):
    rows = {
        (row["data-lane"], row["data-outcome"]) for row in shown.all("tr") if "data-lane" in row
    }
    assert rows == {("npu", "failed"), ("npu", "passed"), ("cpu", "skipped"), ("cpu", "passed")}


def test_curves_of_one_title_share_a_chart_and_broken_ones_spoil_nothing(run, artifacts):
    found = contents.read(run, storage=artifacts / "none", manifest=artifacts / "none")
    assert [(chart.title, len(chart.series)) for chart in found.charts] == [
        ("Loss " + HOSTILE, 1),
        ("AP", 2),
    ]


def test_the_latency_is_that_of_this_run_and_its_history_of_this_machine_class(run, artifacts):
    (stored,) = (artifacts / "benchmarks").rglob("*.json")
    other = json.loads(stored.read_text())
    for name, machine in (("same", other["machine_info"]["machine_class"]), ("else", "an A100")):
        other["machine_info"]["machine_class"] = machine
        stored.with_name(f"0009_{name}.json").write_text(json.dumps(other))
    found = contents.read(run, storage=artifacts / "benchmarks", manifest=artifacts / "none")
    (latency,) = found.latencies
    assert latency.rounds == pytest.approx([50, 40, 60, 50])
    assert (latency.median, len(latency.history.y)) == (pytest.approx(50), 2)
    for name in ("same", "else"):
        stored.with_name(f"0009_{name}.json").unlink()


def test_what_golden_data_was_made_with_is_set_against_this_run(shown):
    marked = [row for row in shown.all("tr") if row.get("class") == "differs"]
    assert len(marked) == 2, "numpy 0.1 and pytest ?"


def test_what_was_not_run_is_said_with_its_reason(shown):
    text = "".join(shown.text)
    assert "skipped: needs coco: accuracy.map" in text
    assert "--coco-root is not given" in text


def test_the_summary_is_markdown_that_a_hostile_name_cannot_leave(run, artifacts):
    text = (run / "summary.md").read_text(encoding="utf-8")
    assert text.startswith(
        "## NOT CONFORMANT\n\n> ⚠️ **STAND-IN: npu lane emulated; not a statement"
    )
    assert "| outputs | 2 | ❌ failed 2 |" in text
    assert HOSTILE not in text and "<" not in text
    assert not re.search(r"(?<!\\)[\[\]`*|_](?=[\[\](x])", text), (
        "every sign with a power is escaped"
    )
    assert all(
        line.count(" | ") == 5 for line in text.splitlines() if line.startswith("| throughput.")
    )


def test_the_summary_is_added_to_the_page_of_the_job(lab, monkeypatch, tmp_path):
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    lab.chapter('@pytest.mark.clause("o.x")\ndef test_x(): pass\n')
    result = lab.run("-p", "plugins.report")
    assert step.read_text(encoding="utf-8").startswith("before\n## CONFORMANT\n")
    result.stdout.fnmatch_lines(["report: .artifacts/runs/*/report.html"])


def test_a_report_that_cannot_be_drawn_spoils_no_run(lab, monkeypatch):
    monkeypatch.setattr(page, "html", lambda shown: 1 / 0)
    lab.chapter('@pytest.mark.clause("o.x")\ndef test_x(): pass\n')
    result = lab.run("-p", "plugins.report")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["report: none, ZeroDivisionError: division by zero"])


def test_the_report_of_the_last_run_is_one_command_away(artifacts):
    command = [sys.executable, "-m", "plugins.report"]
    environment = {"PYTHONPATH": str(HOUSE), "PATH": "/usr/bin:/bin"}
    place = artifacts.parent
    (place / ".artifacts").exists() or (place / ".artifacts").symlink_to("artifacts")
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert Path(done.stdout.strip()).name == "report.html", done.stderr
    done = subprocess.run(
        [*command, "nowhere"], cwd=place, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, "no run that judged anything is there" in done.stdout) == (1, True)


def test_markdown_counts_what_it_leaves_out():
    assert list(summary._some(["a"] * 12))[-1] == "- and 2 more"
