"""What does it look like? Both models through one camera, and which examples: one selection drives map, colours, arrows and cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.analysis import Space, View
from core.plots import point_scene, shift_map
from core.plots.shift_map import Colouring
from core.plots.theme import Chart
from pages._ui import pictures, point_map, shell
from pages._ui.features import bar, cards, export
from pages._ui.features.numbers import card

if TYPE_CHECKING:
    from core.shift.footer import Map

PICKED = "features_picked"
"""Keys of the rows of the selection; lives longer than any one chart."""
SHARE = "features_share"
"""How far along the way between the two models stands, 0 to 1."""
VIEWS = {View.UNION: "one camera for both", View.CHANGE: "where it moved", View.BASE: "base camera", View.CLASSES: "class axes",
         View.UMAP: "UMAP"}
NOTES = {
    View.UNION: "PCA fitted on both models together: the camera never moves, so an arrow is an exact shadow of the real movement.",
    View.CHANGE: "The two directions that hold most of the movement. Classes may overlap here although they are apart elsewhere.",
    View.BASE: "PCA fitted on A alone: what is new in B may be out of sight.",
    View.CLASSES: "Supervised: the directions that separate the labels of these rows. Fitted to them, it draws noise apart too: "
                  "*classes apart* says how far with the labels, and how far with shuffled ones.",
    View.UMAP: "UMAP fitted on both together: groups yes, distances no. Arrows are off, since their lengths would mean nothing.",
}
DRAWN = ("side by side", "arrows", "on the way")


def panel(ws: str, chosen: bar.Chosen, block: int) -> None:
    """The map and the cards, redrawn together when rows are selected, without the rest of the page."""
    with shell.guarded():
        space = shell.api().features.shift(ws, chosen.a, chosen.b, names=chosen.names, rows=chosen.rows, beside=chosen.beside)
        st.subheader("What does it look like?")
        _map(space, block)
        st.subheader("Which examples?")
        cards.section(space, block, picked(space))


def picked(space: Space) -> list[int]:
    """Places, in the order of the sample, of the rows that are selected."""
    wanted = st.session_state.get(PICKED, ())
    return np.flatnonzero(np.isin(space.keys, list(wanted))).tolist() if wanted else []


def _map(space: Space, block: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = bar.colour(space)
        unknown = {View.CLASSES} if space.labels is None else set()
        offered = [v for v in VIEWS if v not in unknown and not (v is View.UMAP and space.linear_only)]
        view = st.segmented_control("View", offered, default=View.UNION, key="features_view", format_func=VIEWS.__getitem__,
                                    required=True) or View.UNION
    with st.spinner("Drawing…", show_time=True):
        drawn = space.map(block, View(view))
    name = space.shift.blocks[block].name
    if drawn is None:
        st.info(f"{shell.escape(name.capitalize())} cannot be drawn on one map: the two models differ in width there, or features are not "
                "finite or have collapsed. CKA and neighbours kept above need no common map.", icon=":material/grid_off:")
        return
    ways = [w for w in DRAWN if w != "on the way" or View(view).linear]
    way = st.segmented_control("Drawing", ways, default=ways[0], key="features_way", required=True, label_visibility="collapsed") or ways[0]
    drawing = _Drawing(space=space, drawn=drawn, block=block, colours=colouring(space, block, colour), way=str(way))
    _selectable(drawing)
    _footer(drawn)
    st.caption(NOTES[View(view)])
    export.figure(drawing.chart, space, drawn, block)


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """One drawing of the map: as a scene for the page's canvas, and as a figure for files."""

    space: Space
    drawn: Map
    block: int
    colours: Colouring
    way: str

    @property
    def share(self) -> float:
        return float(st.session_state.get(SHARE, 0.5))

    @property
    def _labels(self) -> np.ndarray | None:
        """Classes of the target rows; −1 elsewhere."""
        labels = self.space.labels
        return None if labels is None else np.where(self.space.shift.blocks[self.block].rows.target, labels, -1)

    def words(self) -> tuple[str, str]:
        """The finding, and the same for people who cannot see the map."""
        n, names = len(self.space.row_ids), self.space.names
        if self.way == "arrows":
            return shift_map.arrows_words(n, names, arrows=self.drawn.arrows, captured=self.drawn.movement_captured)
        if self.way == "on the way":
            title = f"From {names[0]} to {names[1]}, each row on its straight way"
            return title, shift_map.way_alt(n, title, self.colours)
        return shift_map.panes_words(n, names, self.colours)

    def scene(self) -> dict[str, Any]:
        rows = self.space.shift.blocks[self.block].rows
        mode = {"arrows": point_scene.ARROWS, "on the way": point_scene.WAY}.get(self.way, point_scene.PANES)
        hover = cards.hover(self.space, self.block)
        return point_scene.scene(mode, self.drawn.base, self.drawn.tuned, self.colours, names=self.space.names, hover=hover,
                                 distance=rows.distance, kept=rows.kept, labels=self._labels, arrows=self.drawn.arrows,
                                 share=self.share, alt=self.words()[1])

    def chart(self) -> Chart:
        """The same as a figure, for files."""
        rows, drawn, hover = self.space.shift.blocks[self.block].rows, self.drawn, cards.hover(self.space, self.block)
        common: dict[str, Any] = {"row_ids": self.space.keys.tolist(), "names": self.space.names, "selected": picked(self.space),
                                  "hover": [cards.html(text) for text in hover]}
        if self.way == "arrows":
            return shift_map.overlay(drawn.base, drawn.tuned, self.colours, **common, distance=rows.distance, kept=rows.kept,
                                     arrows=drawn.arrows, labels=self._labels, captured=drawn.movement_captured)
        if self.way == "on the way":
            return shift_map.transition(drawn.base, drawn.tuned, self.colours, **common, share=self.share)
        return shift_map.panes(drawn.base, drawn.tuned, self.colours, **common)


