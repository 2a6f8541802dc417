"""Where did it change? Numbers a block, frozen spans in ice blue, and the block × block map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.plots import palette
from core.plots.theme import BLOCK_NAMES, CHARACTER_PX, Chart, figure, fixed_room, slanted, subplots

if TYPE_CHECKING:
    import plotly.graph_objects as go

Values = Sequence[float | None]
SIMILARITY_SCALE = ((0.0, "#e3f0fa"), (0.4, "#8fc1e8"), (0.75, "#2b79b9"), (1.0, "#14406b"))
"""Opaque, so that the numbers in the cells are readable on either theme."""
CKA, KEPT, SHIFT = palette.arm(0), palette.arm(4), palette.arm(3)


def shade_frozen(fig: go.Figure, frozen: Sequence[bool]) -> None:
    """An ice-blue span behind each run of frozen blocks, over every row of the figure; x = block index."""
    start = None
    for index, cold in enumerate([*frozen, False]):
        if cold and start is None:
            start = index
        if not cold and start is not None:
            fig.add_vrect(x0=start - 0.5, x1=index - 0.5, fillcolor=palette.FROZEN, opacity=0.16, line_width=0,
                          layer="below", row="all", col="all")
            start = None


def where(names: Sequence[str], frozen: Sequence[bool], *, cka: Values, cka_low: Values, cka_high: Values, kept: Values,
          unrelated: float | None, displacement: Values, displacement_shift: Values | None = None,
          probe_base: Values | None = None, probe_tuned: Values | None = None, majority: float | None = None,
          yardstick: Values | None = None, selected: int | None = None, height: int = 620, second: str = "") -> Chart:
    """Three rows over the blocks: similarity (CKA with its band, neighbours kept), movement, and linear-probe accuracy.

    Every sequence has one value a block, None where there is none. unrelated: what either similarity reaches in 95 of
    100 shuffles of the rows, over all blocks. yardstick: CKA between two seeds of the arm ("how
    similar is similar"). Without probe values the third row is left out. second: what the rows of a second dataset are
    called, when the shift rows are these.
    """
    rows = 3 if probe_base and any(v is not None for v in probe_base) else 2
    fig = figure(height=height if rows == 3 else height * 2 // 3)
    subplots(fig, rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    _band(fig, cka_low, cka_high)
    _line(fig, names, cka, "CKA", CKA, row=1)
    _line(fig, names, kept, "neighbours kept", KEPT, row=1)
    if unrelated is not None:
        _reference(fig, len(names), unrelated, "unrelated features, at most", row=1)
    if yardstick:
        _line(fig, names, yardstick, "CKA between two seeds", palette.Arm(palette.BASE, "x", "dash"), row=1)
    _line(fig, names, displacement, "typical move, target rows", palette.Arm(palette.TRAINING, "circle", "solid"),
          row=2)
    if displacement_shift and any(v is not None for v in displacement_shift):
        _line(fig, names, displacement_shift, f"typical move, {second or 'shift rows'}",
              palette.SECOND if second else SHIFT, row=2)
    if rows == 3 and probe_base and probe_tuned:
        _line(fig, names, probe_base, "linear probe, A", palette.Arm(palette.BASE, "square", "dash"), row=3)
        _line(fig, names, probe_tuned, "linear probe, B", palette.Arm(palette.TRAINING, "diamond", "solid"), row=3)
        if majority is not None:
            _reference(fig, len(names), majority, "most frequent class", row=3)
    _axes(fig, names, rows)
    shade_frozen(fig, frozen)
    if selected is not None:
        fig.add_vline(x=selected, line={"color": palette.BASE, "width": 1, "dash": "dash"}, row="all", col=1)
    title = _changed_most(names, cka, cka_low, cka_high)
    return Chart(fig, title, f"{title}. {_frozen_words(names, frozen, cka)}CKA by block: {_listed(names, cka)}. "
                             f"Typical move by block: {_listed(names, displacement)}. Bands are 95 % intervals."
                             + ("" if unrelated is None else f" Unrelated features reach {unrelated:.2f} at most."))


def _axes(fig: go.Figure, names: Sequence[str], rows: int) -> None:
    below = slanted(names, at_most=BLOCK_NAMES)
    fixed_room(fig, top=64, bottom=below.room)  # three lines of legend at the width of half a page
    fig.update_xaxes(**below.axis, range=[-0.5, len(names) - 0.5])
    fig.update_yaxes(title={"text": "Similarity"}, range=[-0.05, 1.05], row=1, col=1)
    fig.update_yaxes(title={"text": "Typical move"}, rangemode="tozero", row=2, col=1)
    if rows == 3:
        fig.update_yaxes(title={"text": "Probe accuracy"}, row=3, col=1)


def _line(fig: go.Figure, names: Sequence[str], values: Values, name: str, look: palette.Arm, *, row: int) -> None:
    fig.add_scatter(x=list(range(len(names))), y=list(values), name=name, mode="lines+markers", row=row, col=1,
                    customdata=list(names), line={"color": look.colour, "width": 2, "dash": look.dash},
                    marker={"symbol": look.symbol, "size": 8},
                    hovertemplate="%{customdata}<br>" + name + " %{y:.3f}<extra></extra>")


def _reference(fig: go.Figure, count: int, value: float, name: str, *, row: int) -> None:
    fig.add_scatter(x=[-0.5, count - 0.5], y=[value, value], name=name, mode="lines", row=row, col=1,
                    line={"color": palette.BASE, "width": 1, "dash": "dot"},
                    hovertemplate=name + " %{y:.3f}<extra></extra>")


def _band(fig: go.Figure, low: Values, high: Values) -> None:
    known = [i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a is not None and b is not None]
    if known:
        fig.add_scatter(x=known + known[::-1], y=[high[i] for i in known] + [low[i] for i in known[::-1]],
                        fill="toself", mode="lines", line={"width": 0}, fillcolor=palette.fade(CKA.colour, 0.25),
                        hoverinfo="skip", showlegend=False, row=1, col=1)


def _changed_most(names: Sequence[str], cka: Values, low: Values, high: Values) -> str:
    """The block with the lowest CKA, or all whose intervals reach it."""
    known = [(v, i) for i, v in enumerate(cka) if v is not None]
    if not known:
        return "No block can be compared"
    value, least = min(known)
    if value == 1 and all(v == 1 for v, _ in known):
        return "No block changed: A and B are identical"
    bound = high[least] if high[least] is not None else value
    tied = [names[i] for v, i in known if i == least or (v < 1 and (low[i] if low[i] is not None else v) <= bound)]  # type: ignore[operator]
    if len(tied) == 1:
        return f"By CKA, features changed most in {names[least]} ({value:.2f}, 1 = unchanged)"
    shown = ", ".join(tied[:-1]) + " and " + tied[-1] if len(tied) <= 4 else f"{len(tied)} blocks"
    return f"By CKA, features changed most in {shown}, which this sample cannot rank"


def _frozen_words(names: Sequence[str], frozen: Sequence[bool], cka: Values) -> str:
    exact = [n for n, cold, v in zip(names, frozen, cka, strict=True) if cold and v == 1]
    return f"Frozen and exactly unchanged: {', '.join(exact)}. " if exact else ""


def _listed(names: Sequence[str], values: Values) -> str:
    return ", ".join(f"{n} {'not measured' if v is None else f'{v:.2f}'}" for n, v in zip(names, values, strict=True))


def block_map(values: Sequence[Sequence[float | None]], *, base_names: Sequence[str], tuned_names: Sequence[str],
              selected: int | None = None, height: int = 420) -> Chart:
    """CKA of every block of A (lines, from the top) with every block of B (columns), on the fixed scale 0–1."""
    table = np.array([[np.nan if v is None else v for v in line] for line in values], float)
    fig = figure(x_title="Block of model B", y_title="Block of model A", height=height, legend=False)
    small = table.size <= 100
    fig.add_heatmap(z=table, x=list(range(len(tuned_names))), y=list(range(len(base_names))), zmin=0, zmax=1,
                    xgap=1, ygap=1, colorscale=[list(stop) for stop in SIMILARITY_SCALE],
                    colorbar={"title": {"text": "CKA"}, "thickness": 12},
                    customdata=[[f"{b} against {t}" for t in tuned_names] for b in base_names],
                    text=[[_short(v) for v in line] for line in table] if small else None,
                    texttemplate="%{text}" if small else None, textfont={"size": 9},
                    hovertemplate="%{customdata}<br>CKA %{z:.3f}<extra></extra>")
    below = slanted(tuned_names, at_most=BLOCK_NAMES // 2)  # half a page wide
    step = -(-len(base_names) // BLOCK_NAMES)
    left = 34 + round(max(len(name) for name in base_names) * CHARACTER_PX)
    fixed_room(fig, left=min(left, 140), right=72, bottom=20 + below.room)
    fig.update_xaxes(**below.axis, showgrid=False)
    fig.update_yaxes(tickvals=list(range(0, len(base_names), step)), ticktext=list(base_names[::step]), showgrid=False,
                     autorange="reversed")
    if selected is not None:
        fig.add_vrect(x0=selected - 0.5, x1=selected + 0.5, line={"color": palette.TRAINING, "width": 2}, layer="above")
    title = _map_finding(table, base_names, tuned_names)
    return Chart(fig, title,
                 f"Map of the CKA between {len(base_names)} blocks of A and {len(tuned_names)} blocks of B, "
                             f"from 0 to 1. {title}.")


def _short(value: float) -> str:
    """Two digits in the width of a cell: ".71"; "1" for exactly 1 only."""
    return "" if value != value else "1" if value == 1 else f"{value:.2f}".lstrip("0")


def _map_finding(table: np.ndarray, base_names: Sequence[str], tuned_names: Sequence[str]) -> str:
    if table.shape[0] != table.shape[1]:
        known = np.isfinite(table).any(axis=0)
        column = int(np.flatnonzero(known)[-1]) if known.any() else -1
        if column < 0:
            return "No block can be compared"
        likest = base_names[int(np.nanargmax(table[:, column]))]
        return f"{tuned_names[column]} of B is most like {likest} of A"
    diagonal = np.diag(table)
    if not np.isfinite(diagonal).any():
        return "No block can be compared"
    least = int(np.nanargmin(diagonal))
    if diagonal[least] == 1:
        return "Every block is identical in both models"
    low, high = f"{diagonal[least]:.2f}", f"{np.nanmax(diagonal):.2f}"
    return "Each block of A and the same of B: CKA " + (f"{low} in all" if low == high else f"from {low} to {high}")
