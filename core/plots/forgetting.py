"""What a language model forgot: the change of its loss on texts of other kinds, against what means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.run import Interval
from core.metrics.words import listed
from core.plots import palette
from core.plots.numbers import signed
from core.plots.theme import Chart, axis_label, figure


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One kind of text before and after training, in nats a token."""

    label: str
    before: float
    after: float
    change: Interval
    floor: float
    """What changes without any training: a smaller change means nothing."""
    word: str
    """`better`, `worse`, `cannot tell`, or `trained on`."""


_COLOURS = {"worse": palette.TRAINING, "better": palette.FROZEN}


def changes(domains: Sequence[Domain]) -> Chart:
    """A line a domain: the change with its 95 % interval, and a grey band where it means nothing. Right is forgetting.
    """
    order = list(domains)[::-1]
    fig = figure(x_title="Change of the loss, nats a token<br>← learned · forgot →",
                 height=150 + 38 * max(2, len(order)), legend=False)
    fig.add_vline(x=0, line={"color": palette.BASE, "width": 1.5})
    for row, found in enumerate(order):
        colour = _COLOURS.get(found.word, palette.BASE)
        change, said = found.change, f"{found.before:.3f} → {found.after:.3f} ({signed(found.change.value, 3)})"
        if found.floor > 0:
            fig.add_shape(type="rect", x0=-found.floor, x1=found.floor, y0=row - 0.4, y1=row + 0.4, layer="below",
                          line={"width": 0}, fillcolor=palette.fade(palette.BASE, 0.25))
        fig.add_scatter(x=[change.low, change.high], y=[row, row], mode="lines", line={"color": colour, "width": 4},
                        hoverinfo="skip", opacity=0.6)
        fig.add_scatter(x=[change.value], y=[row], mode="markers", name=found.label,
                        marker={"color": colour, "size": 12,
                                "symbol": "circle-open" if found.word == "trained on" else "circle"},
                        hovertemplate=f"{found.label}: {found.word}<br>{said}<extra></extra>")
    fig.update_yaxes(tickvals=list(range(len(order))), range=[-0.6, max(1, len(order)) - 0.4], showgrid=False,
                     ticktext=[axis_label(found.label) for found in order])
    reach = max((max(abs(d.change.low), abs(d.change.high), d.floor) for d in order), default=0.0) or 0.01
    fig.update_xaxes(range=[-1.1 * reach, 1.1 * reach], tickformat="+.3~f")
    title = finding(domains)
    numbers = "; ".join(f"{d.label} {d.before:.3f} to {d.after:.3f}, {d.word}" for d in domains)
    return Chart(fig, title, f"{title}. {numbers}.")


def finding(domains: Sequence[Domain]) -> str:
    """One sentence, which calls nothing forgetting that its interval and the noise floor do not support."""
    worse = [found.label for found in domains if found.word == "worse"]
    better = [found.label for found in domains if found.word == "better"]
    if worse:
        return f"Forgot some of {listed(worse)}" + (f"; became better at {listed(better)}" if better else "")
    if better:
        return f"Forgot nothing that can be told; became better at {listed(better)}"
    return "Whether it forgot anything cannot be told: every change is as small as chance or rounding makes it"
