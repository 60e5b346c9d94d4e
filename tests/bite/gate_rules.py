"""What turned a gate red, by the rule that did: the alarms of a session, and how seeds are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bite import sessions
from tests.bite.fault import Alarm, Fault
from tests.bite.project import Project, Run

BROKEN, RED = "could not be collected: ", "  red: "


class Seeds:
    """The faults of a module with the functions that seed them: seed(project) -> alarms."""

    def __init__(self) -> None:
        self.all: list[tuple[Fault, Callable]] = []
        self.good: list[Fault] = []

    def fault(
        self, name: str, breaks: str, clause: str, words: str, *kin: str, **more: object
    ) -> Callable:
        """Lists the decorated function as the seed of a fault; arguments as those of Fault."""
        return lambda seed: self.all.append((Fault(name, breaks, clause, words, kin, **more), seed))

    def twin(self, name: str, what: str) -> Callable:
        """Lists the decorated function as a clean twin."""
        fault = Fault(name, what, "", "")
        self.good.append(fault)
        return lambda seed: self.all.append((fault, seed))


def alarms(run: Run) -> list[Alarm]:
    """What turned a session red; nothing if it is green, whatever its verdict says."""
    return [] if run.code == 0 else list(rules(run))


def rules(run: Run) -> Iterator[Alarm]:
    """What a red session says, by rule.

    gate.killed: it ended by a signal. gate.usage: it refused to begin. gate.collected, gate.must_run,
    gate.patience, gate.require: as in docs/verdict.md. gate.exit: the disk refused something at its
    end. gate.verdict: any other reason. And the clauses of its tests.
    """
    if run.code < 0:
        yield Alarm("gate.killed", "died", f"ended by signal {-run.code}")
    for line in run.text.splitlines():
        if line.startswith(sessions.REFUSAL):
            yield Alarm("gate.usage", "refused", line[len(sessions.REFUSAL) :])
        if line.startswith("  contradiction: "):
            yield Alarm("gate.certificate", "red", line.partition(": ")[2])
    if run.verdict is None:
        red = [line[len(RED) :] for line in run.text.splitlines() if line.startswith(RED)]
        yield from (Alarm("gate.exit", "red", line) for line in red)
        yield Alarm("gate.exit", "no verdict", last_words(run))
        return
    yield from sessions.alarms(run.verdict)
    books, said = run.verdict["books"], set()
    parts = {"collected": books["broken"], "must_run": books["gaps"], "patience": books["overdue"]}
    parts["exit"] = books["trouble"]
    parts["require"] = run.verdict["holes"]
    parts["verdict"] = run.verdict["reasons"]
    for rule, sentences in parts.items():
        for sentence in sentences:
            if sentence not in said:
                yield Alarm(f"gate.{rule}", "red", sentence)
        said |= set(sentences)


def last_words(run: Run) -> str:
    """The last line of what a session printed, with its exit code."""
    lines = run.text.strip().splitlines() or ["nothing"]
    return f"exit code {run.code}, and the last line is: {lines[-1][:200]}"


def refusal(action: Callable[[], object], clause: str, error: type) -> list[Alarm]:
    """The alarm of something that has to raise an error of one kind."""
    try:
        action()
    except error as raised:
        return [Alarm(clause, "refused", str(raised).splitlines()[0])]
    return []


def with_npu(project: Project) -> Project:
    """The project on a machine that looks like one with a 310P3."""
    project.tool("npu-smi", "| 0     310P3           | OK |")
    project.write("site/torch_aie/__init__.py", "")
    return project
