"""Elements of the report: whatever comes from a run is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from plugins import ledger

TONES = {
    **dict.fromkeys((ledger.FAILED, ledger.STALE, ledger.ERROR), "bad"),
    **dict.fromkeys((ledger.INCONCLUSIVE, ledger.NOT_RUN, ledger.WAIVED), "open"),
    **dict.fromkeys((ledger.SKIPPED, ledger.DESELECTED), "calm"),
    ledger.PASSED: "good",
}
SHOWN = 6


def tag(name: str, content: Any, **attributes: Any) -> str:
    """An element whose text and attributes are escaped."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{words}>{escape(str(content))}</{name}>"


def listed(items: Iterable[str], kind: str) -> Iterator[str]:
    """A list; what is beyond its first few items is folded away."""
    tags = [tag("li", item) for item in items]
    if tags:
        yield f'<ul class="{kind}">' + "".join(tags[:SHOWN]) + "</ul>\n"
    if tags[SHOWN:]:
        more = f'<ul class="{kind}">' + "".join(tags[SHOWN:]) + "</ul>"
        yield f"<details>{tag('summary', f'{len(tags) - SHOWN} more')}{more}</details>\n"
