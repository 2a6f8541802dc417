"""Small pictures of measured results as SVG: for a page that must be there at once, without a chart library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from core.plots import palette

INK = {False: "#1b2733", True: "#e3e9ee"}
"""Colour of words on the light and on the dark theme."""
PAPER = {False: "#ffffff", True: "#0f1419"}
"""The theme's background: where the theme is changed while the page is open, the words stay readable on it."""
QUIET = {False: "#56636f", True: "#a3afba"}
_FONT = 'font-family="Source Sans, Source Sans Pro, Helvetica, Arial, sans-serif"'

Point = tuple[float, float]


def before_and_after(before: Sequence[Point], after: Sequence[Point], labels: Sequence[int], classes: Sequence[str], *,
                     names: tuple[str, str], dark: bool) -> str:
    """Two panes of the same rows through one camera, coloured by class. Positions lie in a window of 100 by 100."""
    side, gap, top = 235, 20, 26
    parts = [_svg(2 * side + gap, top + side + 30, dark=dark)]
    for pane, (name, points) in enumerate(zip(names, (before, after), strict=True)):
        left = pane * (side + gap)
        parts.append(_text(left + side / 2, 16, name, INK[dark], anchor="middle", weight=600))
        parts.append(f'<rect x="{left + 0.5}" y="{top}" width="{side - 1}" height="{side}" rx="8" fill="none" '
                     f'stroke="{palette.BASE}" stroke-opacity="0.45"/>')
        scale = (side - 20) / 100
        parts += [f'<circle cx="{left + 10 + x * scale:.1f}" cy="{top + 10 + (100 - y) * scale:.1f}" r="2.3" '
                  f'fill="{palette.arm(label).colour}" fill-opacity="0.8"/>'
                  for (x, y), label in zip(points, labels, strict=True)]
    x = 4.0
    for number, name in enumerate(classes):
        parts.append(f'<circle cx="{x + 4}" cy="{top + side + 18}" r="4.5" fill="{palette.arm(number).colour}"/>')
        parts.append(_text(x + 12, top + side + 23, name, QUIET[dark]))
        x += 26 + 8.0 * len(name)
    return "".join([*parts, "</svg>"])


def scores(rows: Sequence[tuple[str, int, float, float, float]], *, title: str, dark: bool) -> str:
    """A line a run: name, colour, and its score with the interval. rows: (name, colour index, value, low, high)."""
    width, name_width, step, top = 480, 150, 27, 28
    lowest, highest = min(low for *_, low, _ in rows), max(high for *_, high in rows)
    room = width - name_width - 60

    def place(value: float) -> float:
        return name_width + 10 + (value - lowest) / max(highest - lowest, 1e-9) * (room - 20)

    parts = [_svg(width, top + step * len(rows) + 4, dark=dark), _text(4, 16, title, INK[dark], weight=600)]
    for number, (name, colour_index, value, low, high) in enumerate(rows):
        y, colour = top + step * number + step / 2, palette.arm(colour_index).colour
        parts.append(_text(4, y + 5, name, INK[dark]))
        parts.append(f'<line x1="{name_width}" x2="{name_width + room}" y1="{y}" y2="{y}" stroke="{palette.BASE}" '
                     'stroke-opacity="0.25"/>')
        parts.append(f'<line x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
                     'stroke-width="5" stroke-linecap="round" stroke-opacity="0.45"/>')
        parts.append(f'<circle cx="{place(value):.1f}" cy="{y}" r="6" fill="{colour}"/>')
        parts.append(_text(width - 4, y + 5, f"{value:.2f}", INK[dark], anchor="end"))
    return "".join([*parts, "</svg>"])


def _svg(width: float, height: float, *, dark: bool) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" {_FONT} font-size="15"><rect width="100%" height="100%" rx="6" fill="{PAPER[dark]}"/>')


def _text(x: float, y: float, words: str, colour: str, *, anchor: str = "start", weight: int = 400) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(words)}</text>")
