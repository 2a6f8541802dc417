"""Draw the curve before seeing it: a slider an arm, with the curve beside it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core import metrics
from core.lessons import Lesson
from core.planning import designs
from core.plots import lesson as plots
from pages._ui import charts, guard, shell

STEPS = 100


def ask(ws: str, lesson: Lesson, labels: Mapping[str, str]) -> None:
    """The question, the sliders and the curve that they draw."""
    st.header("What do you expect?")
    st.markdown(f"**{shell.escape(lesson.asks)}** Set every arm; the curve follows.")
    guard.fragment(_draw)(ws, lesson, dict(labels))


def _draw(ws: str, lesson: Lesson, labels: Mapping[str, str]) -> None:
    with shell.guarded():
        metric, (low, high) = metrics.REGISTRY[lesson.metric], lesson.range
        left, right = st.columns([2, 3])
        with left:
            predicted = {arm: float(st.slider(
                label, low, high, (low + high) / 2, (high - low) / STEPS, key=f"lesson_{lesson.name}_{arm}"))
                for arm, label in labels.items()}
        with right:
            charts.show(plots.drawn(labels, predicted, {}, metric=metric, split=lesson.split, limits=lesson.range,
                                    joined=ordered(lesson)), key=f"lesson_drawn_{lesson.name}")
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


def ordered(lesson: Lesson) -> bool:
    """Whether the arms stand in one order, so that a line through all of them means something."""
    return designs.get(lesson.design).name == "depth"
