"""A certificate from its files alone: sealed, verified, and each way in which it no longer holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from plugins import certificate
from tests.certificates import Certificate

MODEL = b"a model, they said"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path) -> Path:
    """The parts of a run, copied and sealed: valid, with one model judged."""
    parts = tmp_path / "parts"
    parts.mkdir()
    run = Certificate(parts)
    next(iter(run.run)).hashes["model of it"] = digest(MODEL)
    assert run.faults() == []
    verdict = {**run.verdict(), "suite": "abc123", "ended": "2026-11-21T12:00:00Z"}
    (parts / "verdict.json").write_text(json.dumps(verdict))
    sources = {path.name: path for path in parts.iterdir()}
    sources["evidence/log.txt"] = parts / "junit.xml"
    certificate.write(tmp_path / "sealed", {**sources, "absent.txt": parts / "absent.txt"})
    return tmp_path / "sealed"


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def edit(folder: Path, **changes) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest(folder), **changes}))


def test_a_file_is_known_by_its_content_however_long(tmp_path):
    for size in (0, 5, 2**20, 2**20 + 1):
        (tmp_path / "file").write_bytes(b"x" * size)
        assert certificate.sha256(tmp_path / "file") == digest(b"x" * size)


def test_what_was_sealed_is_valid_and_lists_each_file_once(folder):
    assert certificate.verify(folder) == []
    found = manifest(folder)
    names = ["evidence/log.txt", "junit.xml", "must_run.toml", "samples.json", "verdict.json"]
    assert list(found["files"]) == names and found["schema"] == 1
    content = (folder / "junit.xml").read_bytes()
    assert found["files"]["junit.xml"] == {"sha256": digest(content), "bytes": len(content)}
    assert found["judged"]["model of it"] == digest(MODEL) and len(found["judged"]) == 3
    assert (folder / "manifest.json").read_text().endswith("}\n")


def test_what_lay_there_before_is_no_part_of_a_new_one(folder):
    (folder / "old.txt").write_text("of another run")
    source = folder.parent / "parts"
    certificate.write(folder, {path.name: path for path in source.iterdir()})
    assert "old.txt" not in manifest(folder)["files"] and certificate.verify(folder) == []


def test_its_chain_is_that_of_its_content_and_of_no_other_run(folder):
    chain = certificate.seal(folder)
    assert chain == manifest(folder)["chain"] and len(chain) == 64
    assert certificate.verify(folder, chain=chain) == []
    told = f"manifest.json: is of another run: its chain is {chain}, not 1234"
    assert certificate.verify(folder, chain="1234") == [told]
    edit(folder, chain="1234")
    told = "manifest.json: was edited; its chain value does not follow from its content"
    assert certificate.verify(folder, chain="1234") == [told]


def test_a_letter_of_a_name_is_as_it_was_written(folder):
    (folder / "évidence.txt").write_text("x")
    certificate.seal(folder)
    assert "évidence.txt" in (folder / "manifest.json").read_text(encoding="utf-8")


CHANGES = {
    "is missing from the certificate": lambda path: path.unlink(),
    "was changed after the run; its sha256": lambda path: path.write_bytes(
        b"y" + path.read_bytes()[1:]
    ),
    "is cut short: 1 of": lambda path: path.write_bytes(b"y"),
}


@pytest.mark.parametrize("told", CHANGES)
def test_a_file_that_is_not_as_it_was_is_named(folder, told):
    size = (folder / "evidence/log.txt").stat().st_size
    CHANGES[told](folder / "evidence/log.txt")
    ends = {"is cut short: 1 of": f"is cut short: 1 of {size} bytes"}.get(told, told)
    (fault,) = certificate.verify(folder)
    assert fault.startswith(f"evidence/log.txt: {ends}")


def test_a_file_that_grew_was_changed(folder):
    path = folder / "evidence/log.txt"
    path.write_bytes(path.read_bytes() + b"more")
    (fault,) = certificate.verify(folder)
    assert fault.startswith("evidence/log.txt: was changed after the run")


def test_files_that_were_added_are_named_in_order(folder):
    names = [f"{k}.txt" for k in range(10)]
    for name in names:
        (folder / name).write_text("x")
    told = "is in no line of manifest.json; it was added later"
    assert certificate.verify(folder) == [f"{name}: {told}" for name in names]
    certificate.seal(folder)
    for name in names[:5]:
        (folder / name).unlink()
    for name in names[5:]:
        (folder / name).write_text("y")
    missing, changed = "is missing from", "was changed after"
    found = [fault.partition(" the ")[0] for fault in certificate.verify(folder)]
    assert found == [f"{n}: {missing if n < '5' else changed}" for n in names]


@pytest.mark.parametrize("name", certificate.NEEDED)
def test_what_each_run_leaves_is_needed_even_where_no_line_names_it(folder, name):
    (folder / name).unlink()
    if name != "verdict.json":
        certificate.seal(folder)
    assert f"{name}: is missing from the certificate" in certificate.verify(folder)


def test_a_file_that_somebody_brings_must_have_been_judged(folder, tmp_path):
    (tmp_path / "model.ts").write_bytes(MODEL)
    (tmp_path / "other.ts").write_bytes(b"another")
    assert certificate.verify(folder, files=[tmp_path / "model.ts"]) == []
    told = "is not what was judged; its sha256 is on no line of manifest.json"
    other, absent = tmp_path / "other.ts", tmp_path / "absent.ts"
    assert certificate.verify(folder, files=[other]) == [f"{other}: {told}"]
    nothing = "is no file; name one that was judged"
    for path in (absent, tmp_path):
        assert certificate.verify(folder, files=[path]) == [f"{path}: {nothing}"]


@pytest.mark.parametrize(
    ("names", "judged"),
    [
        (["what m is compared with"], False), (["image cat", "outputs of m on aie for cat"], False),
        (["operators of infer"], False), (["the model of m"], False), (["model of m"], True),
        (["weights of m: w.pkl"], True), (["compiled model of m at 64"], True),
        (["what m is compared with", "model of m"], True),
    ],
)  # fmt: skip
def test_what_a_product_was_judged_with_was_not_judged(folder, tmp_path, names, judged):
    (tmp_path / "known").write_bytes(b"known")
    verdict = json.loads((folder / "verdict.json").read_text())
    verdict["tests"][0]["hashes"].update(dict.fromkeys(names, digest(b"known")))
    (folder / "verdict.json").write_text(json.dumps(verdict))
    certificate.seal(folder)
    told = f"is not what was judged; the run knows it as: {', '.join(names)}"
    found = certificate.verify(folder, files=[tmp_path / "known"])
    assert found == ([] if judged else [f"{tmp_path / 'known'}: {told}"])


def test_a_manifest_that_names_another_model_is_found(folder):
    found = manifest(folder)
    edit(folder, judged={**found["judged"], "model of it": "0" * 64})
    edit(folder, chain=certificate._chain(manifest(folder)))
    told = "manifest.json: says that something else was judged than verdict.json does"
    assert certificate.verify(folder) == [told]


def test_a_manifest_in_which_anything_was_edited_no_longer_follows(folder):
    found = manifest(folder)
    told = "manifest.json: was edited; its chain value does not follow from its content"
    edit(folder, note="a word")
    assert certificate.verify(folder) == [told]
    (folder / "manifest.json").write_text(json.dumps(dict(reversed(found.items()))))
    assert certificate.verify(folder) == []  # the order of its lines says nothing


BROKEN = {
    "": "is cut short or no JSON",
    "[]": "holds no JSON object",
    '{"schema": 2, "files": {}}': "is not of schema 1; use the suite that wrote it",
    '{"schema": 1}': "is not of schema 1; use the suite that wrote it",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_manifest_that_is_none_is_one_sentence(folder, text):
    (folder / "manifest.json").write_text(text)
    assert certificate.verify(folder) == [f"{folder / 'manifest.json'}: {BROKEN[text]}"]


def test_a_folder_without_one_is_told_what_to_name(tmp_path):
    (fault,) = certificate.verify(tmp_path)
    assert (
        fault == f"{tmp_path / 'manifest.json'}: is missing; name the folder `certificate` of a run"
    )


def test_what_is_no_folder_is_told_what_to_name(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("words")
    (fault,) = certificate.verify(page)
    assert fault == f"{page / 'manifest.json'}: is missing; name the folder `certificate` of a run"
    (tmp_path / "manifest.json").mkdir()
    (fault,) = certificate.verify(tmp_path)
    assert fault == f"{tmp_path / 'manifest.json'}: cannot be read: Is a directory"


def test_lines_that_cannot_be_read_are_no_crash(folder):
    edit(folder, files={name: 7 for name in manifest(folder)["files"]})
    assert "manifest.json: was edited; its files cannot be read" in certificate.verify(folder)


def test_a_verdict_without_its_tests_is_no_crash(folder):
    (folder / "verdict.json").write_text('{"tests": 7}')
    faults = certificate.verify(folder)
    assert "manifest.json: says that something else was judged than verdict.json does" in faults


def test_a_verdict_that_is_cut_is_named_after_its_file(folder):
    text = (folder / "verdict.json").read_text()
    (folder / "verdict.json").write_text(text[:50])
    cut, unread = certificate.verify(folder)
    assert cut == f"verdict.json: is cut short: 50 of {len(text)} bytes"
    assert unread == f"{folder / 'verdict.json'}: is cut short or no JSON"


def test_the_command_says_its_word_or_what_is_wrong(folder, tmp_path, capsys):
    headline = json.loads((folder / "verdict.json").read_text())["headline"]
    assert certificate.main(["verify", str(folder)]) == 0
    said = f"valid: {headline} (suite abc123, 2026-11-21T12:00:00Z)\n"
    assert capsys.readouterr().out == said
    assert certificate.main(["verify", str(folder), str(tmp_path / "x"), "--chain", "12"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("not valid: manifest.json: is of another run")
    assert second.startswith(f"not valid: {tmp_path / 'x'}: is no file")


def test_the_command_knows_nothing_but_verify(folder, capsys):
    with pytest.raises(SystemExit):
        certificate.main(["forge", str(folder)])
    assert "python -m plugins.certificate" in capsys.readouterr().err
