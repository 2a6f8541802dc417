"""The map as numbers for the page's own canvas: positions, looks, hover texts and arrows of every row, as one
JSON-ready scene.

Streamlit mounts a Plotly chart anew whenever its figure changes, which with WebGL takes about two seconds a selection
at 5,000 points a pane. The page therefore draws the map itself; files that people save are the figures of `shift_map`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.plots import palette, shift_map
from core.plots.shift_map import Colouring, Positions

SHADES = 64
"""Steps of a measured colour scale."""
MOST_LOOKS = 240
PANES, ARROWS, WAY = "panes", "arrows", "way"


def scene(mode: str, base: Positions, tuned: Positions, colouring: Colouring, *, names: tuple[str, str],
          hover: Sequence[str], distance: NDArray[np.float64], kept: NDArray[np.float64],
          labels: NDArray[np.int64] | None = None, arrows: bool = True, share: float = 0.5,
          alt: str = "") -> dict[str, Any]:
    """What the canvas draws. mode: `panes`, `arrows` or `way`; the rest as in `shift_map.panes` and
    `shift_map.overlay`.

    base, tuned: `(n_rows, 2)`; hover: lines of plain text a row, the first one bold. Numbers travel as base64 of
    little-endian float32 (positions x y x y …) and uint8 (looks).
    """
    middle, half = shift_map.window([base, tuned])
    numbers, looks = _looks(colouring)
    by_class = colouring.title == "Label"
    drawn = _arrows(base, tuned, distance, kept, labels, by_class) if mode == ARROWS and arrows else []
    return {"mode": mode, "names": list(names), "rows": len(base), "base": _packed(base, "<f4"),
            "tuned": _packed(tuned, "<f4"), "look": _packed(numbers, "u1"), "looks": looks,
            "legend": _legend(colouring), "scale": _scale(colouring), "hover": list(hover),
            "window": [float(middle[0]), float(middle[1]), half], "arrows": drawn,
            "moved": _packed(np.nan_to_num(distance), "<f4") if drawn else "",
            "selectedArrows": shift_map.MOST_SELECTED, "ember": palette.TRAINING, "share": share, "alt": alt}


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def _looks(colouring: Colouring) -> tuple[NDArray[np.uint8], list[list[str]]]:
    """A number a row, and the colour and symbol of each number; the last look is for rows without a value."""
    unknown = [palette.BASE, "circle-open"]
    if colouring.classes:
        count = len(colouring.classes)
        # Beyond what a byte holds, classes share looks; colours repeat long before that.
        looks = [[palette.arm(c).colour, palette.arm(c).symbol] for c in range(min(count, MOST_LOOKS))]
        looks += [[palette.SECOND.colour, palette.SECOND.symbol], unknown]
        return (np.array([_look(v, count) for v in range(-1, count + 1)], np.uint8)[colouring.values.astype(int) + 1],
                looks)
    low, high = _ends(colouring)
    known = np.isfinite(colouring.values)
    shares = np.clip((np.nan_to_num(colouring.values) - low) / ((high - low) or 1.0), 0, 1)
    return (np.where(known, np.round(shares * (SHADES - 1)), SHADES).astype(np.uint8),
            [*([c, "circle"] for c in _shades()), unknown])


def _look(value: int, count: int) -> int:
    """Look of a class number among `count` classes: those of a second dataset's rows and of no class come last."""
    shared = min(count, MOST_LOOKS)
    return shared + 1 if value < 0 else shared if value == count else value % MOST_LOOKS


def _ends(colouring: Colouring) -> tuple[float, float]:
    known = colouring.values[np.isfinite(colouring.values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (low if colouring.low is None else colouring.low, high if colouring.high is None else colouring.high)


def _shades() -> list[str]:
    from plotly.colors import sample_colorscale

    return list(sample_colorscale("Cividis", np.linspace(0, 1, SHADES).tolist()))


def _legend(colouring: Colouring) -> list[list[Any]]:
    """[name, look] of the classes that occur."""
    present = {int(v) for v in np.unique(colouring.values)} if colouring.classes else set()
    return [[name, _look(number, len(colouring.classes))] for number, (name, _) in enumerate(colouring.looks)
            if number in present]


def _scale(colouring: Colouring) -> dict[str, Any] | None:
    if colouring.classes:
        return None
    low, high = _ends(colouring)
    return {"title": colouring.title, "low": f"{low:.2g}", "high": f"{high:.2g}"}


def _arrows(base: Positions, tuned: Positions, distance: NDArray[np.float64], kept: NDArray[np.float64],
            labels: NDArray[np.int64] | None, by_class: bool) -> list[dict[str, Any]]:
    """Groups of arrows, x0 y0 x1 y1 … each, with the row that each belongs to (of a centroid, the first of its class,
    where colours are classes): a hidden row hides its arrow. Those of the selection are the canvas's own."""
    out = [{"name": "largest movers", "colour": palette.BASE, "width": 1.2, "opacity": opacity,
            "rows": list(rows), "lines": np.hstack([base[rows], tuned[rows]]).ravel().tolist()}
           for rows, opacity in shift_map.movers(distance, kept)]
    if labels is not None and (labels >= 0).any():
        ends = np.hstack([shift_map.centroids(base, labels), shift_map.centroids(tuned, labels)])
        firsts = [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels[labels >= 0])]
        out.append({"name": "class centroids", "colour": palette.TRAINING, "width": 3.5, "opacity": 1.0,
                    "rows": firsts if by_class else [], "lines": ends.ravel().tolist()})
    return out
