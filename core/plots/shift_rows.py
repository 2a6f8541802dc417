"""Which examples? How many of its neighbours each row kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.plots import palette
from core.plots.theme import Chart, figure, fixed_room


def kept_histogram(kept: NDArray[np.float64], *, chance: float, k: int = 10, height: int = 320) -> Chart:
    """Rows by how many of their k nearest neighbours they kept. kept: a share a row, NaN left out; chance: a share."""
    known = np.rint(kept[np.isfinite(kept)] * k).astype(int)
    counts = np.bincount(known, minlength=k + 1)
    fig = figure(x_title=f"Neighbours kept, of {k}", y_title="Rows", height=height, legend=False)
    shades = [palette.fade(palette.TRAINING, 1 - 0.7 * i / k) for i in range(k + 1)]
    fig.add_bar(x=list(range(k + 1)), y=counts, marker={"color": shades, "line": {"width": 0}},
                hovertemplate=f"%{{y}} rows kept %{{x}} of {k}<extra></extra>")
    fig.add_vline(x=chance * k, line={"color": palette.BASE, "dash": "dot"},
                  annotation={"text": f"by chance {chance * k:.2f}", "font": {"size": 11}, "showarrow": False})
    fig.update_xaxes(dtick=1, range=[-0.6, k + 0.6])
    fixed_room(fig)
    if not known.size:
        return Chart(fig, "No neighbours could be compared", "An empty histogram: no neighbours could be compared.")
    if (known == k).all():
        title = f"Every row keeps all {k} of its nearest neighbours"
    else:
        title = (f"The typical row keeps {np.median(known):.0f} of its {k} nearest neighbours (mean "
                 f"{known.mean():.1f}, by chance {chance * k:.2f})")
    few = int(counts[: k // 2].sum())
    return Chart(fig, title,
                 f"Histogram of {known.size} rows by neighbours kept. {title}. {few} rows keep fewer than {k // 2}.")
