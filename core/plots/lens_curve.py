"""Where in the network the true token emerges: its place and its log-probability by block, both models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.domain.run import Interval
from core.plots import palette
from core.plots.shift_blocks import shade_frozen
from core.plots.theme import BLOCK_NAMES, Chart, figure, fixed_room, plain, slanted, subplots

if TYPE_CHECKING:
    import plotly.graph_objects as go

A, B = palette.Arm(palette.BASE, "square", "dash"), palette.Arm(palette.TRAINING, "diamond", "solid")
NULL = "token of another place"


def curve(names: Sequence[str], frozen: Sequence[bool], *, rank: tuple[Sequence[Interval], Sequence[Interval]],
          log_probability: tuple[Sequence[Interval], Sequence[Interval]], null_rank: Sequence[float],
          null_log_probability: Sequence[float], sides: tuple[str, str], over: str, height: int = 560) -> Chart:
    """Pairs are of model A and model B, an interval a block; null_…: of shuffled pairs in B. over: what was averaged
    over."""
    fig = figure(height=height)
    subplots(fig, rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07)
    for row, (pair, null, form) in enumerate(((rank, null_rank, "place %{y:,.0f}"),
                                              (log_probability, null_log_probability, "%{y:.2f} nats")), 1):
        for values, name, look in zip(pair, sides, (A, B), strict=True):
            _line(fig, names, values, plain(name), look, form, row)
        fig.add_scatter(x=list(range(len(names))), y=list(null), name=NULL, mode="lines", row=row, col=1,
                        showlegend=row == 1, line={"color": palette.BASE, "width": 1, "dash": "dot"},
                        hovertemplate=f"{NULL}: {form}<extra></extra>")
    few = [name if index % max(1, len(names) // 16) == 0 else "" for index, name in enumerate(names)]
    below = slanted(few, at_most=BLOCK_NAMES)
    fixed_room(fig, top=64, bottom=below.room)
    fig.update_xaxes(**below.axis, range=[-0.5, len(names) - 0.5])
    fig.update_yaxes(title={"text": "Median place"}, type="log", autorange="reversed", dtick=1, row=1, col=1)
    fig.update_yaxes(title={"text": "Log-probability, nats"}, row=2, col=1)
    shade_frozen(fig, frozen)
    title = _finding(rank, log_probability, sides)
    return Chart(fig, title, f"{title}. Over {over}. Median place of the true token by block, {sides[0]} then "
                             f"{sides[1]}: {_listed(names, *rank)}. A token of another place stands at "
                             f"{null_rank[-1]:,.0f} in the last block. Bands are 95 % intervals.")


def _line(fig: go.Figure, names: Sequence[str], values: Sequence[Interval], name: str, look: palette.Arm, form: str,
          row: int) -> None:
    places = list(range(len(names)))
    band: dict[str, Any] = {"fill": "toself", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip",
                            "fillcolor": palette.fade(look.colour, 0.2), "showlegend": False}
    fig.add_scatter(x=places + places[::-1], y=[v.high for v in values] + [v.low for v in reversed(values)],
                    row=row, col=1, **band)
    fig.add_scatter(x=places, y=[v.value for v in values], name=name, mode="lines+markers", row=row, col=1,
                    customdata=list(names), line={"color": look.colour, "width": 2, "dash": look.dash},
                    marker={"symbol": look.symbol, "size": 7}, showlegend=row == 1,
                    hovertemplate=f"%{{customdata}}<br>{name}: {form}<extra></extra>")


def _finding(rank: tuple[Sequence[Interval], Sequence[Interval]],
             log_probability: tuple[Sequence[Interval], Sequence[Interval]], sides: tuple[str, str]) -> str:
    """At the end of the network; a difference is claimed only where the intervals lie apart."""
    a, b = rank[0][-1], rank[1][-1]
    words = f"At the end the true token stands at place {a.value:,.0f} in {sides[0]}, {b.value:,.0f} in {sides[1]}"
    one, two = log_probability[0][-1], log_probability[1][-1]
    if one == two:
        return f"{words}: the same log-probability to the last bit"
    apart = one.high < two.low or two.high < one.low
    return f"{words} (log-probability {one.value:.2f} and {two.value:.2f}{'' if apart else ', intervals overlap'})"


def _listed(names: Sequence[str], a: Sequence[Interval], b: Sequence[Interval]) -> str:
    return ", ".join(f"{n} {x.value:,.0f} and {y.value:,.0f}" for n, x, y in zip(names, a, b, strict=True))
