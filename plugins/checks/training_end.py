"""How a run ended, by its events and not by its exit code alone; and on what it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugins.failure import CheckFailure

FINISHED, NONFINITE = "FINISHED", "NONFINITE"


def check_finished(events: Sequence[Sequence[Mapping]], *, code: int, iterations: int = 0) -> None:
    """Every rank's last word is FINISHED, after all iterations, and the launcher says 0.

    Args:
        events: of each rank in order, its events as written, oldest first.
        code: the exit code of the launcher.
        iterations: that each rank must have finished; 0 where any number will do.
    """
    for written in events:
        for event in written:
            if event["event"] == NONFINITE:
                raise CheckFailure(
                    "the loss is not finite",
                    expected="finite losses in every iteration on every rank",
                    actual=f"rank {event['rank']}, iteration {event['iteration']}, images "
                    f"{', '.join(map(str, event.get('images', []))) or 'unknown'}",
                    worst=[str(event["sentence"])] if event.get("sentence") else [],
                )
    for rank, written in enumerate(events):
        last = written[-1] if written else {"event": "nothing"}
        if last["event"] != FINISHED or last.get("iteration", 0) < iterations:
            raise CheckFailure(
                "the run did not finish" if code else "a failed run is reported as a success",
                expected=f"FINISHED after {iterations} iterations from each of {len(events)} ranks",
                actual=f"rank {rank} ended with {last['event']} at {last.get('iteration', 0)}; "
                f"exit code {code}",
                worst=[str(last["sentence"])] if last.get("sentence") else [],
            )
    if code or not events:
        raise CheckFailure(
            "a finished run is reported as a failure" if events else "no rank said anything",
            expected="exit code 0 and FINISHED from each rank",
            actual=f"exit code {code}, {len(events)} ranks",
        )


def check_stopped(
    events: Sequence[Sequence[Mapping]], *, code: int, rank: int, iteration: int, image: int
) -> None:
    """G13: a poisoned image stopped the whole job: non-zero, no FINISHED, rank and image named."""
    finished = [
        r for r, written in enumerate(events) if any(e["event"] == FINISHED for e in written)
    ]
    if code == 0 or finished:
        raise CheckFailure(
            "a training with a non-finite loss is reported as a success",
            expected="a non-zero exit code, and FINISHED from no rank",
            actual=f"exit code {code}, FINISHED from ranks {finished}",
        )
    said = [e for written in events for e in written if e["event"] == NONFINITE]
    named = [(e["rank"], e["iteration"], list(e.get("images", []))) for e in said]
    if named != [(rank, iteration, [image])]:
        raise CheckFailure(
            "a non-finite loss is not traced to its image",
            expected=f"rank {rank}, iteration {iteration}, image {image}",
            actual="; ".join(f"rank {r}, iteration {i}, images {m}" for r, i, m in named)
            or "no rank says NONFINITE",
        )


def check_devices(devices: Sequence[Mapping], *, kind: str, name: str = "") -> None:
    """All ranks ran on the kind of device that is claimed, all on the same model of it.

    Args:
        devices: of each rank: kind, name, memory_bytes, capability.
        kind: cpu or cuda. name: what must stand in the device's name, e.g. A100.
    """
    for rank, device in enumerate(devices):
        if device["kind"] != kind or name not in device["name"]:
            raise CheckFailure(
                "the run is not on the claimed device",
                expected=f"{kind} {name or 'device'} on each of {len(devices)} ranks",
                actual=f"rank {rank} on {device['kind']} {device['name']}",
            )
    models = {(d["name"], d["memory_bytes"], str(d["capability"])) for d in devices}
    if len(models) != 1:
        raise CheckFailure(
            "the ranks ran on different devices",
            expected=f"one model of device for {len(devices)} ranks",
            actual=f"{len(models)} models",
            worst=[f"{n}, {m / 2**30:.4g} GiB, capability {c}" for n, m, c in sorted(models)],
        )


def check_same_software(versions: Sequence[Mapping], flags: Sequence[Mapping]) -> None:
    """All ranks ran the same software with the same flags: else they are not one experiment."""
    for what, said in (("versions", versions), ("flags", flags)):
        odd = [rank for rank, one in enumerate(said) if one != said[0]]
        if odd:
            rank = odd[0]
            keys = [k for k in said[0] if said[0][k] != said[rank].get(k)]
            raise CheckFailure(
                f"the ranks ran with different {what}",
                expected=", ".join(f"{k} {said[0][k]}" for k in keys) + " on every rank",
                actual=f"rank {rank}: " + ", ".join(f"{k} {said[rank].get(k)}" for k in keys),
            )
