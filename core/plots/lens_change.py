"""Where in a text the two models differ: its tokens line by line, each with its KL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from core.plots.lens_table import shown
from core.plots.numbers import percent
from core.plots.theme import Chart, figure, fixed_room, plain

A_LINE = 8
"""Tokens beside each other: what a phone has room for."""
SCALE = ((0.0, "#fdf1ea"), (0.4, "#f4b18c"), (0.75, "#e8590c"), (1.0, "#7a2c00"))
"""Opaque, so that the words in the cells are readable on either theme."""


def text(tokens: Sequence[str], kl: ArrayLike, *, before: ArrayLike, after: ArrayLike, high: float,
         floor: float | None) -> Chart:
    """tokens in order, with KL(B ‖ A) in nats and the probability of each in A and B. high: KL of the darkest colour.
    floor: KL that rounding alone makes of 95 % of all tokens; None where it was not measured."""
    values, p, q = (np.asarray(v, float) for v in (kl, before, after))
    lines = max(1, -(-len(tokens) // A_LINE))
    cells = np.full((3, lines * A_LINE), np.nan)
    cells[:, :len(tokens)] = values, p, q
    grid, p_grid, q_grid = cells.reshape(3, lines, A_LINE)
    words = [*tokens, *[""] * (lines * A_LINE - len(tokens))]
    at = np.arange(lines * A_LINE).reshape(lines, A_LINE)
    fig = figure(height=24 + 38 * lines, legend=False)
    fig.add_heatmap(
        z=grid, zmin=0, zmax=max(high, 1e-9), xgap=2, ygap=2, colorscale=[list(stop) for stop in SCALE],
        showscale=False, textfont={"size": 10}, texttemplate="%{text}",
        text=[[f"{plain(shown(words[i], 9))}<br>{_nats(cells[0, i])}" if i < len(tokens) else "" for i in line]
              for line in at],
        customdata=[[f"“{plain(words[i])}”<br>KL {_nats(cells[0, i])} nats<br>probability {p_grid[r, c]:.3g} → "
                     f"{q_grid[r, c]:.3g}" if i < len(tokens) else "" for c, i in enumerate(line)]
                    for r, line in enumerate(at)],
        hovertemplate="%{customdata}<extra></extra>", hoverongaps=False)
    fixed_room(fig, left=4, right=4, top=4, bottom=4)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False, autorange="reversed")
    title = _finding(tokens, values, floor)
    most = [f"{shown(tokens[i], 20)} {_nats(values[i])}" for i in np.argsort(-values, kind="stable")[:5]]
    return Chart(fig, title, f"{len(tokens)} tokens of a text with the KL of each in nats. {title}. The most changed: "
                             f"{', '.join(most)}.")


def _nats(value: float) -> str:
    return "0" if value == 0 else f"{max(value, 0):.2f}" if value >= 0.005 else "<.01"


def _finding(tokens: Sequence[str], values: np.ndarray, floor: float | None) -> str:
    if not (values != 0).any():
        return "Both models say exactly the same after every word of this text"
    most = shown(tokens[int(values.argmax())], 20)
    words = f"The two models differ most before “{most}” ({values.max():.2f} nats, typically {np.median(values):.2f})"
    if floor is None:
        return words
    above = float((values > floor).mean())
    return f"{words}; {percent(above)} of the tokens lie above what rounding makes ({floor:.2g})"
