"""The certificate: a folder that says what a run judged and found, and can be checked without us.

    python -m plugins.certificate verify DIR [--chain VALUE] [FILE ...]

`verify` recomputes whatever follows from something else: hashes, the word from the tests, the rows
from the figures, the figures from the raw samples. FILE (a model.ts, say) must be one that was judged,
not one that it was judged with: an older one that was compared with it, an image, the operators.
It shows integrity, not authorship: there is no signature. Whoever keeps the chain value that the run
printed, outside of the folder, can tell whether this is the folder of that run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plugins import consistency
from plugins.store import write_atomically

SCHEMA = 1
MANIFEST = "manifest.json"
VERDICT, JUNIT, SAMPLES = "verdict.json", "junit.xml", "samples.json"
NEEDED = (VERDICT, JUNIT, "must_run.toml")
PRODUCTS = ("model of ", "weights of ", "compiled model of ")  # how names of what may be FILE begin


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            sha.update(block)
    return sha.hexdigest()


def write(folder: Path, sources: dict[str, Path]) -> str:
    """Copy files into a new certificate under their names there and seal it; its chain value."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in sources.items():
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    return seal(folder)


def seal(folder: Path) -> str:
    """Write the manifest of what lies in a folder; its chain value."""
    files = {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in _names(folder)
    }
    judged = _judged(json.loads((folder / VERDICT).read_text(encoding="utf-8")))
    content = {"schema": SCHEMA, "files": files, "judged": judged}
    content["chain"] = _chain(content)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(folder / MANIFEST, (text + "\n").encode("utf-8"))
    return content["chain"]


def _judged(verdict: dict[str, Any]) -> dict[str, str]:
    """What was judged, name -> sha256, as the tests recorded it."""
    return {name: sha for test in verdict["tests"] for name, sha in test["hashes"].items()}


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(p.relative_to(folder).as_posix() for p in files if p.name != MANIFEST)


def _chain(manifest: dict[str, Any]) -> str:
    content = {name: value for name, value in manifest.items() if name != "chain"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def verify(folder: Path, *, chain: str = "", files: Iterable[Path] = ()) -> list[str]:
    """What is wrong with a certificate, a sentence each; none if everything follows.

    Args:
        chain: the value that the run printed, where somebody kept it.
        files: must each be a product that was judged, by their content.
    """
    manifest = _read(folder / MANIFEST)
    if isinstance(manifest, str):
        return [manifest]
    if manifest.get("schema") != SCHEMA or "files" not in manifest:
        return [f"{folder / MANIFEST}: is not of schema {SCHEMA}; use the suite that wrote it"]
    try:
        broken = list(_broken(folder, manifest, chain))
    except consistency.NONSENSE:
        broken = [f"{MANIFEST}: was edited; its files cannot be read"]
    verdict = _read(folder / VERDICT)
    if isinstance(verdict, str):
        return [*broken, verdict]
    strangers = list(_strangers(manifest, verdict, files))
    return broken + strangers + list(consistency.contradictions(folder, verdict))


def _strangers(
    manifest: dict[str, Any], verdict: dict[str, Any], files: Iterable[Path]
) -> Iterator[str]:
    try:
        judged = _judged(verdict)
    except consistency.NONSENSE:
        judged = {}
    if judged != manifest.get("judged"):
        yield f"{MANIFEST}: says that something else was judged than {VERDICT} does"
    for path in files:
        if not path.is_file():
            yield f"{path}: is no file; name one that was judged"
            continue
        sha = sha256(path)
        names = [name for name, one in judged.items() if one == sha]
        if not names:
            yield f"{path}: is not what was judged; its sha256 is on no line of {MANIFEST}"
        elif not any(name.startswith(PRODUCTS) for name in names):
            yield f"{path}: is not what was judged; the run knows it as: {', '.join(names)}"


def _broken(folder: Path, manifest: dict[str, Any], chain: str) -> Iterator[str]:
    if manifest.get("chain") != _chain(manifest):
        yield f"{MANIFEST}: was edited; its chain value does not follow from its content"
    elif chain and chain != manifest["chain"]:
        yield f"{MANIFEST}: is of another run: its chain is {manifest['chain']}, not {chain}"
    listed, present = set(manifest["files"]), set(_names(folder))
    for name in sorted({*listed, *NEEDED} - present):
        yield f"{name}: is missing from the certificate"
    for name in sorted(present - listed):
        yield f"{name}: is in no line of {MANIFEST}; it was added later"
    for name in sorted(listed & present):
        yield from _changed(folder / name, name, manifest["files"][name])


def _changed(path: Path, name: str, record: dict[str, Any]) -> Iterator[str]:
    size = path.stat().st_size
    if size < record["bytes"]:
        yield f"{name}: is cut short: {size} of {record['bytes']} bytes"
    elif sha256(path) != record["sha256"]:
        yield f"{name}: was changed after the run; its sha256 is not the one in {MANIFEST}"


def _read(path: Path) -> dict[str, Any] | str:
    """A JSON object, or the sentence that there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return f"{path}: is missing; name the folder `certificate` of a run"
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    except ValueError:
        return f"{path}: is cut short or no JSON"
    return content if isinstance(content, dict) else f"{path}: holds no JSON object"


def main(arguments: list[str] | None = None) -> int:
    """Verify a certificate: 0 and its word if it holds, 1 and what is wrong with it if not."""
    parser = argparse.ArgumentParser(prog="python -m plugins.certificate")
    parser.add_argument("action", choices=["verify"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="must have been judged")
    parser.add_argument("--chain", default="", help="the value that the run printed")
    given = parser.parse_args(arguments)
    faults = verify(given.folder, chain=given.chain, files=given.files)
    for fault in faults:
        print(f"not valid: {fault}")
    if not faults:
        verdict = _read(given.folder / VERDICT)
        print(f"valid: {verdict['headline']} (suite {verdict['suite']}, {verdict['ended']})")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
