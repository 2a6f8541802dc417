"""Augmentation on the Train page: what it is set to, what it costs, and a few of the dataset's own pictures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.dataset import Dataset
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.spreadsheets import inert
from pages._ui import pictures, shell

LEVELS = ("light", "strong")
_USUAL_SIDE = 224
_TALL = 112
"""Pixels of a table row: enough to see what was done."""


def preview(ws: str, dataset: Dataset, recipes: Sequence[Recipe], facts: ModelFacts) -> None:
    """Say which augmentation is set and what follows from it; the pictures are made when the drawer is opened."""
    levels = {recipe.augmentation for recipe in recipes}
    used = [level for level in LEVELS if level in levels]
    drawer = st.expander(f"Augmentation: {' and '.join(used) or 'off'}. See what it does to these pictures",
                         icon=":material/auto_fix_high:", key="augmentation_drawer", on_change="rerun")
    if used:
        st.caption(":material/info: With augmentation, frozen blocks are computed anew in every epoch: their outputs "
                   "cannot be cached, as no picture is seen twice alike. Partly frozen runs take longer; the estimates "
                   "below count that.")
    if not drawer.open:
        return
    with drawer:
        st.caption("Off: each picture is the same in every epoch, so what frozen blocks make of it is computed once "
                   "and cached. Light: random crops and colours. Strong: narrower crops, turned up to 15°, half of "
                   "them mirrored, some with a part hidden. Only training rows are augmented; choose the level under "
                   "*Advanced*.")
        level = st.segmented_control("Show", LEVELS, default=used[0] if used else LEVELS[0], format_func=str.capitalize,
                                     required=True, key="augmentation_shown")
        with shell.guarded():
            _table(ws, dataset, str(level or LEVELS[0]), facts.image_size or _USUAL_SIDE)


def _table(ws: str, dataset: Dataset, level: str, side: int) -> None:
    rows = _rows(str(shell.api().settings.home), ws, dataset.id, level, side)
    columns = ["Original", "Epoch 1", "Epoch 2", "Epoch 3"]
    st.dataframe(inert({"Class": label} | dict(zip(columns, shown, strict=True)) for label, shown in rows),
                 hide_index=True, row_height=_TALL, key=f"augmentation_{level}",
                 alt=f"{len(rows)} pictures of {dataset.name} before and after {level} augmentation",
                 column_config={c: st.column_config.ImageColumn(c, width="small") for c in columns})
    st.caption("Made by the function that training calls, with seed 0; only the crop to the base model's shape is "
               "simplified to a square. Click a picture to enlarge it.")


@st.cache_data(max_entries=16, show_spinner="Augmenting a few pictures…")
def _rows(home: str, ws: str, dataset: str, level: str, side: int) -> list[tuple[str, list[str | None]]]:
    """(class, original and first epochs as table cells). Datasets never change; `home` tells data folders apart."""
    found = shell.api().data.augmented(ws, dataset, level=level, side=side)
    return [(row.label, [pictures.cell(png) for png in (row.before, *row.epochs)]) for row in found]
