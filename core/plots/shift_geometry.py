"""The drawers: spectra, geometry a block, weights, the gap between domains, and the logit lens."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from core.plots import palette
from core.plots.numbers import percent
from core.plots.shift_blocks import Values, shade_frozen
from core.plots.theme import Chart, figure

_BASE, _TUNED = palette.Arm(palette.BASE, "square", "dash"), palette.Arm(palette.TRAINING, "circle", "solid")


def spectra(base: NDArray[np.float64], tuned: NDArray[np.float64], *, rank_base: float, rank_tuned: float, block: str,
            height: int = 360) -> Chart:
    """Singular values of the centred features over their side's largest, on a log axis; with effective ranks."""
    fig = figure(x_title="Direction, strongest first", y_title="Singular value ÷ largest", height=height)
    for name, values, look in (("A", base, _BASE), ("B", tuned, _TUNED)):
        shares = values[values > 0] / values.max(initial=1e-300)
        fig.add_scatter(x=list(range(1, len(shares) + 1)), y=shares, name=name, mode="lines",
                        line={"color": look.colour, "width": 2, "dash": look.dash},
                        hovertemplate=f"{name}, direction %{{x}}<br>%{{y:.3g}} of the largest<extra></extra>")
    fig.update_yaxes(type="log")
    verb = "more" if rank_tuned > rank_base else "fewer" if rank_tuned < rank_base else "as many"
    title = f"{block} uses {verb} directions in B: effective rank {rank_base:.1f} in A, {rank_tuned:.1f} in B"
    if rank_tuned == rank_base:
        title = f"{block} uses as many directions in B as in A: effective rank {rank_base:.1f}"
    return Chart(fig, title, f"Spectra of the features of A and B on a log axis. {title}.")


def by_block(names: Sequence[str], frozen: Sequence[bool], *, label: str, base: Values, tuned: Values,
             baseline: float | None = None, baseline_name: str = "", log: bool = False, selected: int | None = None,
             height: int = 320) -> Chart:
    """One number of both sides over the blocks (NC1, effective rank, silhouette, k-NN accuracy, domain gap); the title
    tells of the selected one, the last by default."""
    fig = figure(y_title=label, height=height)
    x = list(range(len(names)))
    for name, values, look in (("A", base, _BASE), ("B", tuned, _TUNED)):
        fig.add_scatter(x=x, y=list(values), name=name, mode="lines+markers", customdata=list(names),
                        line={"color": look.colour, "width": 2, "dash": look.dash},
                        marker={"symbol": look.symbol, "size": 8},
                        hovertemplate=f"%{{customdata}}, {name}<br>{label} %{{y:.3g}}<extra></extra>")
    if baseline is not None:
        fig.add_scatter(x=[-0.5, len(names) - 0.5], y=[baseline] * 2, mode="lines", name=baseline_name or "baseline",
                        line={"color": palette.BASE, "width": 1, "dash": "dot"}, hoverinfo="skip")
    fig.update_xaxes(tickvals=x, ticktext=list(names), range=[-0.5, len(names) - 0.5], ticklabeloverflow="allow",
                     tickangle=-35)
    fig.update_yaxes(type="log" if log else "linear")
    shade_frozen(fig, frozen)
    both = [(n, b, t) for n, b, t in zip(names, base, tuned, strict=True) if b is not None and t is not None]
    told = [entry for entry in both if selected is not None and entry[0] == names[selected]] or both
    title = (f"{label} could not be measured" if not both
             else f"{label} in {told[-1][0]}: {told[-1][1]:.3g} in A, {told[-1][2]:.3g} in B")
    return Chart(fig, title, f"{label} of A and B by block. {title}.")


def weights(names: Sequence[str], relative: Values, *, rank90: Sequence[int], intruders: Sequence[int | None],
            without_effect: Collection[str] = (), most: int = 30, height: int = 760) -> Chart:
    """‖ΔW‖ / ‖W‖ of the weights that changed most, as bars; hover tells rank and intruder dimensions.

    without_effect: weights whose change does not change what the model computes; pale, and never the headline.
    """
    changed = sorted((i for i, v in enumerate(relative) if v is not None and np.isfinite(v) and v > 0),
                     key=lambda i: -(relative[i] or 0))
    shown = sorted(changed[:most])
    fig = figure(x_title="Change ÷ size", height=max(160, min(height, 60 + 22 * len(shown))), legend=False)
    fig.add_bar(y=[names[i] for i in shown], x=[relative[i] for i in shown], orientation="h",
                marker={"color": [palette.BASE if names[i] in without_effect else palette.TRAINING for i in shown],
                        "line": {"width": 0}},
                customdata=[[rank90[i], "–" if intruders[i] is None else intruders[i]] for i in shown],
                hovertemplate="%{y}<br>%{x:.2%} of its size<br>rank for 90 %: %{customdata[0]}<br>"
                              "intruder dimensions: %{customdata[1]}<extra></extra>")
    fig.update_yaxes(autorange="reversed", dtick=1, tickfont={"size": 11})
    fig.update_xaxes(tickformat=".1%", rangemode="tozero")
    if not changed:
        return Chart(fig, "No published weight changed", "An empty bar chart: no published weight changed.")
    total = sum(v for v in intruders if v)
    telling = [i for i in changed if names[i] not in without_effect]
    if not telling:
        title = "Only weights without effect on what the model computes changed"
        return Chart(fig, title, f"Bars of the relative change of {len(shown)} of {len(names)} weights. {title}.")
    top = telling[0]
    title = (f"{names[top]} changed most, by {percent(relative[top] or 0.0, 1)} of its size; {total} intruder "
             f"dimension{'' if total == 1 else 's'} in all")
    return Chart(fig, title, f"Bars of the relative change of {len(shown)} of {len(names)} weights. {title}.")


def delta_spectrum(singular: Sequence[float], *, name: str, rank90: int, height: int = 300) -> Chart:
    """Singular values of one weight's change, largest first."""
    fig = figure(x_title="Direction of the change, strongest first", y_title="Singular value", height=height,
                 legend=False)
    fig.add_scatter(x=list(range(1, len(singular) + 1)), y=list(singular), mode="lines+markers",
                    line={"color": palette.TRAINING, "width": 2}, marker={"size": 5},
                    hovertemplate="direction %{x}<br>%{y:.3g}<extra></extra>")
    if rank90:
        fig.add_vline(x=rank90 + 0.5, line={"color": palette.BASE, "dash": "dot"})
    title = (f"{rank90} of {len(singular)} directions hold 90 % of the change of {name}" if singular
             else f"{name} did not change")
    return Chart(fig, title, f"Singular values of a weight's change. {title}.")


def lens(names: Sequence[str], *, base: Values, tuned: Values, height: int = 320) -> Chart:
    """Mean probability of the true next token if the model stopped at each block, both sides."""
    chart = by_block(names, [False] * len(names), label="Probability of the true token", base=base, tuned=tuned,
                     height=height)
    chart.figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return chart
