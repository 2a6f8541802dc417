"""What an experiment that asks a question says: the answer, its chart, and its verdict card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.domain.run import Run
from core.spreadsheets import records_to_csv
from pages._ui import charts, shell
from pages._ui.experiment import card

if TYPE_CHECKING:
    from core.api import Question


def panel(ws: str, id: str, members: Sequence[Run]) -> None:
    """Nothing for runs that no design laid out."""
    question = shell.api().questions.of(ws, id)
    if question is None:
        return
    st.header(question.design.question, divider="gray")
    answer = question.answer
    open_ = question.done < question.planned and any(not run.status.final for run in members)
    if answer is None:
        st.info(f"No answer yet: {question.done} of {question.planned} runs have results. "
                f"{question.design.explains}", icon=":material/hourglass_empty:")
        return
    so_far = f"So far, with {question.done} of {question.planned} runs: " if question.done < question.planned else ""
    (st.info if open_ else st.success)(f"{so_far}**{shell.escape(answer.sentence)}**",
                                       icon=":material/hourglass_empty:" if open_ else ":material/lightbulb:")
    if len(question.experiment.seeds) == 1:
        st.caption(":material/warning: One seed: the intervals are of rows alone.")
    _charts(id, question)
    card.panel(question)
    _download(question)


def _charts(id: str, question: Question) -> None:
    for place, chart in enumerate(question.charts):
        charts.show(chart, key=f"answer_{id}_{place}")


def _download(question: Question) -> None:
    """The numbers behind it, a line an arm."""
    metric, lines = question.document["metric"], []
    for arm in question.document["arms"]:
        about = {"arm": arm["label"], "method": arm["method"], "seeds": len(arm["seeds"]),
                 "labels": arm["budget"] or "all", "x": arm["x"], "rate": arm["rate"]}
        lines += [about | {"split": split, "metric": metric} | scores[metric] | arm["cost"]
                  for split, scores in arm["metrics"].items() if metric in scores]
    st.download_button("Numbers as CSV", records_to_csv(lines), file_name=f"{question.design.name}.csv",
                       mime="text/csv", icon=":material/download:", key="answer_csv")
