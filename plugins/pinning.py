"""A baseline may be renewed, but not wander: each is held against the first one that was pinned.

A rolling baseline that is renewed after each small loss would let a regression in step by step. So
its record keeps the pinned values, and a reason that begins with "re-pin:" alone replaces them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Optional

from plugins import machine
from plugins.failure import LabError

REPIN = "re-pin:"


def pin(
    name: str,
    known: Mapping[str, Any],
    values: Any,
    producer: Any,
    reason: str,
    allowed: float,
) -> dict[str, Any]:
    """What the record of a baseline keeps: `pinned`, `pinned_on`, and `drift` as shares of it.

    A baseline is a table that a lane's producer measured; of all else nothing is kept.

    Args:
        name: the baseline's, for the message.
        known: the record so far, empty for a new baseline.
        producer: whose lane, runtime and machine class the values belong to.
        reason: of this update.
        allowed: the greatest share by which a value may differ from the pinned one.
    Raises:
        LabError: beyond `allowed`, or on another machine, and the reason pins nothing anew; or a
            value is NaN or infinite.
    """
    if not (producer.lane and name.endswith(".toml") and isinstance(values, Mapping)):
        return {}
    fresh, place = numbers(values), (producer.runtime, producer.machine)
    wild = [key for key, value in fresh.items() if not math.isfinite(value)]
    if wild:
        raise LabError(f"{name}: {wild[0]} is {fresh[wild[0]]}, no number to be compared with")
    if not known.get("pinned") or reason.startswith(REPIN):
        return {"pinned": fresh, "pinned_on": machine.today(), "drift": dict.fromkeys(fresh, 0.0)}
    why = _why_not(known, fresh, place, allowed)
    if why:
        raise LabError(f"{name}: {why}; find out why, or pin anew with the reason '{REPIN} ...'")
    drift = {name: _drift(known["pinned"][name], value) for name, value in fresh.items()}
    return {"pinned": known["pinned"], "pinned_on": known["pinned_on"], "drift": drift}


def drift_text(record: Mapping[str, Any]) -> str:
    """How far a baseline has moved since it was pinned; empty for what is no baseline."""
    if not record.get("pinned"):
        return ""
    moved = ", ".join(f"{name} {100 * share:+.2f} %" for name, share in record["drift"].items())
    return f"{moved} since it was pinned on {record['pinned_on']}"


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers in a table, those of inner tables too, by dotted name."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update(numbers(value, f"{prefix}{name}."))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = float(value)
    return found


def _why_not(
    known: Mapping[str, Any], fresh: Mapping[str, float], place: tuple[str, str], allowed: float
) -> Optional[str]:
    before = known.get("runtime", ""), known.get("machine", "")
    if before != place:
        return f"it was pinned on {' and '.join(before)}, and this is {' and '.join(place)}"
    if set(fresh) != set(known["pinned"]):
        return "it has other values than what was pinned"
    shares = {name: _drift(known["pinned"][name], value) for name, value in fresh.items()}
    worst = max(shares, key=lambda name: abs(shares[name]), default="")
    if worst and not abs(shares[worst]) <= allowed:
        return (
            f"{worst} has moved by {100 * shares[worst]:+.3g} % since it was pinned on "
            f"{known['pinned_on']}, and {100 * allowed:.3g} % are allowed"
        )
    return None


def _drift(pinned: float, value: float) -> float:
    return value / pinned - 1 if pinned else float(value != pinned)
