"""The map: same limits and aspect 1 in every pane, one trace a pane, few arrows, honest titles."""

import numpy as np
import pytest

from core.plots import palette, shift_map
from core.plots.shift_map import Colouring


@pytest.fixture
def classes():
    values = np.arange(120.0) % 3
    values[:5] = -1
    return Colouring(title="Label", values=values, classes=("one", "two", "three"))


def drawn(traces):
    return [t for t in traces if t.x is not None and any(v is not None for v in t.x)]


def common(n, **changes):
    return {"row_ids": list(range(1000, 1000 + n)), "hover": [f"row {i}" for i in range(n)], "names": ("base", "tuned"),
            **changes}


def test_two_panes_share_limits_and_aspect(positions, classes):
    chart = shift_map.panes(*positions, classes, **common(120, selected=[3, 4]))
    layout, traces = chart.figure.layout, drawn(chart.figure.data)
    assert layout.xaxis.range == layout.xaxis2.range and layout.yaxis.range == layout.yaxis2.range
    assert (layout.yaxis.scaleanchor, layout.yaxis2.scaleanchor) == ("x", "x2")
    assert np.ptp(layout.xaxis.range) == pytest.approx(np.ptp(layout.yaxis.range))
    points = np.concatenate(positions)
    assert layout.xaxis.range[0] < points[:, 0].min() and layout.xaxis.range[1] > points[:, 0].max()
    assert len(traces) == 2 and traces == list(chart.figure.data[:2])
    for trace, side in zip(traces, positions, strict=True):
        np.testing.assert_array_equal(trace.x, side[:, 0])
        assert list(trace.customdata) == list(range(1000, 1120)) and list(trace.selectedpoints) == [3, 4]


def test_classes_have_colour_and_symbol_and_unknown_is_grey(positions, classes):
    marker = shift_map.panes(*positions, classes, **common(120)).figure.data[0].marker
    looks = {c: {(marker.color[i], marker.symbol[i]) for i in np.flatnonzero(classes.values == c)}
             for c in (-1, 0, 1, 2)}
    assert all(len(v) == 1 for v in looks.values()) and len(set.union(*looks.values())) == 4
    legend = [t.name for t in shift_map.panes(*positions, classes, **common(120)).figure.data[2:]]
    assert legend == ["one", "two", "three"]


def test_measured_colours_keep_their_scale(positions):
    colouring = Colouring(title="Neighbours kept", values=np.linspace(0.2, 0.8, 120), low=0, high=1)
    for trace in shift_map.panes(*positions, colouring, **common(120)).figure.data:
        assert (trace.marker.cmin, trace.marker.cmax) == (0, 1)


def test_many_rows_are_webgl_and_few_svg():
    for n, kind in ((1500, "scatter"), (1501, "scattergl")):
        side = np.random.default_rng(0).standard_normal((n, 2))
        chart = shift_map.panes(side, side, Colouring(title="Displacement", values=np.zeros(n)), **common(n))
        assert {t.type for t in chart.figure.data} == {kind}


def test_arrows_for_centroids_the_fifty_largest_movers_and_the_selection(positions, classes):
    distance = np.linspace(0, 1, 120)
    chart = shift_map.overlay(*positions, classes, distance=distance, kept=np.linspace(1, 0, 120),
                              labels=classes.values.astype(int), captured=0.15, **common(120, selected=[2]))
    heads = {}
    for trace in chart.figure.data:
        if trace.marker.symbol == "arrow":
            heads[trace.name or "movers"] = heads.get(trace.name or "movers", 0) + len(trace.x) // 3
    assert heads["class centroids"] == 3 and heads["selected rows"] == 1
    assert heads["largest movers"] + heads.get("movers", 0) == 50
    assert chart.title == "These arrows show 15 % of the real movement: most of it is out of this picture"
    centroid = next(t for t in chart.figure.data if t.name == "class centroids")
    rows = classes.values == 0
    assert (centroid.x[0], centroid.x[1]) == pytest.approx((positions[0][rows, 0].mean(), positions[1][rows, 0].mean()))


def test_identical_sides_draw_no_arrow(positions, classes):
    for changes in ({"arrows": False}, {"selected": []}):
        chart = shift_map.overlay(positions[0], positions[0], classes, distance=np.zeros(120), kept=np.ones(120),
                                  **common(120, **changes))
        assert not [t for t in chart.figure.data if t.marker.symbol == "arrow"]
    hidden = shift_map.overlay(*positions, classes, distance=np.zeros(120), kept=np.ones(120), arrows=False,
                               **common(120))
    assert "No arrows" in hidden.title


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_transition_is_the_mixture_in_a_fixed_window(positions, classes, share):
    chart = shift_map.transition(*positions, classes, share=share, **common(120))
    np.testing.assert_allclose(chart.figure.data[0].x, (1 - share) * positions[0][:, 0] + share * positions[1][:, 0])
    start = shift_map.transition(*positions, classes, share=0, **common(120))
    assert chart.figure.layout.xaxis.range == start.figure.layout.xaxis.range


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (5, 5), (30, 12)])
def test_multiples_are_one_figure_in_one_window(positions, classes, count, shown):
    chart = shift_map.multiples([(f"step {i}", positions[0] + i / 10) for i in range(count)], classes)
    assert len(drawn(chart.figure.data)) == shown
    names = [a.text for a in chart.figure.layout.annotations]
    assert names[0] == "step 0" and names[-1] == f"step {count - 1}"
    assert len({tuple(chart.figure.layout[f"xaxis{'' if i == 0 else i + 1}"].range) for i in range(shown)}) == 1


def test_many_rows_are_coloured_by_number_and_unknown_stays_grey():
    rng = np.random.default_rng(0)
    n = shift_map.SMOOTH_ROWS + 1
    values = rng.integers(-1, 3, n).astype(float)
    spots = rng.standard_normal((n, 2))
    chart = shift_map.panes(spots, spots, shift_map.Colouring(title="Label", values=values, classes=("a", "b", "c")),
                            row_ids=range(n), hover=[""] * n, names=("A", "B"))
    marker = chart.figure.data[0].marker
    assert np.array_equal(marker.color, values)
    colour = dict(marker.colorscale)
    middle = [(c - marker.cmin) / (marker.cmax - marker.cmin) for c in (-1, 0, 1, 2)]
    shown = [max((e, name) for e, name in colour.items() if e <= m)[1] for m in middle]
    assert shown == [palette.BASE, *(palette.arm(c).colour for c in range(3))]
