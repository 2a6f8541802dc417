"""What an answer rests on: tokens coloured by what they add, or a heat map over the picture; with its two checks."""

from __future__ import annotations

import base64
import io
from typing import Any

import streamlit as st

from core.domain.attribution import Attribution
from core.plots.numbers import signed
from pages._ui import shell

NAMED = 5
STRONG, WEAK = 0.5, 0.15
"""Of the largest share: from here on a token is coloured strongly, and at all."""
FOR, AGAINST = "green", "red"
PIXELS = 280
DARKEST, LIGHTEST = 70, 225
"""Greys of the picture: on black, no colour is seen."""
MUCH = 0.2
"""Error, as a share of the difference, from which on a warning stands beside it."""


def draw(found: Attribution) -> None:
    """Below the answer of a model."""
    with st.expander("What the answer rests on", icon=":material/flare:", expanded=True):
        if found.pieces:
            st.markdown(_coloured(found))
            st.caption(_in_words(found))
        elif found.picture:
            st.image(heat(found), width=PIXELS)
            st.caption(f":green[Green] cells speak for {shell.escape(found.label)}, :red[red] ones against it. "
                       + _where(found))
        st.caption(_how(found) + " " + _complete(found))
        if found.checked:
            st.caption(_checked(found))


def _coloured(found: Attribution) -> str:
    top = max(map(abs, found.shares), default=0.0) or 1.0
    said = []
    for piece, share in zip(found.pieces, found.shares, strict=True):
        text, part = shell.escape(_plain(piece)), abs(share) / top
        colour = FOR if share > 0 else AGAINST
        marked = text if part < WEAK else f":{colour}[{text}]" if part < STRONG else f":{colour}-background[{text}]"
        said.append(" " + marked if found.says and piece[:1].isspace() else marked)
    return ("" if found.says else " ").join(said)  # what a language model reads has its own spaces


def _plain(piece: str) -> str:
    """A token without the marks that tokenizers put at word borders."""
    found = piece.replace("##", "").replace("Ġ", "").replace("▁", "").replace("Ċ", "↵").replace("\n", "↵").strip()
    return found or "·"


def _how(found: Attribution) -> str:
    if not found.says:
        return f"Integrated gradients of the score of {shell.escape(found.label)}, from an empty input."
    earlier = (f" The {found.earlier:,} tokens before these were read as they are, and have no share."
               if found.earlier else "")
    return (f"What the first token of the answer, {_named(found)}, rests on: integrated gradients of its "
            "log-probability, from the same prompt with padding in the place of your words. What the chat template "
            f"writes stays as it is. The tokens behind the first rest on other things.{earlier}")


def _named(found: Attribution) -> str:
    """What is explained."""
    return f"“{shell.escape(_plain(found.label))}”" if found.says else shell.escape(found.label)


def _in_words(found: Attribution) -> str:
    """The same without colours."""
    ranked = sorted(zip(found.shares, found.pieces, strict=True), reverse=True)
    named = {"for": [one for one in ranked[:NAMED] if one[0] > 0],
             "against": [one for one in reversed(ranked[-NAMED:]) if one[0] < 0]}
    said = [f"Most {way} {_named(found)}: "
            + ", ".join(f"{shell.escape(_plain(piece))} ({signed(share, 2)})" for share, piece in some)
            for way, some in named.items() if some]
    return ". ".join(said) + "." if said else "No token adds anything."


def _where(found: Attribution) -> str:
    """The heat map without colours: where the cell lies that adds most."""
    rows, at = len(found.shares) // found.columns, max(range(len(found.shares)), key=lambda one: found.shares[one])
    names = (("top", "middle", "bottom")[3 * (2 * (at // found.columns) + 1) // (2 * rows)],
             ("left", "centre", "right")[3 * (2 * (at % found.columns) + 1) // (2 * found.columns)])
    return f"Most for it: the {names[0]} {names[1]} ({signed(found.shares[at], 2)})."


def heat(found: Attribution) -> Any:
    """The picture in grey, its cells green or red by what they add."""
    from PIL import Image

    levels = [round(DARKEST + level * (LIGHTEST - DARKEST) / 255) for level in range(256)]
    picture = Image.open(io.BytesIO(base64.b64decode(found.picture))).convert("L").point(levels).convert("RGB")
    top = max(map(abs, found.shares)) or 1.0
    size = (found.columns, len(found.shares) // found.columns)
    colours, cover = Image.new("RGB", size), Image.new("L", size)
    colours.putdata([(30, 170, 90) if share > 0 else (210, 50, 50) for share in found.shares])
    cover.putdata([round(190 * abs(share) / top) for share in found.shares])
    picture = picture.resize((PIXELS, PIXELS * picture.height // picture.width))
    colours, cover = (each.resize(picture.size, Image.Resampling.NEAREST) for each in (colours, cover))
    picture.paste(colours, mask=cover)
    return picture


def _complete(found: Attribution) -> str:
    share = "" if found.incomplete is None else f" ({100 * found.incomplete:.1f} %)"
    much = found.incomplete is not None and found.incomplete > MUCH
    return (f"The shares sum to {signed(sum(found.shares), 2)} {found.unit}; the score changed by "
            f"{signed(found.difference, 2)}: an error of {found.error:.3f}{share}."
            + (" So large an error means that the colours tell little of the score." if much else ""))


def _checked(found: Attribution) -> str:
    if found.unchecked:
        return f":material/help: {found.unchecked}"
    if found.random_rank is None:
        return ":material/help: The input has too few parts for a rank correlation with randomised weights."
    return (":material/shuffle: Rank correlation with the same under randomised weights: "
            f"**{signed(found.random_rank, 2)}**. "
            "A high one means that the colours show the input rather than what the model learned.")
