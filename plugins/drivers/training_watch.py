"""Watches ranks by what they write as they go, and says in one sentence how a run ended."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from plugins.drivers.training_events import Progress

POLL_S, GRACE_S = 0.05, 2.0
MEET_S = 900.0  # what another machine gets to come: as long as torchrun itself waits for it
STOPS = {"REFUSED": "refused", "NONFINITE": "nonfinite"}
# How torchrun reports a failure: the first one at once, all in a table when it ends itself.
FAILED = re.compile(r"rank\s+: (\d+) \(local_rank: \d+\)\s+exitcode\s+: (-?\d+)")
FAILED_FIRST = re.compile(r"failed \(exitcode: (-?\d+)\) local_rank: (\d+)")
LOG_LINES_SHOWN = 3


@dataclass(frozen=True)
class Ending:
    """How a run ended: a status of training.Run and its sentence."""

    status: str
    sentence: str


def watch(
    agents: list[subprocess.Popen], progress: Progress, *, limit_s: float, stall_s: float
) -> str:
    """Wait until the agents end, or there is reason to end them: "", "late" or "hung"."""
    heard = time.monotonic()
    end, dying = heard + limit_s, False
    while True:
        now = time.monotonic()
        heard = now if progress.read() else heard
        codes = [agent.poll() for agent in agents]
        if None not in codes or (dying and now > end):
            return ""
        if not dying and (any(codes) or progress.gone()):
            # The others only have to say what they saw; an agent may wait for them much longer.
            end, dying = now + GRACE_S, True
        elif now > end:
            return "late"
        elif now - heard > _patience(progress, stall_s):
            return "hung"
        time.sleep(POLL_S)


def _patience(progress: Progress, stall_s: float) -> float:
    """How long no rank may say anything: before the first word, machines have to meet."""
    return max(MEET_S, stall_s) if _is_meeting(progress) else stall_s


def _is_meeting(progress: Progress) -> bool:
    return len(progress.numbers) < progress.world and not progress.started()


def overdue(why: str, progress: Progress, *, limit_s: float, stall_s: float) -> Ending:
    """The ending of a run that was ended because it was "late" or "hung"."""
    progress.read()
    least = progress.least()
    who = _ranks(least, progress)
    where = progress.place(least[0])
    far = max(progress.numbers, key=progress.reach)
    others = "" if far in least else f", while rank {far} is {progress.place(far)}"
    if why == "hung" and _is_meeting(progress):
        limit_s = _patience(progress, stall_s)
        text = (
            f"the other machine did not come within {limit_s:g} s, or cannot be reached from here"
        )
    elif why == "hung":
        text = f"{who} made no progress for {stall_s:g} s {where}{others}"
    else:
        text = f"the run did not finish within {limit_s:g} s: {who} got no further than {where}"
    return Ending(why, f"{text}; it was ended; see {logs(progress.folder)}")


def ended(codes: list[Optional[int]], progress: Progress) -> Ending:
    """The ending of a run whose agents ended, with these exit codes (None: had to be ended)."""
    progress.read()
    stop = progress.first_of(*STOPS)
    if stop:
        sentence = stop.get("sentence", "")
        named = sentence if "rank" in sentence else f"rank {stop['rank']}: {sentence}"
        return Ending(STOPS[stop["event"]], named)
    missing = progress.unfinished()
    if not missing and not any(codes):
        iterations = max(_iterations(progress), default=0)
        return Ending("finished", f"{progress.world} ranks finished; last iteration {iterations}")
    where = (
        f"see {logs(progress.folder)}{'' if progress.started() else _last_words(progress.folder)}"
    )
    return Ending("died", f"{_death(missing, codes, progress)}; {where}")


def _iterations(progress: Progress) -> list[int]:
    return [event.get("iteration") or 0 for some in progress.events.values() for event in some]


def _death(missing: list[int], codes: list[Optional[int]], progress: Progress) -> str:
    failures = _failures(progress)
    error = progress.first_of("ERROR")
    # Whoever was ended by a signal could not speak; torchrun itself sends SIGTERM to the others.
    signalled = [
        rank
        for rank, code in failures.items()
        if code < 0 and code != -signal.SIGTERM and rank in missing
    ]
    silent = [rank for rank in signalled if not progress.last(rank, "ERROR")]
    if error and not silent:
        who = _ranks([error["rank"]], progress)
        return f"{who} failed {progress.place(error['rank'])}: {error.get('sentence', '')}"
    return _end(next(iter([*silent, *failures]), None), failures, missing, codes, progress)


def _end(
    culprit: Optional[int],
    failures: dict[int, int],
    missing: list[int],
    codes: list[Optional[int]],
    progress: Progress,
) -> str:
    """How the rank that failed first ended, or whoever else is missing."""
    if culprit is not None:
        who = _ranks([culprit], progress)
        return f"{who} ended with {_cause(failures[culprit])}{_at(culprit, progress)}"
    if not any(codes) and None not in codes:
        who = _ranks(missing[:1], progress)
        return f"{who} ended with exit code 0 but without FINISHED{_at(missing[0], progress)}"
    gone = progress.first_gone
    if gone:
        verb = "is" if len(gone) == 1 else "are"
        return f"{_ranks(gone, progress)} {verb} gone{_at(gone[0], progress)}"
    before = (
        f"before {_ranks(missing, progress)} did" if missing else "after all ranks had finished"
    )
    return f"torchrun ended with {_cause(next(filter(None, codes)))} {before}"


def _at(rank: int, progress: Progress) -> str:
    """Where a rank was, if it is one of this machine's."""
    return f" {progress.place(rank)}" if rank in progress.events else ""


def _failures(progress: Progress) -> dict[int, int]:
    """Rank -> exit code of each rank that torchrun's reports name, the first to fail first."""
    found: dict[int, int] = {}
    texts = {path: path.read_text(errors="replace") for path in _logs(progress.folder)}
    for path, text in texts.items():
        first = int(path.stem[len("agent") :]) * progress.per_node
        for code, local in FAILED_FIRST.findall(text):
            found.setdefault(first + int(local), int(code))
    for text in texts.values():
        for rank, code in FAILED.findall(text):
            found.setdefault(int(rank), int(code))
    return found


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    hint = " (out of memory, unless somebody killed it)" if code == -signal.SIGKILL else ""
    return f"{signal.Signals(-code).name}{hint}"


def _last_words(folder: Path) -> str:
    lines = [
        line
        for path in _logs(folder)
        for line in path.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
    ]
    return "".join(f"\n    {line[:200]}" for line in lines)


def _ranks(numbers: list[int], progress: Progress) -> str:
    many = "s" if len(numbers) > 1 else ""
    return f"rank{many} {', '.join(map(str, numbers))} of {progress.world}"


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("agent*.log"))


def logs(folder: Path) -> str:
    """The agents' logs, for a sentence."""
    return ", ".join(map(str, _logs(folder))) or str(folder)
