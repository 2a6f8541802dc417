"""What does it look like? Both models through one camera; one selection drives map, colours, arrows and cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.analysis import FeatureComparison, View, row_looks
from core.analysis import downloads as files
from core.errors import ThawError
from core.plots import point_scene, shift_map
from core.plots.numbers import percent
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from pages._ui import pictures, point_map, shell
from pages._ui.features import bar, cards, downloads
from pages._ui.features.numbers import card, pooled_over

if TYPE_CHECKING:
    from core.shift.footer import Map

PICKED = "features_picked"
"""Keys of the rows of the selection; lives longer than any one chart."""
SHARE = "features_share"
"""How far along the way between the two models stands, 0 to 1."""
NOTES = {
    View.BASE: "PCA fitted once on the features of the published model: the same axes for every run, so that maps of "
               "different methods can be compared by eye. What is new in B may be out of sight: *movement captured* "
               "says how much is in it.",
    View.UNION: "PCA fitted on both models together, turned like the fixed camera: an arrow is an exact shadow of "
                "the real movement.",
    View.CHANGE: "The two directions that hold most of the movement. Classes may overlap here although they are apart "
                 "elsewhere.",
    View.CLASSES: "Supervised: the directions that separate the labels of the validation (and training) rows among "
                  "these; test rows place no axis unless the others are too few. Fitted to labels, it draws noise "
                  "apart too: *classes apart* says how far with the labels, and how far with shuffled ones.",
    View.UMAP: "UMAP fitted on both together: groups yes, distances no, so there are no arrows.",
}
LITTLE_MOVEMENT = 0.2
"""Share of the movement below which a map hides most of it."""


def panel(ws: str, chosen: bar.Chosen, look: bar.Look) -> None:
    """The map with the rows beside it, redrawn together when rows are selected, without the rest of the page."""
    with shell.guarded():
        compared = chosen.compared(ws, shell.api())
        if compared.identical:
            _same(ws, chosen)
        if (word := cards.searched()) is not None:
            _select(compared.row_keys, compared.matching(word))
        left, right = st.columns([7, 3], gap="small")
        with left:
            _map(ws, chosen, compared, look)
        with right:
            cards.section(compared, look.block, picked(compared))


def _same(ws: str, chosen: bar.Chosen) -> None:
    """Two equal models: say so before two equal pictures, and offer a pair that differs."""
    first, others = bar.moving(ws, chosen)
    with st.container(border=True):
        st.markdown(f":material/equal: **Both maps are the same picture**: {first}")
        for name, a, b in others:
            shell.link("features", f"Look at {shell.escape(name)} instead", icon=":material/scatter_plot:", a=a, b=b)
        if not others:
            shell.link("train", "Train one that changes features", icon=":material/model_training:")


def _select(keys: np.ndarray, places: Sequence[int]) -> None:
    """The rows at these places of the sample become the selection."""
    st.session_state[PICKED] = keys[[i for i in places if 0 <= i < len(keys)]].tolist()


def picked(compared: FeatureComparison) -> list[int]:
    """Places, in the order of the sample, of the rows that are selected."""
    wanted = st.session_state.get(PICKED, ())
    return np.flatnonzero(np.isin(compared.row_keys, list(wanted))).tolist() if wanted else []


def _map(ws: str, chosen: bar.Chosen, compared: FeatureComparison, look: bar.Look) -> None:
    with st.spinner("Drawing…", show_time=True):
        drawn = compared.map(look.block, look.view)
    name = compared.shift.blocks[look.block].name
    if drawn is None:
        st.info(f"{shell.escape(name.capitalize())} cannot be drawn on one map: the two models differ in width there, "
                "or features are not finite or have collapsed. CKA and neighbours kept under *Measure it* need no "
                "common map.", icon=":material/grid_off:")
        return
    _selectable(_drawing(compared, drawn, look))
    n = len(compared.row_ids)
    said = "the same at every position of the slider: those recorded while training"
    st.caption(f"{n:,} rows, {said if chosen.replayed else 'the same in both panes'}.")
    if not compared.dataset.task.labelled:
        st.caption(f"A point is a row: {pooled_over(compared)}.")
    _footer(drawn)
    st.caption(NOTES[look.view])
    api, selected, share = shell.api(), picked(compared), _share()

    def again() -> _Drawing:
        anew = chosen.compared(ws, api)
        there = anew.map(look.block, look.view)
        if there is None:
            raise ThawError("This map is not there any more.", remedy="Open the page again.")
        return _drawing(anew, there, look)

    downloads.figure(lambda: again().chart(selected, share), lambda: again().points(), name)


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """One drawing of the map: as a scene for the page's canvas, and as a figure for files."""

    compared: FeatureComparison
    drawn: Map
    block: int
    colours: Colouring
    way: str

    @property
    def _labels(self) -> np.ndarray | None:
        """Classes of the target rows; −1 elsewhere."""
        labels = self.compared.labels
        return None if labels is None else np.where(self.compared.shift.blocks[self.block].rows.target, labels, -1)

    def words(self) -> tuple[str, str]:
        """The finding, and the same for people who cannot see the map."""
        n, names = len(self.compared.row_ids), self.compared.names
        if self.way == "arrows":
            return shift_map.arrows_words(n, names, arrows=self.drawn.arrows, captured=self.drawn.movement_captured)
        if self.way == "on the way":
            title = f"From {names[0]} to {names[1]}, each row on its straight way"
            return title, shift_map.way_alt(n, title, self.colours)
        return shift_map.panes_words(n, names, self.colours)

    def scene(self) -> dict[str, Any]:
        rows = self.compared.shift.blocks[self.block].rows
        mode = {"arrows": point_scene.ARROWS, "on the way": point_scene.WAY}.get(self.way, point_scene.PANES)
        hover = cards.hover(self.compared, self.block)
        return point_scene.scene(mode, self.drawn.base, self.drawn.tuned, self.colours, names=self.compared.names,
                                 hover=hover, distance=rows.distance, kept=rows.kept, labels=self._labels,
                                 arrows=self.drawn.arrows, share=_share(), alt=self.words()[1])

    def points(self) -> bytes:
        """Where each row lies, as Parquet."""
        return files.points(self.compared, self.drawn, self.block)

    def chart(self, selected: list[int], share: float) -> Chart:
        """The same as a figure, for files. selected: places of the rows that are marked."""
        drawn, rows = self.drawn, self.compared.shift.blocks[self.block].rows
        hover = [row_looks.html(text) for text in cards.hover(self.compared, self.block)]
        common: dict[str, Any] = {"row_ids": self.compared.row_keys.tolist(), "names": self.compared.names,
                                  "selected": selected, "hover": hover}
        if self.way == "arrows":
            return shift_map.overlay(drawn.base, drawn.tuned, self.colours, **common, distance=rows.distance,
                                     kept=rows.kept, arrows=drawn.arrows, labels=self._labels,
                                     captured=drawn.movement_captured)
        if self.way == "on the way":
            return shift_map.transition(drawn.base, drawn.tuned, self.colours, **common, share=share)
        return shift_map.panes(drawn.base, drawn.tuned, self.colours, **common)


