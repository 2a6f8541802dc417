"""Single rows: how many neighbours each kept, then cards with the text or picture itself and its neighbours before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.analysis import Space
from core.plots import shift_rows
from pages._ui import charts, shell

SHOWN = 6
NEIGHBOURS = 5
HOVER_CHARACTERS, CARD_CHARACTERS, LINE_CHARACTERS = 90, 320, 110


def hover(space: Space, block: int) -> list[str]:
    """What a point says, line by line: class, the beginning of its text, how many neighbours it kept."""
    rows = space.shift.blocks[block].rows
    kept = [f"kept {k:.0f} of 10 neighbours" if k == k else "" for k in (10 * rows.kept).tolist()]
    names = [_class(space, space.labels, row) or _origin(space, row) for row in range(len(kept))]
    words = _opening(space.pair.key, space)
    return ["\n".join(part for part in parts if part) for parts in zip(names, words, kept, strict=True)]


@st.cache_resource(max_entries=8, show_spinner=False)
def _opening(key: str, _space: Space) -> list[str]:
    """The beginning of each row's text; nothing for pictures, which the canvas shows themselves."""
    if _space.kind == "image":
        return [""] * len(_space.contents)
    return [_short(content[:4 * HOVER_CHARACTERS], HOVER_CHARACTERS) for content in _space.contents]


def html(text: str) -> str:
    """Hover text as Plotly reads it."""
    head, *rest = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split("\n")
    return "<br>".join([f"<b>{head}</b>", *(_wrap(line) for line in rest)])


def _wrap(text: str) -> str:
    """Two lines instead of one long one."""
    middle = text.find(" ", len(text) // 2)
    return text if len(text) < 50 or middle < 0 else f"{text[:middle]}<br>{text[middle + 1:]}"


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]}…"


def section(space: Space, block: int, selection: Sequence[int]) -> None:
    """The histogram, then cards of the chosen kind."""
    found = space.shift.blocks[block]
    left, right = st.columns([2, 3])
    with left:
        charts.show(charts.kept(("kept", space.pair.key, block), lambda: shift_rows.kept_histogram(
            found.rows.kept[found.rows.target], chance=found.knn_overlap_chance)), key="features_kept")
    with right:
        kinds = _kinds(space, block, selection)
        names = list(kinds)
        if st.session_state.get("features_kind") not in names or (selection and st.session_state.get("_features_last") != list(selection)):
            st.session_state["features_kind"] = names[0]
        st.session_state["_features_last"] = list(selection)
        kind = str(st.segmented_control("Cards", names, key="features_kind", required=True, label_visibility="collapsed",
                                        format_func=lambda k: f"{k} ({len(kinds[k][0]):,})") or names[0])
        rows, note = kinds[kind]
        st.caption(note)
        if not len(rows):
            st.markdown("No row is of this kind.")
    many = int(st.session_state.get(f"features_shown_{kind}", SHOWN))
    columns = st.columns(2)
    for number, row in enumerate(rows[:many]):
        with columns[number % 2]:
            _card(space, block, int(row))
    if len(rows) > many and st.button("Show more", icon=":material/expand_more:", key="features_more"):
        st.session_state[f"features_shown_{kind}"] = many + SHOWN
        st.rerun(scope="fragment")


