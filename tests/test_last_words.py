"""Whatever breaks while a run ends is one red line: table, word and verdict.json are there all the same."""

from __future__ import annotations

import json

import pytest

from tests.test_benchmark_plugin import SUITE

pytest_plugins = ["pytester", "tests.lab"]

GOOD = '@pytest.mark.clause("o.x")\ndef test_x(): pass\n'
OPEN = '@pytest.mark.clause("o.y")\ndef test_y(): raise Inconclusive("few")\n'


def last_words(lab, result, red: str, folder=None) -> dict:
    """The verdict of a run that ended with one red line: it agrees with what was printed."""
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*= verdict =*", "  o.x *passed*", f"  red: {red}", "written: *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    runs = lab.root / ".artifacts/runs"
    (path,) = (runs / folder if folder else runs).glob(
        "*/verdict.json" if not folder else "verdict.json"
    )
    said = json.loads(path.read_text())
    assert (said["exit_code"], len(said["holes"]), len(said["books"]["trouble"])) == (1, 1, 1)
    assert (path.parent / "certificate/manifest.json").is_file()
    assert "contradiction" not in result.stdout.str()
    return said


def test_a_model_that_is_removed_during_the_run(lab):
    model = lab.write("model.ts", "weights")
    lab.chapter(GOOD.replace("pass", f"__import__('os').unlink({str(model)!r})"))
    result = lab.run("--model-ts", model)
    last_words(
        lab, result, f"{model}: No such file or directory, at the end of the run; *", "latest"
    )


def test_a_folder_where_the_link_to_the_latest_run_should_be(lab):
    lab.chapter(GOOD)
    latest = lab.root / ".artifacts/runs/latest"
    (latest / "inner").mkdir(parents=True)
    last_words(lab, lab.run(), f"{latest}: Is a directory, at the end of the run; *")
    assert [path.name for path in latest.parent.glob("latest*")] == ["latest"]


def test_a_place_that_has_no_links(lab, monkeypatch):
    def refuse(path, target, **rest):
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    lab.chapter(GOOD)
    last_words(lab, lab.run(), "*: Operation not permitted, at the end of the run; *")


def test_a_record_of_days_that_cannot_be_replaced(lab):
    lab.chapter(GOOD + OPEN)
    record = lab.root / ".artifacts/inconclusive.json"
    (record / "inner").mkdir(parents=True)
    last_words(lab, lab.run(), f"{record}: Is a directory, at the end of the run; *", "latest")


def test_a_certificate_that_cannot_be_written(lab, monkeypatch):
    monkeypatch.setattr("plugins.certificate.write", lambda folder, sources: open("/none/here"))
    lab.chapter(GOOD)
    result = lab.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  red: /none/here: No such file or directory, at the end of *"])
    assert lab.verdict()["exit_code"] == 1


def test_a_verdict_that_cannot_be_written_is_still_spoken(lab, monkeypatch):
    def full(folder, document):
        raise OSError(28, "No space left on device", "verdict.json")

    monkeypatch.setattr("plugins.verdict._write", full)
    lab.chapter(GOOD)
    result = lab.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "CONFORMANT",
            "  red: verdict.json: No space left on device, at the end of the run; *",
        ]
    )


def test_a_gate_whose_certificate_contradicts_itself_says_so_in_its_verdict_too(lab, monkeypatch):
    monkeypatch.setattr("plugins.certificate.verify", lambda folder, **rest: ["a fault"])
    lab.write("coco/annotations/instances_val2017.json", "{}")
    lab.write("coco/val2017/a.jpg", "")
    lab.chapter(GOOD.replace("def", '@pytest.mark.requires("coco")\ndef'))
    result = lab.run("--require", "coco", "--coco-root", "coco")
    last_words_of_gate = "certificate: contradicts itself: a fault"
    assert (result.ret, lab.verdict()["exit_code"]) == (1, 1)
    assert lab.verdict()["holes"] == [last_words_of_gate]
    sealed = lab.root / ".artifacts/runs/latest/certificate/verdict.json"
    assert json.loads(sealed.read_text())["exit_code"] == 1


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_verdict_is_json_when_a_figure_is_no_number(lab, number):
    lab.chapter(f"""
@pytest.mark.clause("o.x")
def test_x(record_property):
    figure = dict(name="AP", measured=float({number!r}), unit="%", images=1)
    record_property("figure", figure)
    raise CheckFailure("no mean", expected="a", actual="b")
""")

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    result = lab.run()
    text = (lab.root / ".artifacts/runs/latest/verdict.json").read_text()
    said = json.loads(text, parse_constant=refuse)
    assert said["tests"][0]["figures"][0]["measured"] == number
    assert said["rows"][0]["measured"] == f"{number} AP"
    assert "cannot be judged again" not in result.stdout.str()
    assert "does not follow" not in result.stdout.str()


@pytest.mark.parametrize("word", ["--junitxml=taken/junit.xml", "--benchmark-storage=file://taken"])
def test_a_place_where_another_plugin_cannot_write(lab, word):
    lab.write("taken", "a file lies where a folder is wanted")
    lab.chapter(SUITE.replace("throughput.images_per_second", "o.x"))
    result = lab.run("--benchmark", word)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["CONFORMANT*", "  red: *taken*: *, at the end of the run; *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert len(lab.verdict()["books"]["trouble"]) == 1


def test_a_run_of_self_tests_says_it_as_pytest_does(lab):
    lab.write("taken", "")
    lab.write("tests/test_x.py", "def test_x(): pass")
    result = lab.run("tests", "--junitxml=taken/junit.xml")
    assert result.ret not in (0, 1) or "Error" in result.stderr.str()


def test_a_name_that_is_no_text_is_written_as_its_bytes(lab):
    odd = lab.write("model.ts", "weights").rename(lab.root / "m\udcb0.ts")
    lab.chapter(GOOD)
    result = lab.run("--model-ts", odd)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert "m\udcb0.ts" in lab.verdict()["options"]["model_ts"]["value"]
