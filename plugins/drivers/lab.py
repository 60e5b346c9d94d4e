"""The workers, libraries and files of one session, each started or made when first asked for."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Callable

from plugins.drivers.cache import Cache, file_digest
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Reply, Worker
from plugins.failure import LabError

# Operators are judged where they infer; checkpoints are made where models are exported.
SAME_AS = {"ops": "infer", "device_nms": "infer", "shapes_training": "export"}


class Lab:
    """One session's equipment.

    Args:
        interpreters: role -> Python; a role that is not listed runs in this interpreter.
        artifacts: folder for the cache, which outlives the run.
        run: folder of this run; the workers' logs go below it.
        tell: is given a line before each long step.
        npu: the number of the card that its workers use.
    """

    def __init__(
        self,
        *,
        interpreters: dict[str, str],
        artifacts: Path,
        run: Path,
        tell: Callable[[str], None] = lambda line: None,
        npu: int = 0,
    ) -> None:
        self.interpreters, self.run, self.tell = interpreters, Path(run), tell
        self.cache = Cache(Path(artifacts) / "cache", tell)
        self.npu, self._place, self._beside = npu, "", []
        self.hashes: dict[str, str] = {}
        self._files: dict[Path, tuple[list[int], str]] = {}
        self._workers: dict[str, Worker] = {}
        self._libraries: dict[str, str] = {}

    def worker(self, role: str) -> Worker:
        """The living worker of a role."""
        if role not in self._workers:
            self._workers[role] = self.fresh(role, self._place)
        return self._workers[role]

    def fresh(self, role: str, name: str) -> Worker:
        """A second process of a role, for what must hold in a clean one; close it after use."""
        log = self.run / "workers" / f"{'-'.join(filter(None, (role, name)))}.log"
        card = {"CONFORMANCE_NPU": str(self.npu)}
        return Worker(role, python=self.python(role), log=log, env=card)

    def beside(self, place: str, npu: int) -> Lab:
        """The same equipment with workers of its own, which use the card `npu`; ends with this."""
        other = copy.copy(self)
        other.npu, other._place, other._workers, other._beside = npu, place, {}, []
        self._beside.append(other)
        return other

    def unrecorded(self) -> Lab:
        """The same equipment for a file that is not the one that is judged: it records no hash."""
        other = copy.copy(self)
        other.hashes = {}
        return other

    def call(self, role: str, op: str, **arguments: object) -> Reply:
        """One operation of a role's worker; a LabError where a file was not what it is known by."""
        try:
            return self.worker(role).call(op, **arguments)
        finally:
            self.check_unchanged()

    def digest_of(self, path: Path) -> str:
        """SHA-256 of a file that is judged, or judged with: one for the whole session."""
        path = Path(path)
        if path not in self._files:
            self._files[path] = _stamp(path), file_digest(path)
        return self._files[path][1]

    def check_unchanged(self) -> None:
        """A LabError once a file of `digest_of` holds something else: what workers opened is unsure."""
        for path, (stamp, sha) in list(self._files.items()):
            try:
                now = _stamp(path)
                found = sha if now == stamp else file_digest(path)
            except OSError:
                now, found = [], "none"
            if found != sha:
                raise LabError(
                    f"{path}: changed during the run: sha256 {sha[:12]}, then {found[:12]}; a run "
                    "judges one file: run again, and leave it as it is meanwhile"
                )
            self._files[path] = now, sha

    def python(self, role: str) -> str:
        """The interpreter of a role."""
        return self.interpreters.get(SAME_AS.get(role, role), sys.executable)

    def library(self, role: str) -> str:
        """Path of the operator library for the torch of a role's interpreter."""
        if role not in self._libraries:
            log = self.run / "workers" / f"build-{role}.log"
            library = ensure_library(self.python(role), log=log, tell=self.tell)
            self._libraries[role] = str(library)
            self.record(f"operators of {role}", self.digest_of(library))
        return self._libraries[role]

    def record(self, name: str, digest: str) -> None:
        """Keep the SHA-256 of what is judged, or judged with, for the certificate of the run."""
        self.hashes[name] = digest

    def kill(self, role: str) -> None:
        """End a role's worker in the middle of what it does; who waits for it is told."""
        self.worker(role).kill()

    def close(self) -> None:
        """End every worker."""
        workers = [*self._workers.values()]
        workers += [worker for lab in self._beside for worker in lab._workers.values()]
        for worker in workers:
            worker.close()
        for lab in (self, *self._beside):
            lab._workers.clear()


def _stamp(path: Path) -> list[int]:
    """What cannot stay the same when a file is written to or replaced."""
    found = os.stat(path)
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
