"""The Features page's answer in brief: the sentence and four tiles, then which blocks changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.analysis import CARDS, FeatureComparison, Null, row_looks
from core.domain.recipe import TAUGHT_TOKENS
from core.domain.run import Interval
from core.plots import shift_blocks
from core.plots.numbers import measured, p_value
from core.plots.theme import Chart
from pages._ui import charts, guard, shell


def card(key: str) -> str:
    """A number's "?" card: what it means, what it reads when nothing happened, how it can mislead."""
    found = CARDS[key]
    return f"{found.meaning} **{found.baseline}**" + (f" Careful: {found.trap}" if found.trap else "")


def pooled_over(compared: FeatureComparison) -> str:
    """What one vector of a language model's row is made of."""
    of = {TAUGHT_TOKENS: "the mean over the taught tokens of its text", "cls": "its first token",
          "last": "its last token"}
    return of.get(compared.pooling, "the mean over all tokens of its text, context and taught ones alike")


def headline(compared: FeatureComparison, block: int) -> None:
    """What the numbers say in one sentence; what that rests on, folded below it; and what limits it."""
    first, *rest = compared.sentences(block)
    st.header(shell.escape(first), anchor=False)
    if rest:
        with st.expander("How sure is that, and did it help?", icon=":material/query_stats:"):
            st.markdown("\n".join(f"- {shell.escape(text)}" for text in rest))
    for caution in compared.shift.warnings:
        if caution.code == "no-labels" and not compared.dataset.task.labelled:
            continue  # such rows have none, and no number here asks for one
        st.warning(shell.escape(caution.message), icon=":material/warning:")
    if compared.of_training:
        st.warning(compared.of_training, icon=":material/warning:")


def tiles(compared: FeatureComparison, block: int) -> None:
    """Four numbers of the block, each with what it would read if nothing had happened."""
    with st.container(horizontal=True, gap="small", key="tiles_block"):
        for tile in _tiles(compared, block):
            with st.container(border=True, width=188, gap=None):
                st.metric(tile.label, tile.value, help=card(tile.card))
                st.caption(tile.baseline)
    found, shift = compared.shift.blocks[block], compared.shift
    shifted = f" and {shift.shift_rows:,} {shell.escape(compared.shift_words)}" if shift.shift_rows else ""
    st.caption(f"In {shell.escape(found.name)}, on {shift.rows - shift.shift_rows:,} target rows{shifted}. Below each "
               f"number: its baseline.{_band(found.cka)}")
    a, b = found.base.gap, found.tuned.gap
    if a and b:
        st.caption(f"{CARDS['mmd'].label} between target rows and {shell.escape(compared.shift_words)}, A → B: "
                   f"**{a.mmd:.3f} → {b.mmd:.3f}**; no gap 0 (random regroupings at least as far apart: "
                   f"p {p_value(a.p_value)} in A, {p_value(b.p_value)} in B).", help=card("mmd"))


@dataclass(frozen=True, kw_only=True)
class _Tile:
    label: str
    value: str
    baseline: str
    """What it would read if nothing had happened; empty where unknown."""
    card: str


def _tiles(compared: FeatureComparison, block: int) -> list[_Tile]:
    """The numbers that this block has."""
    found, majority = compared.shift.blocks[block], compared.shift.majority
    tiles: list[_Tile] = []
    a, b = found.base.knn_accuracy, found.tuned.knn_accuracy
    if a and b:
        tiles.append(_Tile(label=f"{CARDS['knn_accuracy'].label}, A → B", value=f"{a.value:.3f} → {b.value:.3f}",
                           baseline=f"majority class {majority:.2f}" if majority else "", card="knn_accuracy"))
    if found.cka:
        tiles.append(_Tile(label="CKA", value=f"{found.cka.value:.3f}",
                           baseline=f"unchanged 1{_unrelated(found.cka_null)}", card="cka"))
    if found.knn_overlap is not None:
        tiles.append(_Tile(label="Neighbours kept", value=f"{10 * found.knn_overlap:.1f} of 10",
                           baseline=f"by chance {10 * found.knn_overlap_chance:.2f}"
                                    f"{_unrelated(found.knn_overlap_null, times=10)}", card="knn_overlap"))
    if found.displacement is not None:
        baseline = "unmoved 0"
        if found.displacement_shift is not None:
            baseline += f"; {'beside' if compared.second else 'shift'} {found.displacement_shift:.2f}"
        tiles.append(_Tile(label="Typical move", value=f"{found.displacement:.2f} distances", baseline=baseline,
                           card="displacement"))
    return tiles


def _unrelated(null: Null | None, *, times: int = 1) -> str:
    """What unrelated features reach, and how likely they would be as similar."""
    if null is None:
        return ""
    return f"; unrelated at most {times * null.limit_any:.2f} (p {p_value(null.p_value)})"


def _band(cka: Interval | None) -> str:
    if cka is None or cka.low == cka.high:
        return ""
    return f" CKA with its 95 % interval: {measured(cka.value, cka.low, cka.high)}."


def where(compared: FeatureComparison, block: int, seeds: tuple[float | None, ...] | None) -> None:
    """Lines per block and the block × block map. seeds: CKA a block between two seeds of the arm, where there are
    two."""
    found = compared.shift.blocks
    fitting = seeds if seeds and len(seeds) == len(found) else None
    lines = charts.kept(("where", compared.key, compared.names, compared.shift_words, block, fitting),
                        lambda: row_looks.where(compared, block, fitting))
    table = charts.kept(("block map", compared.key, block), lambda: _block_map(compared, block))
    left, right = st.columns([3, 2])
    with left:
        _clickable(lines, [b.name for b in found])
    with right:
        charts.show(table, key="features_block_map",
                    help="CKA of every block of A with every block of B. The diagonal compares a block with itself.")
        exact = [b.name for b in found if b.frozen and b.cka and b.cka.value == 1 and b.knn_overlap == 1]
        if exact:
            st.caption(f":blue[:material/ac_unit: Frozen and exactly unchanged: {', '.join(exact)}.] The run left no "
                       "weight of these blocks, and on rows where both models computed them anew the bytes were equal: "
                       "the self-test of this page.")
        if seeds:
            st.caption("The dashed grey line compares two seeds of this arm: how similar is similar.")


def _block_map(compared: FeatureComparison, block: int) -> Chart:
    table, names = compared.shift.block_map, [b.name for b in compared.shift.blocks]
    base_names = names if len(table) == len(names) else [f"depth {i}" for i in range(len(table))]
    values = [[float(v) if v == v else None for v in line] for line in table]
    return shift_blocks.block_map(values, base_names=base_names, tuned_names=names, selected=block)


def _value(interval: Interval | None) -> float | None:
    return interval.value if interval else None


def _clickable(chart: Chart, names: list[str]) -> None:
    """The chart; a click on a point chooses that block."""

    def chosen() -> None:
        points: list[dict[str, Any]] = st.session_state["features_where"]["selection"]["points"]
        if points and 0 <= int(points[0]["x"]) < len(names):
            st.session_state["features_block"] = names[int(points[0]["x"])]

    st.markdown(f"**{shell.escape(chart.title)}**", help=card("cka"))
    st.plotly_chart(charts.backed(chart.figure), key="features_where", alt=chart.alt, on_select=guard.callback(chosen),
                    selection_mode="points",
                    config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]})
