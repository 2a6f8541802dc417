"""Checks of the pictures themselves: sizes, shapes, blank ones, conversions, sizes that give the label away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from core.data.checks.context import Context
from core.data.checks.giveaway import gives_away
from core.data.images import LONG_SIDE, LOSSLESS_SIDE
from core.data.pictures.decode import CUT_OFF
from core.data.pictures.depth import describe
from core.data.report import INFO, WARNING, Finding, several

_SMALL = 32
"""Short sides below this are far under what a base model was trained on."""
_STRETCHED = 4.0
"""Long side over short side from which the shape is called extreme."""
_BLANK = 1.0
"""Spread of grey values below which a picture is one flat colour."""


def sizes(context: Context) -> Iterator[Finding]:
    """How large the pictures were, and what importing changed."""
    decoded = context.rows.pictures
    if decoded is None or not len(decoded):
        return
    width, height = (int(v) for v in np.median(decoded.size, axis=0))
    changed = Counter(change for changes in decoded.changes for change in changes)
    how = "; ".join(f"{count:,} {change}" for change, count in changed.most_common()) or "nothing had to be changed"
    yield Finding(code="picture-sizes", severity=INFO, count=len(decoded),
                  message=f"The typical picture has {width:,} × {height:,} pixels; {how}.",
                  remedy=f"Nothing to do: base models look at 224 to 384 pixels. Long sides are limited to {LONG_SIDE} "
                         f"pixels; PNG, GIF, BMP and TIFF pictures, and all up to {LOSSLESS_SIDE} pixels, are kept "
                         "without loss, photos as JPEG.")


def depth(context: Context) -> Iterator[Finding]:
    """Which values of deep pictures became black and white, and pictures with values outside of them."""
    decoded = context.rows.pictures
    if decoded is None:
        return
    if shown := describe(decoded.depth):
        cut = sum(CUT_OFF in changes for changes in decoded.changes)
        outside = ("; " + several(cut, "picture has", "pictures have") + " values outside of these, which were cut off"
                   if cut else "")
        yield Finding(code="picture-depth", severity=WARNING if cut else INFO, count=cut or len(decoded),
                      message=f"Of pictures with more than 8 bits a channel, {shown} became black to white, alike "
                              f"for all{outside}.",
                      remedy="Nothing to do: this is kept with the dataset, and a run reads new pictures "
                             "in the same way.")


def extremes(context: Context) -> Iterator[Finding]:
    """Pictures that are tiny, or very long and narrow."""
    decoded = context.rows.pictures
    if decoded is None or not len(decoded):
        return
    short, long = decoded.size.min(axis=1), decoded.size.max(axis=1)
    small, stretched = np.flatnonzero(short < _SMALL), np.flatnonzero(long >= _STRETCHED * short)


    def first(positions: Any) -> str:
        return "".join(f"{context.quote(int(at))}: {_size(decoded, int(at))}" for at in positions[:1])

    yield from context.about(
        small, "small-pictures", ("picture has", "pictures have"),
        f"a side below {_SMALL} pixels; it will look blurred.", severity=INFO, example=first(small),
        remedy="Use larger originals if there are any; base models were trained on 224 pixels or more.")
    yield from context.about(
        stretched, "stretched-pictures", ("picture is", "pictures are"),
        f"at least {_STRETCHED:.0f} times as long as wide; most of it is cropped or squeezed for the model.",
        example=first(stretched), remedy="Cut them to the part that shows the class.")


def blank(context: Context) -> Iterator[Finding]:
    """Pictures of one flat colour."""
    decoded = context.rows.pictures
    if decoded is None:
        return
    yield from context.about(
        np.flatnonzero(decoded.spread < _BLANK), "blank-pictures", ("picture is", "pictures are"),
        "blank: one flat colour.", remedy="Take them out; there is nothing to learn from them.")


def size_giveaway(context: Context) -> Iterator[Finding]:
    """Sizes from which the label follows, as when each class came from another camera."""
    import pyarrow as pa

    decoded = context.rows.pictures
    if decoded is None or len(decoded) < 10 or len(context.rows.classes) < 2:
        return
    values = pa.array([_size(decoded, i) for i in range(len(decoded))], type=pa.large_string())
    if (share := gives_away(values, context.rows.label)) is not None:
        yield Finding(code="size-giveaway", severity=WARNING, count=1,
                      message="The size of the picture gives the label away: it tells the class of "
                              f"{share:.0%} of the rows.",
                      remedy="Bring all pictures to one size and shape before importing them, or the model may learn "
                             "the size instead.")


def _size(decoded: Any, position: int) -> str:
    return f"{int(decoded.size[position][0])} × {int(decoded.size[position][1])}"
