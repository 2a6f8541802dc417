"""The Features page's drawers: geometry, transferability, weights, break it, trust. Closed ones cost nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.analysis import BREAKS, CARDS, Availability, FeatureComparison, breaks
from core.domain.run import Interval
from core.plots import shift_geometry, shift_map
from core.plots.shift_map import Colouring
from pages._ui import charts, shell
from pages._ui.features import bar, downloads, lens
from pages._ui.features.numbers import card, pooled_over


def section(ws: str, chosen: bar.Chosen, compared: FeatureComparison, block: int, found: Availability) -> None:
    """All drawers; what is inside is computed when one is opened."""
    st.header("Look closer")
    drawers: list[tuple[str, str, Callable[[], None]]] = [
        ("Geometry: how the features are spread", ":material/category:", lambda: _geometry(compared, block)),
        ("Weights: what training did to them", ":material/grid_on:",
         lambda: _weights(ws, chosen.b.run, found, chosen.rows)),
        ("Break it: which numbers can be fooled?", ":material/construction:", lambda: _break_it(compared, block)),
        ("Trust this page: checks run now, and every number", ":material/verified:",
         lambda: _trust(ws, chosen, compared, block, found)),
    ]
    gaps = any(b.base.gap and b.tuned.gap for b in compared.shift.blocks)
    if compared.dataset.task.labelled or gaps:
        title = "Transferability: how well would a simple head do?" if compared.dataset.task.labelled else "Domain gap"
        drawers.insert(1, (title, ":material/swap_horiz:", lambda: _transfer(compared, block)))
    keyed = [(str(number), *drawer) for number, drawer in enumerate(drawers)]
    if not compared.dataset.task.labelled:
        keyed.insert(0, ("lens", "What each block says", ":material/translate:",
                         lambda: lens.section(ws, chosen, found)))
    for key, title, icon, draw in keyed:
        drawer = st.expander(title, icon=icon, key=f"features_drawer_{key}", on_change="rerun")
        if drawer.open:
            with drawer, shell.guarded():
                draw()


def _by_block(compared: FeatureComparison, key: str, block: int, *, log: bool = False, baseline: float | None = None,
              baseline_name: str = "") -> None:
    """One number of both sides over the blocks; nothing where no block has it."""
    found = compared.shift.blocks
    base, tuned = [_value(b.base, key) for b in found], [_value(b.tuned, key) for b in found]
    if any(v is not None for v in (*base, *tuned)):
        chart = shift_geometry.by_block([b.name for b in found], [b.frozen for b in found], label=CARDS[key].label,
                                        base=base, tuned=tuned, log=log, baseline=baseline, baseline_name=baseline_name,
                                        selected=block)
        charts.show(chart, key=f"features_{key}", help=card(key))


def _value(side: Any, key: str) -> float | None:
    found = getattr(side, key)
    return found.value if isinstance(found, Interval) else found


def _geometry(compared: FeatureComparison, block: int) -> None:
    found = compared.shift.blocks[block]
    left, right = st.columns(2)
    with left:
        _by_block(compared, "effective_rank", block, baseline=found.base.rank_ceiling, baseline_name="ceiling")
        _by_block(compared, "silhouette", block, baseline=0.0, baseline_name="no separation")
    with right:
        _by_block(compared, "nc1", block, log=True)
        if found.base.effective_rank is not None and found.tuned.effective_rank is not None:
            one, two = compared.spectra(block)
            chart = shift_geometry.spectra(one, two, rank_base=found.base.effective_rank,
                                           rank_tuned=found.tuned.effective_rank, block=found.name)
            charts.show(chart, key="features_spectra", help=card("effective_rank"))
    turn = found.procrustes
    if turn:
        shown = {"procrustes_residual": f"{turn.residual:.3f} of 2", "procrustes_angle": f"{turn.angle:.0f}°",
                 "procrustes_scale": f"× {turn.scale:.2f}"}
        with st.container(horizontal=True):
            for key, value in shown.items():
                st.metric(CARDS[key].label, value, help=card(key), width=200)
        if not turn.determined:
            st.caption("The rotation is fitted on half the rows, which are fewer than the dimensions: what is left "
                       "reads too large.")


def _transfer(compared: FeatureComparison, block: int) -> None:
    if compared.dataset.task.labelled:
        st.caption("How well would a head do on these features as they are? k-NN accuracy needs no training, and in a "
                   "study of 42,000 runs no score told better how well a model will transfer.")
    found, majority = compared.shift.blocks, compared.shift.majority
    left, right = st.columns(2)
    with left:
        _by_block(compared, "knn_accuracy", block, baseline=majority, baseline_name="most frequent class")
    with right:
        _by_block(compared, "probe_accuracy", block, baseline=majority, baseline_name="most frequent class")
    if any(b.base.gap and b.tuned.gap for b in found):
        chart = shift_geometry.by_block(
            [b.name for b in found], [b.frozen for b in found], label=CARDS["mmd"].label, baseline=0.0, selected=block,
            baseline_name="no gap", base=[b.base.gap.mmd if b.base.gap else None for b in found],
            tuned=[b.tuned.gap.mmd if b.tuned.gap else None for b in found])
        charts.show(chart, key="features_gap", help=card("mmd"))


def _weights(ws: str, run: str, state: Availability, rows: int) -> None:
    found = shell.api().features.weight_changes(ws, run)
    if found is None and state.job is not None:
        st.caption("The weights of this run are being measured.")
    elif found is None:
        st.caption("The weights of this run were not measured yet.")
        if st.button("Measure the weights", icon=":material/play_arrow:", key="features_measure_weights"):
            shell.api().features.request(ws, [run], rows=rows)
            st.rerun()
    else:
        _measured_weights(run, found)


def _measured_weights(run: str, found: dict[str, Any]) -> None:
    if found["note"]:
        st.caption(shell.escape(found["note"]))
    modules = found["modules"]
    if not modules:
        if found["untouched"]:
            st.markdown("No published weight changed.")
        return
    chart = shift_geometry.weights([m["name"] for m in modules], [m["relative"] for m in modules],
                                   rank90=[m["rank90"] or 0 for m in modules],
                                   intruders=[m["intruders"] for m in modules], without_effect=found.get("idle", ()))
    charts.show(chart, key="features_weights", help=card("relative"))
    intruders = CARDS["intruders"]
    st.caption(f"{len(modules)} weights changed, {found['untouched']} did not. {intruders.label}: {intruders.meaning}")
    if found.get("idle"):
        st.caption("Grey: biases of keys. They add the same to every score of a query, which the softmax takes out "
                   "again, so their change has no effect.")
    listed = {m["name"]: m for m in modules if m["singular"]}
    if listed:
        one = listed[st.selectbox("Spectrum of the change of", list(listed), key=f"features_weight_{run}")]
        chart = shift_geometry.delta_spectrum(one["singular"], name=one["name"], rank90=one["rank90"])
        charts.show(chart, key="features_delta", help=card("rank90"))


def _break_it(compared: FeatureComparison, block: int) -> None:
    st.caption("Change model B on purpose, and watch which number notices. Nothing is saved.")
    names = {b.name: b for b in BREAKS}
    name = st.pills("What to do to B", list(names), format_func=lambda n: names[n].label, key="features_break",
                    label_visibility="collapsed")
    if not name:
        return
    with st.spinner("Measuring…"):
        broken = breaks.measure(compared, block, str(name))
    if broken is None:
        st.info("Both models need one width and finite features for this.", icon=":material/info:")
        return
    st.markdown(f"**{names[str(name)].expect}**")
    lines = []
    for label, read, baseline in _READINGS:
        old, new = read(broken.before), read(broken.after)
        if old is not None and new is not None:
            lines.append({"Number": label, "As it is": f"{old:.3f}", "Broken": f"{new:.3f}",
                          "Unchanged would read": baseline})
    st.dataframe(lines, hide_index=True, key="features_broken",
                 alt="; ".join(f"{x['Number']} {x['As it is']} to {x['Broken']}" for x in lines))
    st.caption(f"{compared.shift.blocks[block].name.capitalize()}, {broken.rows:,} target rows.")
    if broken.map is not None:
        still = Colouring(title="Neighbours kept", values=broken.after.rows.kept, low=0.0, high=1.0)
        n = len(broken.after.rows.kept)
        chart = shift_map.panes(broken.map.base, broken.map.tuned, still, row_ids=list(range(n)), hover=[""] * n,
                                height=420, names=(compared.names[0], f"{compared.names[1]}, broken"))
        charts.show(chart, key="features_broken_map")


def _pooled(compared: FeatureComparison) -> str:
    if compared.dataset.task.labelled:
        return "the mean over tokens (or over places of a picture), as the head pools them"
    return pooled_over(compared)


_READINGS: tuple[tuple[str, Callable[[Any], float | None], str], ...] = (
    (CARDS["cka"].label, lambda b: b.cka and b.cka.value, "1"),
    (CARDS["knn_overlap"].label, lambda b: b.knn_overlap, "1"),
    (CARDS["displacement"].label, lambda b: b.displacement, "0"),
    (CARDS["procrustes_residual"].label, lambda b: b.procrustes and b.procrustes.residual, "0"),
    (CARDS["procrustes_scale"].label, lambda b: b.procrustes and b.procrustes.scale, "1"),
    (f"{CARDS['knn_accuracy'].label} of B", lambda b: b.tuned.knn_accuracy and b.tuned.knn_accuracy.value, "as it is"),
)


def _trust(ws: str, chosen: bar.Chosen, compared: FeatureComparison, block: int, found: Availability) -> None:
    checks = compared.checks(block)
    passed = sum(c.passed for c in checks)
    icon = ":green[:material/check_circle:]" if passed == len(checks) else ":red[:material/error:]"
    said, name = f"{passed} of {len(checks)} checks passed", shell.escape(compared.shift.blocks[block].name)
    st.markdown(f"{icon} **{said}**, run just now on {name} of A.")
    lines = [{"Check": c.name, "Must read": c.expected, "Reads": f"{c.value:.6g}",
              "": "passed" if c.passed else "failed"} for c in checks]
    st.dataframe(lines, hide_index=True, key="features_checks", alt=said)
    st.markdown(
        "- Numbers come from all dimensions; the picture only illustrates.\n"
        f"- One vector a row and block: {_pooled(compared)}.\n"
        "- Both models saw the same rows in the same batches, in evaluation mode; features are kept in 16 bits and "
        "summed in 64.\n"
        "- CKA is debiased and linear, its band from 20 subsets of 80 % without replacement; neighbours are the 10 "
        "nearest by cosine.\n"
        "- CKA does not tell which layer of one seed corresponds to which of another.")
    downloads.numbers(functools.partial(chosen.compared, ws, shell.api()))
    bar.disk(found)
