"""The slider over measured settings, what each set of rows says at it, the curve, and saved settings."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.analysis import strength_words
from core.analysis.strength_files import PANEL, Curve, Curves, Point
from core.domain import strength
from core.domain.strength import HIGHEST, LOWEST, Dial
from core.metrics import REGISTRY, Metric, Unit
from core.metrics.words import MINUS, signed
from core.plots import strength as plots
from core.plots.numbers import measured
from core.plots.theme import Chart
from pages._ui import charts, guard, shell
from pages._ui.strength import measuring
from pages._ui.strength.choosing import DIALS, Chosen
from pages._ui.words import word

AXES = {Dial.STRENGTH: "Strength s of W_base + s (W_tuned − W_base)", Dial.RANK: "Directions kept of each update",
        Dial.INTRUDERS: "Share of the intruder dimensions taken away"}
UNITS = {Dial.STRENGTH: "strength", Dial.RANK: "rank", Dial.INTRUDERS: "share"}


def panel(ws: str, chosen: Chosen) -> None:
    """A move of the slider looks up what was measured, so it answers at once."""
    curves, curve = chosen.curves, chosen.curve
    if curves is None or curve is None or not curve.points:
        return
    trained = strength_words.as_trained(curve.dial, curves.rank)
    ats = [point.at for point in curve.points]
    best = strength_words.best(curves, curve)
    for line in strength_words.sentences(curves, curve):
        st.markdown(f":material/rule: {shell.escape(line)}")
    key = f"strength_at_{chosen.run.id}_{curve.dial}_{'_'.join(curve.blocks)}_{curve.head}_{len(ats)}"
    wanted = st.session_state.pop("strength_goto", None)  # what was measured just now
    if wanted in ats or key not in st.session_state:
        st.session_state[key] = wanted if wanted in ats else trained if trained in ats else ats[-1]
    at = float(st.select_slider(DIALS[curve.dial], ats, key=key, format_func=lambda x: _called(x, trained, curve.dial),
                                help=f"{word('strength')} Every stop was measured: nothing between is guessed."))
    point = next(each for each in curve.points if each.at == at)
    tiles(curves, point)
    for name in point.sets:
        if name != "validation" and point.at != trained and (line := strength_words.said(curves, point, name)):
            st.markdown(f"- {shell.escape(line)}")
    charts.show(_chart(curves, curve, at, trained), key=f"strength_curve_{chosen.run.id}")
    st.caption(f":material/warning: {strength_words.CAUTION}" + (
        f" Validation rows choose {UNITS[curve.dial]} {best.at:g}." if best else ""))
    notes(curves, curve)
    more(ws, chosen, at, trained)


def tiles(curves: Curves, point: Point) -> None:
    """The score on every set, and how far it lies from the model as trained."""
    with st.container(horizontal=True, gap="small", key="strength_tiles"):
        for name, found in point.sets.items():
            metric = REGISTRY[curves.samples[name].metric]
            value = found.scores[metric.name]
            label = strength_words.called(curves, name)
            st.metric(f"{label[0].upper() + label[1:]}: {metric.label}", measured(value.value, value.low, value.high),
                      width=235, delta=_change(metric, found.difference.value) if found.difference else None,
                      delta_color="off" if not found.clear else "normal" if metric.higher_is_better else "inverse",
                      help=f"{_rows(curves, name)} {word('interval')} Below: the difference from the model as trained; "
                           "grey where it is not told from zero.")


def _change(metric: Metric, value: float) -> str:
    said = f"{signed(100 * value, 1)} points" if metric.unit is Unit.SHARE else signed(value, 3)
    return said.replace(MINUS, "-")  # by a hyphen `st.metric` knows which way its arrow points


def _rows(curves: Curves, name: str) -> str:
    sample = curves.samples[name]
    things = "documents" if name == PANEL else "rows"
    return f"{sample.rows:,} of {sample.of:,} {things}, the same at every setting."


def _called(at: float, trained: float, dial: Dial) -> str:
    if at == trained:
        return f"{at:g} · as trained"
    return f"{at:g} · base" if dial is Dial.STRENGTH and at == 0 else f"{at:g}"


def _chart(curves: Curves, curve: Curve, at: float, trained: float) -> Chart:
    lines = []
    for name in curves.samples:
        points = [point for point in curve.points if name in point.sets]
        metric, label = REGISTRY[curves.samples[name].metric], strength_words.called(curves, name)
        if points:
            lines.append(plots.Line(label=label[0].upper() + label[1:], metric=metric, at=[p.at for p in points],
                                    values=[p.sets[name].scores[metric.name] for p in points]))
    what = f"{', '.join(curve.blocks)} turned, the rest as trained" if curve.blocks else "the whole model turned"
    title = f"{DIALS[curve.dial]} {min(p.at for p in curve.points):g} to {max(p.at for p in curve.points):g}, {what}"
    return plots.chart(lines, x_title=AXES[curve.dial], trained_at=trained, chosen=at, title=title,
                       base_at=0.0 if curve.dial is Dial.STRENGTH else None)


def notes(curves: Curves, curve: Curve) -> None:
    """What a reader must know of these numbers."""
    rows = ", ".join(f"{sample.rows:,} of {sample.of:,} ({strength_words.called(curves, name)})"
                     for name, sample in curves.samples.items())
    panel_words = " The forgetting panel counts as worse where its loss rises." if PANEL in curves.samples else ""
    st.caption(f"Measured on {rows}, the same at every setting. Computed in {curves.precision}.{panel_words}")
    if curves.base_in_four_bits and curve.dial is Dial.STRENGTH:
        st.caption("At 0 stands the base model in 4 bits, beside which this run was trained.")
    if curves.trained_on:
        st.caption(f"Left out of the panel, since the run was trained on such texts: {', '.join(curves.trained_on)}.")


def more(ws: str, chosen: Chosen, at: float, trained: float) -> None:
    """Save this setting; measure another one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Save this setting as", key="strength_name", max_chars=40, width=240,
                             placeholder="e.g. careful", help="A saved setting can be tried and predicted with.")
        if st.button("Save", key="strength_save", icon=":material/save:",
                     disabled=at == trained or bool(shell.recorded()),
                     help="The model as trained needs no saving." if at == trained else None):
            with shell.guarded():
                shell.api().strength.save(ws, chosen.run.id, (name or "").strip(),
                                          strength.at(chosen.dial, at, blocks=chosen.blocks, head=chosen.head))
                st.rerun()
    if chosen.dial is Dial.STRENGTH:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            value = st.number_input("Another strength", LOWEST, HIGHEST, 0.9, 0.05, key="strength_other", width=240,
                                    help="Measured on the same rows, and a stop of the slider from then on.")
            measuring.another(ws, chosen, round(float(value), 3))


def saved(ws: str, chosen: Chosen) -> None:
    """Settings that were saved, and how to use them."""
    points = shell.api().strength.points(ws, chosen.run.id)
    if not points:
        return
    st.header("Saved settings")
    for name, turn in points.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.escape(name)}**: {turn.words}")
            forget = partial(shell.api().strength.remove, ws, chosen.run.id, name)
            if not shell.recorded():
                st.button("Forget", key=f"strength_forget_{name}", icon=":material/delete:", type="tertiary",
                          on_click=guard.callback(forget))
    st.caption("They stand among the models on *Try it*, and the command line predicts with them, too.")
