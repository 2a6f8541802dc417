"""Accuracy over confidence, a line a run: as it says, and at its temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.plots import palette
from core.plots.numbers import measured, percent
from core.plots.theme import Chart, figure, fixed_room, plain, subplots

if TYPE_CHECKING:
    from core.analysis.reliability import Bin, Reliability

PANELS = ("Confidence<br>as the run says it", "Confidence<br>at its temperature")
"""Two lines each, so that both fit side by side on a phone."""
CLEAR = 2
"""With more runs, intervals are drawn faint: dozens of them would hide the lines."""


def chart(runs: Mapping[str, Reliability], looks: Mapping[str, palette.Arm] | None = None) -> Chart:
    """runs: name -> what was measured. looks: of each, as in other charts. On the dotted line, confidence means what it
    says; below, it is too high."""
    fig = figure(height=420, legend=True)
    subplots(fig, rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.1)
    for col in (1, 2):
        fig.add_scatter(x=[0, 1], y=[0, 1], mode="lines", row=1, col=col, showlegend=False, hoverinfo="skip",
                        line={"color": palette.BASE, "width": 1.5, "dash": "dot"})
    for number, (name, found) in enumerate(runs.items()):
        look = (looks or {}).get(name) or palette.arm(number)
        faint = len(runs) > CLEAR
        _line(fig, name, found.bins, look, 1, shown=True, faint=faint)
        _line(fig, name, found.scaled_bins, look, 2, shown=False, faint=faint)
    fixed_room(fig, top=32, bottom=72)
    for col, words in enumerate(PANELS, 1):
        fig.update_xaxes(title={"text": words}, range=[0, 1.02], tickformat=".0%", dtick=0.5,
                         row=1, col=col)
    fig.update_yaxes(range=[0, 1.02], tickformat=".0%")
    fig.update_yaxes(title={"text": "Share that is right"}, row=1, col=1)
    return Chart(fig, title(runs), f"{title(runs)} " + " ".join(sentence(name, found) for name, found in runs.items()))


def title(runs: Mapping[str, Reliability]) -> str:
    """How far confidence and accuracy are apart, from the best to the worst of the runs."""
    errors = sorted(found.error.value for found in runs.values())
    between = f"{percent(errors[0], 1)}" if len(errors) == 1 else f"{percent(errors[0], 1)} to {percent(errors[-1], 1)}"
    return f"Confidence lies {between} from the share that is right"


def sentence(name: str, found: Reliability) -> str:
    """The expected calibration error before and after."""
    before = measured(found.error.value, found.error.low, found.error.high)
    if found.temperature is None or found.scaled_error is None:
        return f"{name}: {before}; too few validation rows for a temperature."
    after = measured(found.scaled_error.value, found.scaled_error.low, found.scaled_error.high)
    return f"{name}: {before}, at temperature {found.temperature:.2f} {after}."


def _line(fig: Any, name: str, bins: tuple[Bin, ...], arm: palette.Arm, col: int, *, shown: bool, faint: bool) -> None:
    fig.add_scatter(
        x=[each.confidence for each in bins], y=[each.right.value for each in bins], mode="lines+markers",
        name=plain(name), legendgroup=name, showlegend=shown, row=1, col=col,
        line={"color": arm.colour, "width": 2, "dash": arm.dash},
        marker={"symbol": arm.symbol, "size": 8},
        error_y={"type": "data", "symmetric": False, "thickness": 1, "width": 0,
                 "color": palette.fade(arm.colour, 0.3) if faint else arm.colour,
                 "array": [each.right.high - each.right.value for each in bins],
                 "arrayminus": [each.right.value - each.right.low for each in bins]},
        customdata=[each.rows for each in bins],
        hovertemplate=f"{plain(name)}: %{{y:.0%}} right at confidence %{{x:.0%}} (%{{customdata}} rows)<extra></extra>")
