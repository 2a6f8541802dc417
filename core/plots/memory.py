"""What a run will keep in memory, against what the device has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.plots import palette
from core.plots.numbers import size
from core.plots.theme import Chart, figure

if TYPE_CHECKING:
    from core.planning.estimate import MemoryEstimate

PARTS: tuple[tuple[str, str, str], ...] = (
    ("weights", "weights", palette.BASE), ("adapters", "adapters", palette.arm(1).colour),
    ("gradients", "gradients", palette.arm(3).colour), ("optimizer", "optimiser", palette.TRAINING),
    ("activations_at_peak", "activations", palette.arm(0).colour),
    ("runtime", "libraries and allocator", palette.arm(4).colour),
)
"""Field of `MemoryEstimate`, word on screen, colour."""


def bars(estimates: dict[str, MemoryEstimate]) -> Chart:
    """One stacked bar a run name, with a line where the device's free memory ends. Bytes are shown in GB."""
    fig = figure(x_title="GB of memory", height=130 + 34 * len(estimates))
    names = list(estimates)[::-1]
    for part, word, colour in PARTS:
        values = [getattr(estimates[n], part) for n in names]
        if any(values):
            fig.add_bar(x=[v / 1e9 for v in values], y=names, orientation="h", name=word, marker={"color": colour},
                        customdata=[size(v) for v in values],
                        hovertemplate=f"%{{y}}<br>{word} %{{customdata}}<extra></extra>")
    available = max((e.available for e in estimates.values()), default=0)
    largest = max((e.total for e in estimates.values()), default=0)
    fig.update_layout(barmode="stack", bargap=0.35)
    fig.update_yaxes(showgrid=False)
    if available <= 2.5 * largest:
        fig.add_vline(x=available / 1e9, line={"color": palette.BASE, "dash": "dash", "width": 2})
    title = f"The largest run needs about {size(largest)} of the {size(available)} that are free"
    alt = title + ". " + "; ".join(f"{n} {size(e.total)}, {e.badge}" for n, e in estimates.items()) + "."
    return Chart(fig, title, alt)
