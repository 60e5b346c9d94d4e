"""Charts as SVG text, without any library: colours come from the page's style, so dark mode is free.

The drawing is 340 units wide, about a phone's width, so that its text stays readable there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
POINTS_DRAWN = 400
BINS = 24


@dataclass(frozen=True)
class Series:
    """One line of a chart; `low` and `high` are its band, if it has one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def points(self, values: Sequence[float]) -> list[tuple[float, float]]:
        """Finite points, thinned out to what a screen can show."""
        pairs = [(x, y) for x, y in zip(self.x, values) if math.isfinite(x) and math.isfinite(y)]
        step = max(1, math.ceil(len(pairs) / POINTS_DRAWN))
        return pairs[::step] + (pairs[-1:] if step > 1 else [])


@dataclass(frozen=True)
class Axis:
    """From values to units of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values on the axis."""
        raw = (self.high - self.low) / wanted
        size = 10 ** math.floor(math.log10(raw))
        step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def lines(series: Sequence[Series], *, xlabel: str, ylabel: str, dots: bool = False) -> str:
    """Lines over x, each with its band; with `dots` each point is marked."""
    points = [p for one in series for v in (one.y, one.low, one.high) for p in one.points(v)]
    if not any(one.points(one.y) for one in series):
        return ""
    x, y = _across([x for x, _ in points]), _up([y for _, y in points])
    drawn = [_band(one, i, x, y) + _line(one, i, x, y, dots) for i, one in enumerate(series)]
    names = ", ".join(one.name for one in series if one.name)
    return _frame(f"{ylabel} over {xlabel}: {names}", x, y, "".join(drawn), xlabel, ylabel)


def histogram(values: Sequence[float], *, xlabel: str, median: float) -> str:
    """How often values fall where, with their median."""
    low, high = min(values), max(values)
    bins = min(BINS, max(4, math.ceil(math.sqrt(len(values)) * 2)))
    span = (high - low) or abs(high) * 0.1 or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / span * bins))] += 1
    x, y = _across([low, low + span]), _up([0, max(counts)], floor=True)
    bars = "".join(
        f'<rect class="fill s0" x="{x.at(low + i * span / bins):.1f}" y="{y.at(n):.1f}"'
        f' width="{(x.end - x.start) / bins * 0.86:.1f}" height="{y.start - y.at(n):.1f}">'
        f"<title>{n} of {len(values)}</title></rect>"
        for i, n in enumerate(counts)
        if n
    )
    at = x.at(median)
    mark = f'<path class="mark" d="M{at:.1f} {y.start}V{y.end}"><title>median</title></path>'
    return _frame(f"distribution of {xlabel}", x, y, bars + mark, xlabel, "steps")


def dot_rows(labels: Sequence[str], series: Sequence[Series], *, xlabel: str) -> str:
    """A row for each label with a dot for each series."""
    values = [y for one in series for y in one.y if math.isfinite(y)]
    if not values:
        return ""
    row, height = 15, 15 * len(labels) + BOTTOM + TOP
    x = Axis(min(0.0, *values), max(values) * 1.05 or 1.0, 84, WIDTH - RIGHT)
    parts: list[str] = []
    for index, label in enumerate(labels):
        at = TOP + row * (index + 0.5)
        parts.append(f'<path class="grid" d="M{x.start} {at}H{x.end}"/>')
        parts.append(f'<text x="78" y="{at + 4}" text-anchor="end">{escape(label[:13])}</text>')
        for number, one in enumerate(series):
            if index < len(one.y) and math.isfinite(one.y[index]):
                parts.append(_dot(x.at(one.y[index]), at, number, f"{one.name} {one.y[index]:.4g}"))
    foot = height - BOTTOM
    parts += [_tick(x.at(tick), foot, f"{tick:.4g}") for tick in x.ticks()]
    parts.append(_label((x.start + x.end) / 2, height - 6, xlabel))
    return _svg(f"{xlabel} by class", "".join(parts), height)


def _across(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    return Axis(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT)


def _up(values: Sequence[float], floor: bool = False) -> Axis:
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return Axis(low if floor else low - air, high + air, HEIGHT - BOTTOM, TOP)


def _line(one: Series, number: int, x: Axis, y: Axis, dots: bool) -> str:
    points = one.points(one.y)
    path = "L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in points)
    marks = [_dot(x.at(a), y.at(b), number, f"{one.name} {b:.4g}") for a, b in points if dots]
    return f'<path class="line s{number % 5}" d="M{path}"/>' + "".join(marks)


def _band(one: Series, number: int, x: Axis, y: Axis) -> str:
    low, high = one.points(one.low), one.points(one.high)
    if not low or not high:
        return ""
    path = "L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in low + high[::-1])
    return f'<path class="band s{number % 5}" d="M{path}Z"/>'


def _dot(x: float, y: float, number: int, text: str) -> str:
    return (
        f'<circle class="fill s{number % 5}" cx="{x:.1f}" cy="{y:.1f}" r="3.5">'
        f"<title>{escape(text)}</title></circle>"
    )


def _frame(alt: str, x: Axis, y: Axis, drawn: str, xlabel: str, ylabel: str) -> str:
    grid = "".join(f'<path class="grid" d="M{x.start} {y.at(t):.1f}H{x.end}"/>' for t in y.ticks())
    rows = "".join(
        f'<text x="{LEFT - 5}" y="{y.at(t) + 4:.1f}" text-anchor="end">{t:.4g}</text>'
        for t in y.ticks()
    )
    columns = "".join(_tick(x.at(t), HEIGHT - BOTTOM, f"{t:.4g}") for t in x.ticks())
    names = _label((x.start + x.end) / 2, HEIGHT - 5, xlabel)
    turned = f"translate(10 {(y.start + y.end) / 2}) rotate(-90)"
    names += f'<g transform="{turned}">{_label(0, 0, ylabel)}</g>'
    return _svg(alt, grid + rows + columns + drawn + names, HEIGHT)


def _tick(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y + 14}" text-anchor="middle">{escape(text)}</text>'


def _label(x: float, y: float, text: str) -> str:
    return f'<text class="name" x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _svg(alt: str, content: str, height: float) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(alt)}">{content}</svg>'
