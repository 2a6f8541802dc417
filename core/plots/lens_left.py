"""What training left everywhere: the size of the mean change on unrelated text by block, and whether it is one and the
same on every text."""

from __future__ import annotations

from collections.abc import Sequence

from core.plots import palette
from core.plots.numbers import percent
from core.plots.shift_blocks import Values, shade_frozen
from core.plots.theme import BLOCK_NAMES, Chart, figure, fixed_room, slanted, subplots


def left(names: Sequence[str], frozen: Sequence[bool], *, share: Sequence[float], agreement: Values,
         seeds: Values | None = None, selected: int | None = None, height: int = 420) -> Chart:
    """share: norm of the mean change ÷ norm of a typical activation. agreement: cosine between two halves of the
    texts, None where nothing changed; seeds: between two seeds of the arm."""
    fig = figure(height=height)
    subplots(fig, rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    at = list(range(len(names)))
    fig.add_bar(x=at, y=[100 * s for s in share], name="mean change", row=1, col=1, customdata=list(names),
                marker={"color": palette.TRAINING, "line": {"width": 0}}, showlegend=False,
                hovertemplate="%{customdata}<br>%{y:.2f} % of a typical activation<extra></extra>")
    lines = [("two halves of the texts", agreement, palette.Arm(palette.TRAINING, "diamond", "solid"))]
    if seeds and any(value is not None for value in seeds):
        lines.append(("two seeds", seeds, palette.Arm(palette.BASE, "x", "dash")))
    for name, values, look in lines:
        fig.add_scatter(x=at, y=list(values), name=name, mode="lines+markers", row=2, col=1, customdata=list(names),
                        line={"color": look.colour, "width": 2, "dash": look.dash},
                        marker={"symbol": look.symbol, "size": 7},
                        hovertemplate=f"%{{customdata}}<br>{name}: cosine %{{y:.2f}}<extra></extra>")
    fig.add_scatter(x=[-0.5, len(names) - 0.5], y=[0, 0], name="chance", mode="lines", row=2, col=1,
                    line={"color": palette.BASE, "width": 1, "dash": "dot"}, hoverinfo="skip")
    below = slanted(names, at_most=BLOCK_NAMES)
    fixed_room(fig, top=44, bottom=below.room)
    fig.update_xaxes(**below.axis, range=[-0.5, len(names) - 0.5])
    fig.update_yaxes(title={"text": "% of typical"}, rangemode="tozero", row=1, col=1)
    fig.update_yaxes(title={"text": "Cosine"}, range=[-1.05, 1.05], row=2, col=1)
    shade_frozen(fig, frozen)
    if selected is not None:
        fig.add_vline(x=selected, line={"color": palette.BASE, "width": 1, "dash": "dash"}, row="all", col=1)
    title = _finding(names, share, agreement)
    listed = ", ".join(f"{n} {percent(s, 1)}" for n, s in zip(names, share, strict=True))
    return Chart(fig, title, f"{title}. Size of the mean change by block, of a typical activation: {listed}.")


def _finding(names: Sequence[str], share: Sequence[float], agreement: Values) -> str:
    most = max(range(len(names)), key=lambda i: share[i])
    if not share[most]:
        return "Training left nothing on unrelated text: every activation is equal to the last bit"
    same = agreement[most]
    words = (f"On unrelated text the mean change is largest in {names[most]}: {percent(share[most], 1)} of a typical "
             "activation")
    return words if same is None else f"{words} (two halves of the texts agree at {same:.2f}; chance 0)"
