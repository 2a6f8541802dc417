"""Draw the curve before seeing it: a slider an arm, with the chart beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core import metrics
from core.domain.experiment import Arm
from core.lessons import Lesson
from core.planning import arms as looks
from core.planning import designs
from core.plots import lesson as plots
from core.plots import palette
from core.plots.lesson import Place
from pages._ui import charts, guard, shell

STEPS = 100


def ask(ws: str, lesson: Lesson, arms: Sequence[Arm]) -> None:
    """The question, the sliders and the chart that they draw."""
    st.header("What do you expect?")
    st.markdown(f"**{shell.escape(lesson.asks)}** Set every slider; the chart follows.")
    st.caption(metrics.REGISTRY[lesson.metric].explanation)
    guard.fragment(_draw)(ws, lesson, {arm.name: arm.label for arm in arms}, axis(lesson, arms))


def _draw(ws: str, lesson: Lesson, labels: Mapping[str, str], axis: dict[str, Any]) -> None:
    with shell.guarded():
        metric, (low, high) = metrics.REGISTRY[lesson.metric], lesson.range
        left, right = st.columns([2, 3])
        with left:
            predicted = {arm: float(st.slider(
                label, low, high, (low + high) / 2, (high - low) / STEPS, key=f"lesson_{lesson.name}_{arm}"))
                for arm, label in labels.items()}
        with right:
            charts.show(plots.drawn(labels, predicted, {}, metric=metric, split=lesson.split, limits=lesson.range,
                                    **axis), key=f"lesson_drawn_{lesson.name}")
        if shell.recorded():
            st.caption("Nothing is kept in the recorded example; in your own workspace it is.")
        with st.container(horizontal=True, gap="small"):
            if not shell.recorded() and st.button("This is my prediction", type="primary", icon=":material/lock:",
                                                  key="lesson_predict"):
                shell.api().lessons.predict(ws, lesson.name, predicted)
                st.rerun(scope="app")
            if st.button("Go on without one", key="lesson_look"):
                st.session_state[f"lesson_looked_{lesson.name}"] = True
                st.rerun(scope="app")


def axis(lesson: Lesson, arms: Sequence[Arm]) -> dict[str, Any]:
    """How its chart joins the arms: not, with a line in their order, or with a curve a method over the labels."""
    design = designs.get(lesson.design)
    if design.takes_budgets and all(arm.x is not None for arm in arms):
        return {"x_title": "Labels (log scale)", "places": {
            arm.name: Place(curve=arm.label.rpartition(", ")[0], x=float(arm.x or 0),
                            look=palette.arm(looks.index(arm.recipe))) for arm in arms}}
    return {"joined": design.takes_depths}