def _drawing(compared: FeatureComparison, drawn: Map, look: bar.Look) -> _Drawing:
    return _Drawing(compared=compared, drawn=drawn, block=look.block,
                    colours=row_looks.colouring(compared, look.block, look.colour), way=look.way)


def _share() -> float:
    return float(st.session_state.get(SHARE, 0.5))


def _selectable(drawing: _Drawing) -> None:
    """The map with lasso and box; what they catch becomes the selection."""
    compared, keys = drawing.compared, drawing.compared.row_keys
    n = len(keys)

    def caught(places: list[int]) -> None:
        _select(keys, places)

    def moved(share: float) -> None:
        st.session_state[SHARE] = share

    if drawing.way != "side by side":  # there, each pane has its name
        st.markdown(f"**{shell.escape(drawing.words()[0])}**")
    scene = drawing.scene()
    sheet = pictures.sheet(compared) if compared.pictures else None
    if sheet:
        scene["pictures"] = sheet.key
    rows = picked(compared)
    point_map.show(point_map.stamped(scene), rows, on_pick=caught, on_share=moved, key="features_map")
    chosen = len(rows)
    with st.container(horizontal=True, vertical_alignment="center"):
        if chosen:
            st.markdown(f":material/select_all: {chosen:,} of {n:,} rows selected")
            if st.button("Clear the selection", icon=":material/close:", key="features_clear", type="tertiary"):
                st.session_state.pop(PICKED, None)
                st.rerun(scope="fragment")
        else:
            st.caption(":material/lasso_select: A click on a point shows its neighbours; a lasso, in either pane, "
                       "takes all within; a name of the legend hides and shows its rows; a double click clears.")
    point_map.near(*cards.near(compared, drawing.block, rows))
    if sheet:
        point_map.pictures(sheet.key, sheet.url, sheet.columns)


def _footer(drawn: Map) -> None:
    """How far to trust this picture."""
    with st.container(horizontal=True, gap="medium"):
        for label, text, key in _trusted(drawn):
            st.caption(f"{label} **{text}**", help=card(key), width="content")


def _trusted(drawn: Map) -> list[tuple[str, str, str]]:
    """(label, number in words, key of its card) of what this map has."""
    shown: list[tuple[str, str, str]] = []
    if drawn.variance_shown is not None:
        a, b = drawn.variance_shown_base, drawn.variance_shown_tuned
        sides = "" if a is None or b is None else f" (A {percent(a)}, B {percent(b)})"
        shown.append(("Variance shown", f"{percent(drawn.variance_shown)}{sides}", "variance_shown"))
    if drawn.movement_captured is not None:
        text = f"{percent(drawn.movement_captured)}"
        if drawn.movement_captured < LITTLE_MOVEMENT:
            text = f":red[{percent(drawn.movement_captured, 1)}: most of it is out of this picture]"
        shown.append(("Movement captured", text, "movement_captured"))
    for key in ("trustworthiness", "continuity"):
        value = getattr(drawn, key)
        if value is not None:
            shown.append((key.capitalize(), f"{value:.2f}", key))
    if drawn.separation is not None and drawn.separation_shuffled is not None:
        text = f"{drawn.separation:.2f} (with shuffled labels {drawn.separation_shuffled:.2f})"
        shown.append(("Classes apart", text, "separation"))
    if drawn.null_step is not None:
        here = f" (drawn here {drawn.drawn_step:.2f})" if drawn.drawn_step is not None else ""
        shown.append(("Null step", f"{drawn.null_step:.3f}{here}", "null_step"))
    return shown
