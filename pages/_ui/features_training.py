"""Over training: the recorded steps of model B, played and in numbers."""

from __future__ import annotations

import streamlit as st

from core.feature_space import Space
from core.feature_space.ask import Asked
from core.plots import shift_map, shift_player, shift_training
from core.plots.shift_map import Colouring
from pages._ui import charts, shell
from pages._ui.features_numbers import card


def section(ws: str, asked: Asked, space: Space, block: int) -> None:
    """The player, the numbers at each step, and small multiples; or why there is nothing to play."""
    st.subheader("Over training")
    name = space.shift.blocks[block].name
    story = shell.api().feature_story(ws, asked.run, name, rows=space.rows)
    if story is None:
        st.caption("This run recorded no features while training. Set *Rows replayed* under Advanced on the Train page, or choose effort "
                   "normal, and train again. A probe has no steps: it is solved in one go.")
        return
    curves = shell.api().curves(ws, asked.run).steps
    colours = Colouring(title="Label", values=story.labels.astype(float), classes=space.classes) if (story.labels >= 0).any() else \
        Colouring(title="Row", values=story.labels.astype(float) * 0)
    left, right = st.columns(2)
    with left:
        chart = shift_player.player(story.frames, story.steps, colours, loss_steps=[p["step"] for p in curves if "loss" in p],
                                    losses=[p["loss"] for p in curves if "loss" in p], block=name)
        charts.show(chart, key="features_player")
    with right:
        points = story.checkpoints
        charts.show(shift_training.numbers(
            story.steps, block=name, cka=[p.cka for p in points], kept=[p.knn_overlap for p in points], nc1=[p.nc1 for p in points],
            effective_rank=[p.effective_rank for p in points], knn_accuracy=[p.knn_accuracy for p in points],
            majority=space.shift.majority), key="features_steps", help=card("nc1"))
        st.caption(f"{len(story.row_ids)} rows, each step against the model that training started from.")
    if len(story.steps) > 1:
        frames = [(f"step {step:,}", frame) for step, frame in zip(story.steps, story.frames, strict=True)]
        charts.show(shift_map.multiples(frames, colours), key="features_multiples")
