"""Lengths of rows against the length a model is given."""

from __future__ import annotations

from core.plots import lengths


def test_rows_beyond_the_length_are_said_and_drawn_apart() -> None:
    chart = lengths.histogram([0, 128, 256, 384], [300, 100, 8], limit=256, cut=8, rows=408)
    assert chart.title == "2.0 % of the rows are longer than 256 tokens and are cut"
    (bars,) = chart.figure.data
    assert list(bars.y) == [300, 100, 8] and list(bars.x) == [64, 192, 320] and list(bars.width) == [128] * 3
    assert len(set(bars.marker.color)) == 2 and bars.marker.color[0] == bars.marker.color[1] != bars.marker.color[2]


def test_rows_that_all_fit_and_rows_that_are_empty() -> None:
    assert lengths.histogram([0, 128], [4], limit=256, cut=0, rows=4).title == "All 4 rows fit within 256 tokens"
    assert lengths.histogram([0, 1], [0], limit=64, cut=0, rows=0).figure.layout.xaxis.range[1] > 64
