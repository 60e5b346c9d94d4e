"""What can go wrong, by whose fault: the product's, the lab's, or nobody's yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

WORST_SHOWN = 5


class CheckFailure(Exception):
    """The product broke a clause.

    Args:
        what: one line that names the broken promise; it must stand alone.
        expected: one line, with units.
        actual: one line, with units.
        worst: the worst offenders, most serious first; at most five are shown.
        needed: the smallest tolerance that would have passed, where one exists.
        see: where to look, label -> path.
    """

    def __init__(
        self,
        what: str,
        *,
        expected: str,
        actual: str,
        worst: Sequence[str] = (),
        needed: Optional[str] = None,
        see: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.what = what
        self.expected = expected
        self.actual = actual
        self.worst = list(worst)
        self.needed = needed
        self.see = dict(see or {})
        super().__init__(what)

    def lines(self) -> list[str]:
        """The failure as text lines, the first of which is `what`."""
        lines = [self.what, f"  expected  {self.expected}", f"  actual    {self.actual}"]
        for label, row in zip(["worst"] + [""] * WORST_SHOWN, self.worst[:WORST_SHOWN]):
            lines.append(f"  {label:<8}  {row}")
        if len(self.worst) > WORST_SHOWN:
            lines.append(f"            and {len(self.worst) - WORST_SHOWN} more")
        if self.needed:
            lines.append(f"  needed    {self.needed}")
        lines += [f"  see       {label}: {path}" for label, path in self.see.items()]
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


class Inconclusive(Exception):
    """There is not enough evidence to pass or to fail; never green in a gate."""


class LabError(Exception):
    """The lab broke, not the product: one sentence that ends with the cure."""


class ContractError(LabError):
    """A contract cannot be read: file, key and what is wrong with it."""

    def __init__(self, path: object, key: str, what: str) -> None:
        super().__init__(f"{path}: {key}: {what}")
