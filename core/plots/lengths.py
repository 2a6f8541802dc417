"""How many tokens rows have, against the length that a model is given."""

from __future__ import annotations

from collections.abc import Sequence

from core.plots import palette
from core.plots.numbers import share
from core.plots.theme import Chart, figure


def histogram(edges: Sequence[float], counts: Sequence[int], *, limit: int, cut: int, rows: int) -> Chart:
    """Rows by their number of tokens, and a line where they are cut.

    edges: n + 1 borders of the n bars in tokens. cut: rows longer than `limit`, of so many `rows`.
    """
    fig = figure(x_title="Tokens in a row", y_title="Rows", height=240, legend=False)
    bars = list(zip(edges, edges[1:], counts, strict=False))
    fig.add_bar(x=[(low + high) / 2 for low, high, _ in bars], y=[n for *_, n in bars],
                width=[high - low for low, high, _ in bars],
                marker={"color": [palette.BASE if low >= limit else palette.TRAINING for low, *_ in bars],
                        "line": {"width": 0}},
                customdata=[f"{low:,.0f} to {high:,.0f} tokens" for low, high, _ in bars],
                hovertemplate="%{customdata}<br>%{y:,} rows<extra></extra>")
    fig.add_vline(x=limit, line={"color": palette.BASE, "width": 2, "dash": "dash"},
                  annotation={"text": f"length {limit:,}", "yanchor": "top"})
    longest = max((high for _, high, n in bars if n), default=limit)
    fig.update_xaxes(range=[0, 1.05 * max(longest, limit)])
    title = (f"All {rows:,} rows fit within {limit:,} tokens" if not cut else
             f"{share(cut, rows)} of the rows are longer than {limit:,} tokens and are cut")
    return Chart(fig, title, f"{title}. The longest has at most {longest:,.0f} tokens.")
