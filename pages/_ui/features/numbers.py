"""The Features page's answer in brief: the sentence and four tiles, then which blocks changed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.analysis import CARDS, Space
from core.domain.run import Interval
from core.plots import shift_blocks
from core.plots.numbers import measured, p_value
from core.plots.theme import Chart
from pages._ui import charts, guard, shell


def card(key: str) -> str:
    """A number's "?" card: what it means, what it reads when nothing happened, how it can mislead."""
    found = CARDS[key]
    return f"{found.meaning} **{found.baseline}**" + (f" Careful: {found.trap}" if found.trap else "")


def headline(space: Space, block: int) -> None:
    """One sentence made from the numbers, then four tiles, each with what it would read if nothing had happened."""
    first, *rest = space.shift.findings
    st.markdown(f"#### {shell.escape(first)}")
    for text in rest:
        st.markdown(f"- {shell.escape(text)}")
    for caution in space.shift.warnings:
        st.warning(shell.escape(caution.message), icon=":material/warning:")
    if space.of_training:
        st.warning(space.of_training, icon=":material/warning:")
    found = space.shift.blocks[block]
    tiles: list[tuple[str, str, str, str]] = []
    if found.base.knn_accuracy and found.tuned.knn_accuracy:
        tiles.append((f"{CARDS['knn_accuracy'].label}, A → B", f"{_plain(found.base.knn_accuracy)} → {_plain(found.tuned.knn_accuracy)}",
                      f"majority class {space.shift.majority:.2f}" if space.shift.majority else "", "knn_accuracy"))
    if found.cka:
        tiles.append(("CKA", f"{found.cka.value:.3f}", "unchanged 1", "cka"))
    if found.knn_overlap is not None:
        tiles.append(("Neighbours kept", f"{10 * found.knn_overlap:.1f} of 10", f"by chance {10 * found.knn_overlap_chance:.2f}",
                      "knn_overlap"))
    if found.displacement is not None:
        shift = "" if found.displacement_shift is None else f"; {'beside' if space.beside else 'shift'} {found.displacement_shift:.2f}"
        tiles.append(("Typical move", f"{found.displacement:.2f} distances", f"unmoved 0{shift}", "displacement"))
    with st.container(horizontal=True):
        for label, value, baseline, key in tiles:
            st.metric(label, value, delta=baseline or None, delta_color="off", delta_arrow="off", border=True, help=card(key), width=188)
    shifted = f" and {space.shift.shift_rows:,} {shell.escape(space.shift_words)}" if space.shift.shift_rows else ""
    st.caption(f"In {shell.escape(found.name)}, on {space.shift.rows - space.shift.shift_rows:,} target rows{shifted}. Below each number: "
               f"its baseline.{_band(found.cka)}")
    if found.base.gap and found.tuned.gap:
        st.caption(f"{CARDS['mmd'].label} between target rows and {shell.escape(space.shift_words)}, A → B: "
                   f"**{found.base.gap.mmd:.3f} → {found.tuned.gap.mmd:.3f}**; no gap 0 (random regroupings at least as far apart: "
                   f"p {p_value(found.base.gap.p_value)} in A, {p_value(found.tuned.gap.p_value)} in B).", help=card("mmd"))


def _band(cka: Interval | None) -> str:
    if cka is None or cka.low == cka.high:
        return ""
    return f" CKA with its 95 % interval: {measured(cka.value, cka.low, cka.high)}."


def _plain(value: Interval) -> str:
    return f"{value.value:.3f}"


