"""What each block already says: blocks by tokens, one model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from core.plots.numbers import percent
from core.plots.shift_blocks import SIMILARITY_SCALE
from core.plots.theme import CHARACTER_PX, Chart, figure, fixed_room, plain, slanted

MOST_TOKENS = 24
WRITTEN_TOKENS, WRITTEN_BLOCKS = 12, 48
"""With more tokens or blocks than this, cells carry no words."""
RANKS = (1, 10, 100, 1_000, 10_000, 100_000)


def table(names: Sequence[str], tokens: Sequence[str], *, top: ArrayLike, rank: ArrayLike, probability: ArrayLike,
          vocabulary: int, side: str) -> Chart:
    """names: of blocks, from the lowest. tokens: those that stand there. top, rank, probability: `(n_blocks,
    n_tokens)`, the likeliest token, and place and probability of the true one. side: what the model is called."""
    words, places, shares = np.asarray(top, str), np.asarray(rank, float), np.asarray(probability, float)
    written = len(tokens) <= WRITTEN_TOKENS and len(names) <= WRITTEN_BLOCKS
    fig = figure(height=110 + max(10, min(17, 760 // max(1, len(names)))) * len(names), legend=False)
    hover = [[f"{plain(names[b])}, before {_quoted(tokens[t])}<br>says {_quoted(words[b, t])}"
              f"<br>the true token: place {places[b, t]:,.0f}, probability {shares[b, t]:.3g}"
              for t in range(len(tokens))] for b in range(len(names))]
    ticks = [r for r in RANKS if r <= vocabulary]
    fig.add_heatmap(
        z=np.log10(places), x=list(range(len(tokens))), y=list(range(len(names))), zmin=0, zmax=np.log10(vocabulary),
        xgap=1, ygap=1, colorscale=[[1 - at, colour] for at, colour in reversed(SIMILARITY_SCALE)], customdata=hover,
        colorbar={"title": {"text": "Place"}, "thickness": 10, "tickvals": [np.log10(r) for r in ticks],
                  "ticktext": [f"{r:,}" for r in ticks]},
        text=[[plain(shown(word, 8)) for word in line] for line in words] if written else None,
        texttemplate="%{text}" if written else None, textfont={"size": 9}, hovertemplate="%{customdata}<extra></extra>")
    below = slanted([shown(token, 10) for token in tokens])
    fixed_room(fig, left=20 + round(CHARACTER_PX * max(map(len, names))), right=64, bottom=14 + below.room)
    axis = below.axis | {"ticktext": [plain(text) for text in below.axis["ticktext"]]}
    step = max(1, len(names) // 16)
    fig.update_xaxes(**axis, showgrid=False)
    fig.update_yaxes(tickvals=list(range(0, len(names), step)), ticktext=list(names[::step]), showgrid=False)
    title = f"{side}: {_finding(names, places)}"
    return Chart(fig, title, f"Table of {len(names)} blocks by {len(tokens)} tokens: the likeliest token, and at which "
                             f"place the true one stands. {title}. Tokens: "
                             f"{', '.join(shown(token, 20) for token in tokens)}.")


def shown(token: str, most: int) -> str:
    """A token where there is little room; blanks become visible."""
    text = token.strip() or token.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣")
    return text if len(text) <= most else f"{text[:most - 1]}…"


def _quoted(token: str) -> str:
    return f"“{plain(token.replace(chr(10), '⏎'))}”"


def _finding(names: Sequence[str], places: np.ndarray) -> str:
    """From which block on the true token is first for half of the tokens."""
    first = (places == 1).mean(axis=1)
    half = [b for b in range(len(names)) if (first[b:] >= 0.5).all()]
    if not half:
        return f"the last block puts the true token first for {percent(first[-1])} of these tokens"
    where = "in the last block" if half[0] == len(names) - 1 else f"from {names[half[0]]} on"
    return f"{where} the true token is first for at least half of these tokens"
