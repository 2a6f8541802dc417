"""What an experiment that asks a question says: the answer, its chart, and which arms can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.domain.run import Run
from core.metrics import Unit
from core.plots.numbers import measured
from core.spreadsheets import records_to_csv
from pages._ui import charts, shell

if TYPE_CHECKING:
    from core.api import Question
    from core.planning.designs.found import Compared

VERDICTS = {"better": ":material/arrow_upward: better", "worse": ":material/arrow_downward: worse",
            "cannot tell": ":material/question_mark: cannot tell"}


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
    _comparisons(question)
    _download(question)


def _charts(id: str, question: Question) -> None:
    if question.found is None:
        return
    for place, chart in enumerate(question.design.charts(question.found)):
        charts.show(chart, key=f"answer_{id}_{place}")


def _comparisons(question: Question) -> None:
    found = question.found
    if found is None or not found.compared:
        return
    with st.expander(f"Which arms can be told apart ({len(found.compared)} comparisons)", icon=":material/balance:"):
        lines = ["| A | B | A − B (95 % interval) | A is | p, corrected | would tell |", "|---|---|---|---|---|---|"]
        lines += [f"| {_name(question, each.a)} | {_name(question, each.b)} | {_difference(question, each)} | "
                  f"{VERDICTS[each.verdict]} | {each.p_adjusted:.3f} | {_more(each)} |" for each in found.compared]
        st.markdown("\n".join(lines))
        st.caption("On the same test rows, seed by seed. p is corrected for all comparisons in this table (Holm): if "
                   "nothing differs, at most one experiment in twenty says that something does. The last column: about "
                   "how many further seeds or test rows would find a difference of this size four times in five.")


def _name(question: Question, arm: str) -> str:
    found = question.found
    assert found is not None
    return shell.escape(found.label(arm)).replace("|", "\\|")


def _difference(question: Question, each: Compared) -> str:
    found, gap = question.found, each.difference
    assert found is not None
    if found.metric.unit is Unit.SHARE:
        return f"{100 * gap.value:+.1f} points ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    return measured(gap.value, gap.low, gap.high)


def _more(each: Compared) -> str:
    said = [f"{count:,} {what}" for count, what in ((each.more_seeds, "seeds"), (each.more_rows, "rows")) if count]
    return " or ".join(said) or "–"


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