def where(space: Space, block: int, yardstick: tuple[float | None, ...] | None) -> None:
    """Lines per block and the block × block map."""
    found, names = space.shift.blocks, [b.name for b in space.shift.blocks]
    fitting = yardstick if yardstick and len(yardstick) == len(found) else None
    chart = charts.kept(("where", space.pair.key, space.names, space.shift_words, block, fitting), lambda: _where(space, block, fitting))
    left, right = st.columns([3, 2])
    with left:
        _clickable(chart, names)
    with right:
        charts.show(charts.kept(("block map", space.pair.key, block), lambda: _block_map(space, block)), key="features_block_map",
                    help="CKA of every block of A with every block of B. The diagonal compares a block with itself.")
        exact = [b.name for b in found if b.frozen and b.cka and b.cka.value == 1 and b.knn_overlap == 1]
        if exact:
            st.caption(f":blue[:material/ac_unit: Frozen and exactly unchanged: {', '.join(exact)}.] The run left no weight of these "
                       "blocks, and on rows where both models computed them anew the bytes were equal: the self-test of this page.")
        if yardstick:
            st.caption("The dashed grey line compares two seeds of this arm: how similar is similar.")


def _where(space: Space, block: int, yardstick: tuple[float | None, ...] | None) -> Chart:
    found = space.shift.blocks
    return shift_blocks.where(
        [b.name for b in found], [b.frozen for b in found], cka=[_value(b.cka) for b in found],
        cka_low=[b.cka.low if b.cka else None for b in found], cka_high=[b.cka.high if b.cka else None for b in found],
        kept=[b.knn_overlap for b in found], chance=found[-1].knn_overlap_chance,
        displacement=[b.displacement for b in found], displacement_shift=[b.displacement_shift for b in found],
        probe_base=[_value(b.base.probe_accuracy) for b in found], probe_tuned=[_value(b.tuned.probe_accuracy) for b in found],
        majority=space.shift.majority, yardstick=yardstick, selected=block, beside=space.shift_words if space.beside else "")


def _block_map(space: Space, block: int) -> Chart:
    table, names = space.shift.block_map, [b.name for b in space.shift.blocks]
    base_names = names if len(table) == len(names) else [f"depth {i}" for i in range(len(table))]
    return shift_blocks.block_map([[float(v) if v == v else None for v in line] for line in table], base_names=base_names,
                                  tuned_names=names, selected=block)


def _value(interval: Interval | None) -> float | None:
    return interval.value if interval else None


def _clickable(chart: Chart, names: list[str]) -> None:
    """The chart; a click on a point chooses that block."""

    def chosen() -> None:
        points: list[dict[str, Any]] = st.session_state["features_where"]["selection"]["points"]
        if points and 0 <= int(points[0]["x"]) < len(names):
            st.session_state["features_block"] = names[int(points[0]["x"])]

    st.markdown(f"**{shell.escape(chart.title)}**", help=card("cka"))
    st.plotly_chart(chart.figure, key="features_where", alt=chart.alt, on_select=guard.callback(chosen), selection_mode="points",
                    config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]})


def predict_first(space: Space) -> bool:
    """Guess which blocks changed before seeing it. Returns whether the page may go on."""
    place = f"features_guess_{space.pair.key}"
    names = [b.name for b in space.shift.blocks]
    if st.session_state.get(f"{place}_done"):
        guess = set(st.session_state.get(f"{place}_names", ()))
        truth = {b.name for b in space.shift.blocks if b.state.value != "identical"}
        right = [n for n in names if (n in guess) == (n in truth)]
        changed = ", ".join(n for n in names if n in truth) or "none"
        st.info(f"You were right about {len(right)} of {len(names)} blocks. Changed: {changed}. "
                f"You guessed: {', '.join(n for n in names if n in guess) or 'none'}.", icon=":material/psychology:")
        return True
    with st.form(place):
        st.markdown("**Before you look: which blocks did the training change?** Think of what was frozen, and of where adapters sit.")
        guess_now = st.pills("Blocks that changed", names, selection_mode="multi", key=f"{place}_pills")
        if st.form_submit_button("Reveal", icon=":material/visibility:", type="primary"):
            st.session_state[f"{place}_names"], st.session_state[f"{place}_done"] = list(guess_now), True
            st.rerun()
    return False
