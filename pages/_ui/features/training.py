"""Over training: the recorded steps of model B, in numbers and played."""

from __future__ import annotations

import streamlit as st

from core.analysis import BlockOverTraining, FeatureComparison
from core.plots import shift_map, shift_player, shift_training
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from pages._ui import charts, shell
from pages._ui.features import bar
from pages._ui.features.numbers import card

SHOWN = ("numbers by step", "player", "small multiples")


def section(ws: str, chosen: bar.Chosen, block: int) -> None:
    """One picture of the recorded steps at a time, each drawn when it is chosen; or why there is nothing to play."""
    with shell.guarded():
        st.header("Over training")
        run, compared = chosen.b.run, chosen.compared(ws, shell.api())
        name = compared.shift.blocks[block].name
        found = shell.api().features.over_training(ws, run, name, rows=compared.rows)
        if found is None and shell.recorded():
            st.caption("Features recorded during training are not part of the example; those of your own runs are "
                       "played here.")
            return
        if found is None:
            st.caption("This run recorded no features while training. Set *Rows replayed* under Advanced on the Train "
                       "page and train again. A probe has no steps: it is solved in one go.")
            return
        shown = st.segmented_control("Show", SHOWN, default=SHOWN[0], key="features_steps_shown", required=True,
                                     label_visibility="collapsed") or SHOWN[0]
        place = (compared.key, run, compared.rows, found.steps, name)
        colours = _colours(compared, found)
        if shown == "player":
            chart = charts.kept(("player", *place), lambda: _player(ws, run, found, colours, name))
            charts.show(chart, key="features_player")
        elif shown == "small multiples":
            frames = [(f"step {step:,}", frame) for step, frame in zip(found.steps, found.frames, strict=True)]
            chart = charts.kept(("multiples", *place), lambda: shift_map.multiples(frames, colours))
            charts.show(chart, key="features_multiples")
        else:
            chart = charts.kept(("steps", *place), lambda: _numbers(compared, found, name))
            charts.show(chart, key="features_steps", help=card("nc1"))
        st.caption(f"{len(found.row_ids)} rows, each step against the model that training started from.")


def _colours(compared: FeatureComparison, found: BlockOverTraining) -> Colouring:
    if (found.labels >= 0).any():
        return Colouring(title="Label", values=found.labels.astype(float), classes=compared.classes)
    return Colouring(title="Row", values=found.labels.astype(float) * 0)


def _player(ws: str, run: str, found: BlockOverTraining, colours: Colouring, name: str) -> Chart:
    points = [p for p in shell.api().runs.curves(ws, run).steps if "loss" in p]
    return shift_player.player(found.frames, found.steps, colours, loss_steps=[p["step"] for p in points],
                               losses=[p["loss"] for p in points], block=name)


def _numbers(compared: FeatureComparison, found: BlockOverTraining, name: str) -> Chart:
    points = found.checkpoints
    return shift_training.numbers(
        found.steps, block=name, cka=[p.cka for p in points], kept=[p.knn_overlap for p in points],
        nc1=[p.nc1 for p in points], effective_rank=[p.effective_rank for p in points],
        knn_accuracy=[p.knn_accuracy for p in points], majority=compared.shift.majority)
