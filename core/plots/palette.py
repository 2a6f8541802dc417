"""Every colour of Thaw, defined once and readable on the light and on the dark theme.

Frozen is ice blue, training is ember orange, the base model is grey, and each arm keeps one colour from the
first chart to the last export. Arm colours have a contrast of at least 3:1 on both backgrounds, and stay apart
for normal vision, protanopia and deuteranopia (simulated with the matrices of Machado et al. 2009, and tested);
markers and dashes repeat the distinction without colour.
"""

from __future__ import annotations

from dataclasses import dataclass

FROZEN = "#3a9bdc"
"""Ice blue: frozen blocks."""
TRAINING = "#e8590c"
"""Ember orange: blocks that train."""
BASE = "#7d8590"
"""Grey: the base model, and anything that is reference rather than measurement."""
LIGHT_BACKGROUND = "#ffffff"
DARK_BACKGROUND = "#0f1419"

SEQUENTIAL: tuple[tuple[float, str], ...] = (
    (0.0, "rgba(58,155,220,0)"), (0.25, "rgba(58,155,220,0.45)"), (0.6, "#2b79b9"), (1.0, "#14406b"),
)
"""Colour scale for counts and shares; transparent at zero, so that it starts at either theme's background."""


@dataclass(frozen=True)
class Arm:
    """How one arm of an experiment looks everywhere."""

    colour: str
    symbol: str
    dash: str


_COLOURS = ("#4160bd", "#ac9552", "#c4021d", "#77508b", "#3fa37b", "#8308fb")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
_DASHES = ("solid", "dash", "dot", "dashdot")


SECOND = Arm(colour="#c266ff", symbol="triangle-down", dash="dot")
"""Rows of a second dataset: a colour and a symbol that no class has."""


def arm(index: int, *, marker: int | None = None, dash: int | None = None) -> Arm:
    """The look of arm `index` (a method's `colour_index`); beyond six, colours repeat with another marker and dash.

    marker, dash: places of the marker and the dash where these say something else than the method.
    """
    own = index // len(_COLOURS)
    return Arm(colour=_COLOURS[index % len(_COLOURS)],
               symbol=_SYMBOLS[(index if marker is None else marker) % len(_SYMBOLS)],
               dash=_DASHES[(own if dash is None else dash) % len(_DASHES)])


def arm_count() -> int:
    """Number of arm colours that differ."""
    return len(_COLOURS)


def fade(colour: str, opacity: float) -> str:
    """`#rrggbb` as an `rgba()` with the given opacity in [0, 1]."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
