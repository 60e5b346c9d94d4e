"""The workers, libraries and files of one session, each started or made when first asked for."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Callable

from plugins.drivers.cache import Cache, file_digest
from plugins.drivers.ops_library import ensure_library
from plugins.drivers.process import Reply, Worker

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
        """One operation of a role's worker."""
        return self.worker(role).call(op, **arguments)

    def python(self, role: str) -> str:
        """The interpreter of a role."""
        return self.interpreters.get(SAME_AS.get(role, role), sys.executable)

    def library(self, role: str) -> str:
        """Path of the operator library for the torch of a role's interpreter."""
        if role not in self._libraries:
            log = self.run / "workers" / f"build-{role}.log"
            library = ensure_library(self.python(role), log=log, tell=self.tell)
            self._libraries[role] = str(library)
            self.record(f"operators of {role}", file_digest(library))
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