def colouring(space: Space, block: int, colour: str) -> Colouring:
    """The colour of every row."""
    rows, n = space.shift.blocks[block].rows, len(space.row_ids)
    none = np.full(n, -1.0)
    if colour == "typical move":
        return Colouring(title="Move", values=rows.distance, low=0.0, high=float(np.nanpercentile(rows.distance, 98) or 1.0)
                         if np.isfinite(rows.distance).any() else 1.0)
    if colour == "neighbours kept":
        return Colouring(title="Neighbours kept", values=rows.kept, low=0.0, high=1.0)
    if colour == "domain":
        classes = ("target rows",) if space.beside else ("target rows", space.shift_words)
        return _classes("Domain", (~rows.target).astype(float), classes, space)
    if colour == "changed prediction" and space.predictions_a is not None and space.predictions_b is not None:
        return _classes("Prediction", _change(space), ("same prediction", "fixed", "broken", "changed otherwise"), space)
    values = space.predictions_b if colour == "prediction" else space.labels
    title = "Prediction of B" if colour == "prediction" else "Label"
    return _classes(title, none if values is None else values.astype(float), space.classes, space)


def _classes(title: str, values: np.ndarray, classes: tuple[str, ...], space: Space) -> Colouring:
    """Colours by class, and the rows of a second dataset in their own, whatever the target rows are coloured by."""
    if space.beside is None:
        return Colouring(title=title, values=values, classes=classes)
    return Colouring(title=title, values=np.where(space.pair.beside, len(classes), values), classes=classes, beside=space.shift_words)


def _change(space: Space) -> np.ndarray:
    """0 same, 1 fixed, 2 broken, 3 changed from one wrong class to another, −1 where a side predicted nothing."""
    a, b, sides = space.predictions_a, space.predictions_b, space.correct()
    if a is None or b is None:
        return np.full(len(space.row_ids), -1.0)
    out = np.where(a == b, 0.0, 3.0)
    if sides is not None:
        out[sides[0]], out[sides[1]] = 1.0, 2.0
    out[(a < 0) | (b < 0)] = -1.0
    return out


def _selectable(drawing: _Drawing) -> None:
    """The map with lasso and box; what they catch becomes the selection."""
    space, n = drawing.space, len(drawing.space.row_ids)

    def caught(places: list[int]) -> None:
        st.session_state[PICKED] = space.keys[[i for i in places if 0 <= i < n]].tolist()

    def moved(share: float) -> None:
        st.session_state[SHARE] = share

    st.markdown(f"**{shell.escape(drawing.words()[0])}**")
    scene = drawing.scene()
    if space.kind == "image" and (sheet := pictures.sheet(space)):
        point_map.pictures(sheet.key, sheet.url, sheet.columns)
        scene["pictures"] = sheet.key
    point_map.show(point_map.stamped(scene), picked(space), on_pick=caught, on_share=moved, key="features_map")
    chosen = len(picked(space))
    with st.container(horizontal=True, vertical_alignment="center"):
        if chosen:
            st.markdown(f":material/select_all: {chosen:,} of {n:,} rows selected")
            if st.button("Clear the selection", icon=":material/close:", key="features_clear", type="tertiary"):
                st.session_state.pop(PICKED, None)
                st.rerun(scope="fragment")
        else:
            st.caption(":material/lasso_select: Draw a lasso round rows, in either pane, to see them in both and as cards below; a click "
                       "takes one row, a double click none.")


def _footer(drawn: Map) -> None:
    """How far to trust this picture."""
    shown: list[tuple[str, str, str]] = []
    if drawn.variance_shown is not None:
        sides = f" (A {drawn.variance_shown_base:.0%}, B {drawn.variance_shown_tuned:.0%})" \
            if drawn.variance_shown_base is not None and drawn.variance_shown_tuned is not None else ""
        shown.append(("Variance shown", f"{drawn.variance_shown:.0%}{sides}", "variance_shown"))
    if drawn.movement_captured is not None:
        low = drawn.movement_captured < 0.2
        text = f"{drawn.movement_captured:.1%}" if low else f"{drawn.movement_captured:.0%}"
        shown.append(("Movement captured", f":red[{text}: most of it is out of this picture]" if low else text, "movement_captured"))
    for key in ("trustworthiness", "continuity"):
        value = getattr(drawn, key)
        if value is not None:
            shown.append((key.capitalize(), f"{value:.2f}", key))
    if drawn.separation is not None and drawn.separation_shuffled is not None:
        shown.append(("Classes apart", f"{drawn.separation:.2f} (with shuffled labels {drawn.separation_shuffled:.2f})", "separation"))
    if drawn.null_step is not None:
        here = f" (drawn here {drawn.drawn_step:.2f})" if drawn.drawn_step is not None else ""
        shown.append(("Null step", f"{drawn.null_step:.3f}{here}", "null_step"))
    with st.container(horizontal=True, gap="medium"):
        for label, text, key in shown:
            st.caption(f"{label} **{text}**", help=card(key), width="content")
