"""Options and ini settings: what a user types, what he is told, and that the two agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins import options

pytest_plugins = ["pytester", "tests.lab"]

HELP = """
RetinaNet conformance:
  --require=CAP  absence of capability CAP is an error, not a skip; repeatable
  --benchmark  run the timing clauses too; without it the verdict says that they did not run
  --model-ts=PATH  judge this exported TorchScript file instead of exporting one
  --against=PATH  with --benchmark: measure whether the judged model is slower than this exported file
  --weights=PATH  RetinaNet-detectron2.pkl, the trained weights
  --coco-root=DIR  COCO folder that holds annotations/ and val2017/; training uses train2017/ if it is there
  --backbone=FILE_OR_URL  backbone weights to train from: a path, file:// or https:// (default: seeded)
  --rendezvous=HOST:PORT  where two machines meet for 2x8; HOST is the first of them, the same run on each
  --update-golden=REASON  rewrite golden data that differs, and fail; refused under CI
  --waivers=FILE  known deviations (default: conformance/waivers.toml)
  --no-waivers  judge without any waiver
  --run-slow  run the tests marked slow
  --all-images  judge accuracy on all images of a set, not on as few as decide it
  --artifacts=DIR  folder for what a run leaves behind (default: .artifacts)
"""
VALUED = ("--weights", "--model-ts", "--coco-root", "--rendezvous", "--require", "--artifacts")
ONE = '@pytest.mark.clause("outputs.dtype")\ndef test_one(): pass\n'


def test_the_help_is_exactly_this_page(lab, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = lab.run("--help").stdout.str()
    section = text[text.index("RetinaNet conformance:") :].split("\n\n")[0]
    assert section.split() == HELP.split()


def test_benchmark_is_an_option_of_its_own_beside_pytest_benchmarks(lab):
    lab.chapter(ONE)
    result = lab.run("--benchmark", "--benchmark-min-rounds", "7")
    result.stdout.fnmatch_lines(["conformance: benchmark on (command line)", "*min_rounds=7*"])


@pytest.mark.parametrize(("written", "on"), [("true", True), ("false", False)])
def test_a_switch_can_be_set_in_the_ini(lab, written, on):
    lab.chapter(ONE)
    result = lab.run("-o", f"all_images={written}")
    line = "conformance: all-images on (ini)"
    assert (line in result.stdout.str()) == on


def test_the_header_says_each_value_and_where_it_came_from(lab):
    lab.chapter(ONE)
    weights = lab.write("weights.pkl", "")
    result = lab.run("-o", f"weights={weights}", "--run-slow")
    result.stdout.fnmatch_lines(
        [
            "conformance: weights weights.pkl (ini)",
            "conformance: run-slow on (command line)",
            "conformance: at their defaults: require, benchmark, model-ts, *",
        ]
    )
    assert result.ret == 0


def test_the_command_line_wins_over_the_ini(lab):
    lab.chapter(ONE)
    lab.write("a.pkl", "")
    lab.write("b.pkl", "")
    result = lab.run("-o", "weights=a.pkl", "--weights", "b.pkl")
    result.stdout.fnmatch_lines(["conformance: weights b.pkl (command line)"])
    assert "a.pkl (" not in result.stdout.str()


def test_what_the_ini_requires_stays_required(lab):
    lab.chapter(ONE)
    result = lab.run("-o", "require=npu", "--require", "coco", "--collect-only")
    result.stdout.fnmatch_lines(["conformance: require npu, coco (ini, command line)"])
    result = lab.run("-o", "require=npu", "--require", "weights")
    result.stderr.fnmatch_lines(["ERROR: --require npu: *"])


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["--model-ts", "gone.ts"], "--model-ts: there is no file * give the path of"),
        (["--weights", "gone.pkl"], "--weights: there is no file * RetinaNet-detectron2.pkl"),
        (["--coco-root", "gone"], "--coco-root: there is no folder * val2017/"),
        (["--backbone", "gone.pth"], "--backbone: there is no file * resnet50-0676ba61.pth, or *"),
        (["--backbone", "file:///gone.pth"], "--backbone: there is no file /gone.pth; give *"),
        (["--backbone", "ftp://a/b.pth"], "--backbone (command line): ftp://a/b.pth is neither *"),
        (["--backbone", "file://gone.pth"], "--backbone (command line): * begins with file:/// *"),
        (["--rendezvous", "node0"], "--rendezvous (command line): node0 is no HOST:PORT; name *"),
        (["--rendezvous", "a:70000"], "--rendezvous (command line): a:70000 is no HOST:PORT; *"),
        (["--waivers", "gone.toml"], "--waivers: there is no file * --no-waivers"),
        (["--weights", "."], "--weights: there is no file *, but a folder; give the path of"),
        (
            ["--coco-root", "pytest.ini"],
            "--coco-root: there is no folder *pytest.ini, but a file; ",
        ),
        *(([f"{flag}="], f"{flag}: empty; is a variable unset?") for flag in VALUED),
        (["-o", "interpreter_infer=gone"], "ini setting interpreter_infer: there is no file *"),
    ],
)
def test_an_absent_path_is_one_sentence_with_its_cure(lab, arguments, place):
    lab.chapter(ONE)
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {place}*"])
    assert "Traceback" not in result.stderr.str()


def test_a_half_unpacked_coco_folder_is_named_with_what_it_lacks(lab):
    lab.write("coco/annotations/instances_val2017.json", "{}")
    result = lab.run("--coco-root", "coco")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --coco-root (command line): *coco holds no val2017; *"])


def test_training_images_need_their_annotations_and_evaluation_needs_no_training_images(lab):
    lab.chapter(ONE)
    lab.write("coco/annotations/instances_val2017.json", "{}")
    lab.write("coco/val2017/a.jpg", "")
    assert lab.run("--coco-root", "coco").ret == 0
    lab.write("coco/train2017/a.jpg", "")
    result = lab.run("--coco-root", "coco")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --coco-root *coco holds no *instances_train2017.json; *"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("mine.pth", "mine.pth"),
        ("file://{root}/mine.pth", "mine.pth"),
        ("https://host/mine.pth", "https://host/mine.pth"),
    ],
)
def test_a_backbone_is_a_path_or_an_address_from_either_place(lab, given, shown):
    lab.chapter(ONE)
    lab.write("mine.pth", "")
    address = given.format(root=lab.root)
    result = lab.run("--backbone", address)
    result.stdout.fnmatch_lines([f"conformance: backbone {shown} (command line)"])
    result = lab.run("-o", f"backbone={address}", "-o", "rendezvous=node0:29500")
    result.stdout.fnmatch_lines(
        [f"conformance: backbone {shown} (ini)", "conformance: rendezvous node0:29500 (ini)"]
    )


def test_artifacts_go_where_the_user_says(lab):
    lab.chapter(ONE)
    lab.run("--artifacts", "elsewhere")
    assert (lab.root / "elsewhere/runs/latest/verdict.json").is_file()
    assert (lab.root / "elsewhere/runs/latest/junit.xml").is_file()
    assert not (lab.root / ".artifacts").exists()


def test_a_path_is_shown_from_the_house_where_it_lies_in_it():
    assert options.shown(Path("/a/b/c"), Path("/a")) == "b/c"
    assert options.shown(Path("/b/c"), Path("/a")) == "/b/c"


def test_collecting_alone_leaves_no_run_behind(lab):
    lab.chapter(ONE)
    assert lab.run("--collect-only", "-q").ret == 0
    assert not (lab.root / ".artifacts/runs").exists()