def _kinds(space: Space, block: int, selection: Sequence[int]) -> dict[str, tuple[Sequence[int], str]]:
    """Kind of card -> places of its rows, and what orders them."""
    rows = space.shift.blocks[block].rows
    moved = np.isfinite(rows.distance).any()
    by = rows.distance if moved else 1 - rows.kept
    what = "by distance moved, in units of the typical distance" if moved else "by neighbours lost"
    known = np.flatnonzero(np.isfinite(by))
    order = known[np.argsort(-by[known], kind="stable")]
    out: dict[str, tuple[Sequence[int], str]] = {}
    if selection:
        chosen = set(selection)
        out["selected"] = ([int(i) for i in order if int(i) in chosen] or list(selection), f"The rows of the selection, {what}.")
    sides = space.correct()
    if sides is not None:
        for name, mask, words in (("fixed", sides[0], "A was wrong, B is right"), ("broken", sides[1], "A was right, B is wrong")):
            hit = [int(i) for i in order if mask[i]]
            out[name] = (hit, f"{words}; {what}, most first.")
    out["changed most"] = (order.tolist(), f"Rows {what}, most first.")
    out["changed least"] = (order[::-1].tolist(), f"Rows {what}, least first.")
    if not rows.target.all():
        out[space.shift_words] = ([int(i) for i in order if not rows.target[i]], f"Rows of another domain {what}, most first.")
    first = [k for k in ("selected", "changed most") if k in out]
    return {k: out[k] for k in (*first, *(k for k in out if k not in first))}


def _class(space: Space, values: np.ndarray | None, row: int) -> str:
    """Name of a row's class; empty where unknown."""
    if values is None or not 0 <= values[row] < len(space.classes):
        return ""
    return space.classes[int(values[row])]


def _origin(space: Space, row: int) -> str:
    """The second dataset's name for its rows; empty for the others."""
    return space.beside.name if space.beside and space.pair.beside[row] else ""


def _card(space: Space, block: int, row: int) -> None:
    rows = space.shift.blocks[block].rows
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            if label := _class(space, space.labels, row):
                st.badge(shell.escape(label), color="gray", icon=":material/label:")
            if not rows.target[row]:
                st.badge(shell.escape(_origin(space, row)) or "shift row", color="violet")
            for side, values in zip("AB", (space.predictions_a, space.predictions_b), strict=True):
                if guess := _class(space, values, row):
                    right = guess == label
                    st.badge(f"{side}: {shell.escape(guess)}", color="green" if right else "red",
                             icon=":material/check:" if right else ":material/close:")
        if space.kind == "image":
            st.image(space.contents[row], width=160)
        else:
            st.markdown(shell.escape(_short(space.contents[row], CARD_CHARACTERS)))
        moved = f"moved {rows.distance[row]:.2f} typical distances" if np.isfinite(rows.distance[row]) else ""
        kept = f"kept {10 * rows.kept[row]:.0f} of 10 neighbours" if np.isfinite(rows.kept[row]) else ""
        origin = f" of {shell.escape(_origin(space, row))}" if _origin(space, row) else ""
        st.caption(" · ".join(part for part in (moved, kept, f"row {space.row_ids[row]}{origin}") if part))
        near = st.popover("Nearest neighbours", icon=":material/hub:", key=f"features_near_{row}", on_change="rerun")
        if near.open:  # what is in a closed one is not sent
            with near:
                _neighbours(space, block, row)


def _neighbours(space: Space, block: int, row: int) -> None:
    """The five nearest rows before and after; gained and lost marked."""
    rows = space.shift.blocks[block].rows
    before, after = rows.near_base[row][:NEIGHBOURS].tolist(), rows.near_tuned[row][:NEIGHBOURS].tolist()
    for name, own, other, word, icon in ((space.names[0], before, after, "lost", ":red[:material/remove_circle: lost]"),
                                         (space.names[1], after, before, "gained", ":green[:material/add_circle: gained]")):
        st.markdown(f"**{shell.escape(name)}**")
        for near in (n for n in own if n >= 0):
            mark = icon if near not in other else ":gray[:material/equal: kept]"
            label = _class(space, space.labels, near) or _origin(space, near)
            if space.kind == "image":
                st.image(space.contents[near], width=64, caption=f"{label} ({word if near not in other else 'kept'})")
            else:
                bold = f"**{shell.escape(label)}** " if label else ""
                st.markdown(f"{mark} {bold}{shell.escape(_short(space.contents[near], LINE_CHARACTERS))}")
