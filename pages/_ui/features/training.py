"""Over training: the recorded steps of model B, in numbers and played."""

from __future__ import annotations

import streamlit as st

from core.analysis import Space, Story
from core.domain.side import Side
from core.plots import shift_map, shift_player, shift_training
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from pages._ui import charts, shell
from pages._ui.features.numbers import card

SHOWN = ("numbers by step", "player", "small multiples")


def section(ws: str, asked: Side, space: Space, block: int) -> None:
    """One picture of the recorded steps at a time, each drawn when asked for; or why there is nothing to play."""
    with shell.guarded():
        st.subheader("Over training")
        name = space.shift.blocks[block].name
        story = shell.api().features.story(ws, asked.run, name, rows=space.rows)
        if story is None:
            st.caption("This run recorded no features while training. Set *Rows replayed* under Advanced on the Train page "
                       "and train again. A probe has no steps: it is solved in one go.")
            return
        shown = st.segmented_control("Show", SHOWN, default=SHOWN[0], key="features_steps_shown", required=True,
                                     label_visibility="collapsed") or SHOWN[0]
        place = (space.pair.key, asked.run, space.rows, story.steps, name)
        if shown == "player":
            charts.show(charts.kept(("player", *place), lambda: _player(ws, asked.run, space, story, name)), key="features_player")
        elif shown == "small multiples":
            frames = [(f"step {step:,}", frame) for step, frame in zip(story.steps, story.frames, strict=True)]
            charts.show(charts.kept(("multiples", *place), lambda: shift_map.multiples(frames, _colours(space, story))),
                        key="features_multiples")
        else:
            charts.show(charts.kept(("steps", *place), lambda: _numbers(space, story, name)), key="features_steps", help=card("nc1"))
        st.caption(f"{len(story.row_ids)} rows, each step against the model that training started from.")


def _colours(space: Space, story: Story) -> Colouring:
    if (story.labels >= 0).any():
        return Colouring(title="Label", values=story.labels.astype(float), classes=space.classes)
    return Colouring(title="Row", values=story.labels.astype(float) * 0)


def _player(ws: str, run: str, space: Space, story: Story, name: str) -> Chart:
    curves = [p for p in shell.api().runs.curves(ws, run).steps if "loss" in p]
    return shift_player.player(story.frames, story.steps, _colours(space, story), loss_steps=[p["step"] for p in curves],
                               losses=[p["loss"] for p in curves], block=name)


def _numbers(space: Space, story: Story, name: str) -> Chart:
    points = story.checkpoints
    return shift_training.numbers(
        story.steps, block=name, cka=[p.cka for p in points], kept=[p.knn_overlap for p in points], nc1=[p.nc1 for p in points],
        effective_rank=[p.effective_rank for p in points], knn_accuracy=[p.knn_accuracy for p in points], majority=space.shift.majority)
