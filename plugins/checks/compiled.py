"""The compiled module: what fell back, and whether it behaves like the file that it was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional

from plugins.failure import CheckFailure

UNKNOWN = "unknown"  # a release that does not let its own Input be read


def check_placement(
    left_in_torch: Mapping[str, int], allowed: Sequence[str], side: Optional[int] = None
) -> None:
    """Nothing runs in torch that the contract does not allow to.

    Args:
        side: of the input that it was compiled for, where it has one.
    """
    fallen = {name: count for name, count in left_in_torch.items() if name not in allowed}
    if fallen:
        raise CheckFailure(
            "operators fell back to torch",
            expected=f"in torch: {', '.join(allowed) or 'nothing'}",
            actual=f"{sum(fallen.values())} nodes of {len(fallen)} operators are not compiled"
            + (f" at {side}x{side}" if side else ""),
            worst=[f"{name}: {count}" for name, count in sorted(fallen.items())],
        )


def check_options(told: Mapping[str, str], options: Mapping, shape: Sequence[int]) -> None:
    """The compiler was told what the contract says, each option by name, and one static shape.

    Args:
        told: what was passed, as text. options: the contract's; those that a release does not know
            are not passed.
    """
    wanted = {name: str(value) for name, value in options.items() if name in told}
    wanted["inputs"] = str(list(shape))
    other = [f"{k} {told[k]}, not {v}" for k, v in wanted.items() if told[k] not in (v, UNKNOWN)]
    if other:
        raise CheckFailure(
            f"the compiler was told otherwise: {other[0]}",
            expected=", ".join(f"{k} {v}" for k, v in wanted.items()),
            actual=f"{len(other)} of {len(wanted)} options are others",
            worst=other,
        )


def check_refused(sentence: str, what: str) -> None:
    """A call that must not work has raised."""
    if not sentence:
        raise CheckFailure(f"{what} is accepted", expected="an error", actual="outputs")


def check_runtime(found: Mapping, claimed: str, *, real: bool) -> None:
    """The runtime that computed is the one that the run claims: emulated is never called real.

    Args:
        claimed: as the header names it; a version may be told otherwise there, its module may not.
    """
    computed = "the emulator" if found["emulated"] else "a real NPU"
    if bool(found["emulated"]) == real or found["runtime"].split()[0] not in claimed:
        raise CheckFailure(
            "the lane does not run on what it claims",
            expected=f"{'a real NPU' if real else 'the emulator'}: {claimed}",
            actual=f"{computed}: {found['runtime']}",
        )


def check_versions(observed: Mapping[str, str], declared: Sequence, *, strict: bool) -> None:
    """On a real NPU the versions are those that the source's figures were measured with."""
    other = version_differences(observed, declared)
    if strict and other:
        raise CheckFailure(
            "the environment is not the source's",
            expected=", ".join(f"{v.name} {v.version}" for v in declared),
            actual=f"{len(other)} of {len(declared)} differ",
            worst=other,
        )


def version_differences(observed: Mapping[str, str], declared: Sequence) -> list[str]:
    """What is not as in the source's table, a line each."""
    return [
        f"{v.name} is {observed.get(v.name) or 'not found'}, not {v.version}"
        for v in declared
        if _plain(observed.get(v.name)) not in filter(None, map(_plain, (v.version, v.also)))
    ]


def _plain(version) -> str:
    """Without build marks and case: 2.0.1+cpu is 2.0.1, 7.0.RC1 is 7.0rc1.

    A package's metadata drop the separator of a pre-release (PEP 440): 6.3.rc2 becomes 6.3rc2.
    """
    return re.sub(r"[._-](?=(a|b|rc)\d)", "", (version or "").partition("+")[0].lower())
