"""All lessons, in the order in which they are taught, and how far one is with each."""

from __future__ import annotations

import streamlit as st

from core import lessons
from pages._ui import shell
from pages._ui.lesson import room


def page(ws: str) -> None:
    """Everything below the title."""
    api = shell.api()
    st.markdown("Each lesson asks one question about transfer learning. You say what you expect, then it is measured: "
                "on this machine, or from a result that comes with Thaw. At the end stands what a paper says.")
    for number, lesson in enumerate(lessons.REGISTRY.values(), 1):
        with st.container(border=True):
            shell.link("lesson", f"{number}. {lesson.title}", icon=":material/school:", lesson=lesson.name)
            st.markdown(shell.escape(lesson.asks))
            predicted, measured = (api.lessons.prediction(ws, lesson.name) is not None,
                                   api.lessons.is_measured(ws, lesson.name))
            if predicted or measured:
                with st.container(horizontal=True, gap="small"):
                    if predicted:
                        st.badge("Predicted", icon=":material/psychology:", color="blue")
                    if measured:
                        st.badge("Measured here", icon=":material/check_circle:", color="green")
    st.header("Together")
    room.entrance(ws)
