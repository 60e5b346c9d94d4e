"""Charts: well-formed SVG whatever is drawn, and nothing where there is nothing to draw."""

from __future__ import annotations

import pytest

from plugins.report import charts
from plugins.report.charts import Series
from tests.strict_html import Strict


@pytest.mark.parametrize("low", [-1e9, 0.0, 1e-12])
@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1.0, 2.0, float("nan")], [1e-9, 1e12]])
def test_a_chart_is_well_formed_whatever_its_values(values, low):
    series = [Series("<a>", range(len(values)), values, [low] * len(values), values)]
    Strict(charts.lines(series, xlabel="<x>", ylabel="&"))
    Strict(charts.dot_rows(["<b>"] * len(values), series, xlabel="&"))
    finite = [value for value in values if value == value]
    Strict(charts.histogram(finite, xlabel="<ms>", median=finite[0]))


def test_a_chart_of_nothing_is_nothing():
    assert charts.lines([Series("a", [1.0], [float("nan")])], xlabel="x", ylabel="y") == ""
    assert charts.dot_rows(["a"], [Series("a", [], [])], xlabel="x") == ""


def test_long_series_are_thinned_and_keep_their_end():
    points = Series("a", range(100_000), range(100_000)).points(range(100_000))
    assert len(points) <= charts.POINTS_DRAWN + 1
    assert points[-1] == (99_999, 99_999)
