"""Single rows beside the map: searched, selected, or of a kind, with their neighbours in both models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.analysis import FeatureComparison, row_looks
from core.plots import shift_rows
from core.plots.numbers import signed
from pages._ui import charts, guard, shell

SHOWN = 6
_SEARCHED = "_features_searched"
NEIGHBOURS = 5
BESIDE = 520
"""Pixels that the rows beside the map take; more of them are scrolled to."""
CARD_CHARACTERS, LINE_CHARACTERS = 320, 110


def hover(compared: FeatureComparison, block: int) -> list[str]:
    """What a point says, line by line."""
    return row_looks.hover(compared, block, openings=_openings(compared.key, compared))


@st.cache_resource(max_entries=8, show_spinner=False)
def _openings(key: str, _compared: FeatureComparison) -> list[str]:
    return row_looks.openings(_compared)


def section(compared: FeatureComparison, block: int, selection: Sequence[int]) -> None:
    """Beside the map: a search, then the rows of the selection (one row with its neighbours), or of a chosen kind."""
    _search(compared)
    kinds = _kinds(compared, block, selection)
    names = list(kinds)
    selected_anew = selection and st.session_state.get("_features_last") != list(selection)
    if selected_anew or st.session_state.get("features_kind") not in names:
        st.session_state["features_kind"] = names[0]
    st.session_state["_features_last"] = list(selection)
    kind = str(st.selectbox("Rows shown", names, key="features_kind",
                            format_func=lambda k: f"{k} ({len(kinds[k][0]):,})") or names[0])
    rows, note = kinds[kind]
    st.caption(note)
    if not len(rows):
        st.markdown("No row is of this kind.")
        return
    with st.container(height=BESIDE, border=False, key="features_rows_beside"):
        if kind == "selected" and len(rows) == 1:
            _card(compared, block, int(rows[0]), alone=True)
            return
        many = int(st.session_state.get(f"features_shown_{kind}", SHOWN))
        for row in rows[:many]:
            _card(compared, block, int(row))
        if len(rows) > many and st.button("Show more", icon=":material/expand_more:", key="features_more"):
            st.session_state[f"features_shown_{kind}"] = many + SHOWN
            st.rerun(scope="fragment")


def searched() -> str | None:
    """What has just been searched for, once; None where nothing was. Its rows become the selection."""
    return str(st.session_state.get("features_search") or "") if st.session_state.pop(_SEARCHED, False) else None


def _note_search() -> None:
    st.session_state[_SEARCHED] = True


def _search(compared: FeatureComparison) -> None:
    """Rows that hold a word become the selection, so that they light up on the map."""
    word = st.text_input("Search rows", key="features_search", on_change=guard.callback(_note_search),
                         placeholder="a class, a file name" if compared.pictures else
                         "a word or a class" if compared.labels is not None else "a word")
    if word and not compared.matching(word):
        st.caption("No row holds that.")


def near(compared: FeatureComparison, block: int, selection: Sequence[int]) -> tuple[int, list[int], list[int]]:
    """Of a selection of one row: its place, and the places of its nearest rows in A and in B; −1 and none else."""
    if len(selection) != 1:
        return -1, [], []
    rows, row = compared.shift.blocks[block].rows, selection[0]
    sides = (rows.near_base, rows.near_tuned)
    a, b = ([int(n) for n in side[row][:NEIGHBOURS] if n >= 0] if side.size else [] for side in sides)
    return row, a, b


def histogram(compared: FeatureComparison, block: int) -> None:
    """How many neighbours the rows kept."""
    found = compared.shift.blocks[block]
    charts.show(charts.kept(("kept", compared.key, block), lambda: shift_rows.kept_histogram(
        found.rows.kept[found.rows.target], chance=found.knn_overlap_chance)), key="features_kept")


def _kinds(compared: FeatureComparison, block: int, selection: Sequence[int]) -> dict[str, tuple[Sequence[int], str]]:
    """Kind of card -> places of its rows, and what orders them."""
    rows = compared.shift.blocks[block].rows
    moved = np.isfinite(rows.distance).any()
    by = rows.distance if moved else 1 - rows.kept
    what = "by distance moved, in units of the typical distance" if moved else "by neighbours lost"
    known = np.flatnonzero(np.isfinite(by))
    order = known[np.argsort(-by[known], kind="stable")]
    out: dict[str, tuple[Sequence[int], str]] = {}
    if selection:
        chosen = set(selection)
        in_order = [int(i) for i in order if int(i) in chosen]
        out["selected"] = (in_order or list(selection), f"The rows of the selection, {what}.")
    sides = compared.correct()
    if sides is not None:
        fixed, broken = sides
        out["fixed"] = ([int(i) for i in order if fixed[i]], f"A was wrong, B is right; {what}, most first.")
        out["broken"] = ([int(i) for i in order if broken[i]], f"A was right, B is wrong; {what}, most first.")
    change = compared.loss_change
    if change is not None and np.isfinite(change).any():
        judged = [int(i) for i in np.argsort(np.where(np.isfinite(change), change, np.inf)) if np.isfinite(change[i])]
        out["loss fell most"] = (judged, "By change in loss from A to B, most gained first.")
        out["loss rose most"] = (judged[::-1], "By change in loss from A to B, most lost first.")
    out["changed most"] = ([int(i) for i in order if by[i] > 0], f"Rows {what}, most first.")
    out["changed least"] = (order[::-1].tolist(), f"Rows {what}, least first.")
    if not rows.target.all():
        far = [int(i) for i in order if not rows.target[i]]
        out[compared.shift_words] = (far, f"Rows of another domain {what}, most first.")
    first = [k for k in ("selected", "changed most") if k in out]
    return {k: out[k] for k in (*first, *(k for k in out if k not in first))}


def _card(compared: FeatureComparison, block: int, row: int, *, alone: bool = False) -> None:
    """One row; alone: with its neighbours, else they are asked for."""
    rows = compared.shift.blocks[block].rows
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            if label := row_looks.class_of(compared, compared.labels, row):
                st.badge(shell.escape(label), color="gray", icon=":material/label:")
            if not rows.target[row]:
                st.badge(shell.escape(row_looks.origin_of(compared, row)) or "shift row", color="violet")
            for side, values in zip("AB", (compared.predictions_a, compared.predictions_b), strict=True):
                if guess := row_looks.class_of(compared, values, row):
                    right = guess == label
                    st.badge(f"{side}: {shell.escape(guess)}", color="green" if right else "red",
                             icon=":material/check:" if right else ":material/close:")
        if compared.pictures:
            st.image(compared.contents[row], width=160)
        else:
            st.markdown(shell.escape(row_looks.short(compared.contents[row], CARD_CHARACTERS)))
        moved = f"moved {rows.distance[row]:.2f} typical distances" if np.isfinite(rows.distance[row]) else ""
        kept = f"kept {10 * rows.kept[row]:.0f} of 10 neighbours" if np.isfinite(rows.kept[row]) else ""
        change = compared.loss_change
        loss = f"loss {signed(change[row], 2)} nats a token" if change is not None and np.isfinite(change[row]) else ""
        origin = f" of {shell.escape(row_looks.origin_of(compared, row))}" if row_looks.origin_of(compared, row) else ""
        st.caption(" · ".join(part for part in (loss, moved, kept, f"row {compared.row_ids[row]}{origin}") if part))
        if alone:
            _neighbours(compared, block, row)
            return
        around = st.popover("Nearest neighbours", icon=":material/hub:", key=f"features_near_{row}", on_change="rerun")
        if around.open:  # what is in a closed one is not sent
            with around:
                _neighbours(compared, block, row)


def _neighbours(compared: FeatureComparison, block: int, row: int) -> None:
    """The five nearest rows in A and in B; gained and lost marked."""
    _, before, after = near(compared, block, [row])
    if not before and not after:
        st.caption("Its neighbours are not known here.")
        return
    _near(compared, compared.names[0], before, after, "lost", ":red[:material/remove_circle: lost]")
    _near(compared, compared.names[1], after, before, "gained", ":green[:material/add_circle: gained]")


def _near(compared: FeatureComparison, name: str, own: list[int], other: list[int], word: str, icon: str) -> None:
    """The nearest rows on one side; those that are not among the other side's are marked with the word."""
    st.markdown(f"Nearest in **{shell.escape(name)}**")
    for place in own:
        kept = place in other
        label = row_looks.class_of(compared, compared.labels, place) or row_looks.origin_of(compared, place)
        if compared.pictures:
            st.image(compared.contents[place], width=64, caption=f"{label} ({'kept' if kept else word})")
            continue
        mark = ":gray[:material/equal: kept]" if kept else icon
        bold = f"**{shell.escape(label)}** " if label else ""
        st.markdown(f"{mark} {bold}{shell.escape(row_looks.short(compared.contents[place], LINE_CHARACTERS))}")
