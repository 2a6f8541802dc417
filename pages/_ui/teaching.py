"""Which tokens of a dataset teach a model: the mask that training uses, looked at before, while and after it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.domain.dataset import Dataset, Shape
from core.domain.recipe import Recipe
from core.domain.run import Run
from core.plots import lengths
from core.plots.numbers import count, share
from pages._ui import charts, guard, live, shell, token_text
from pages._ui.words import word

USUAL_LENGTH = 256
"""Tokens a row of the recipes that the dial gives."""
NAMED = 12
"""Rows that teach nothing which are named; the others are counted."""


def panel(ws: str, dataset: str, model: str, max_length: int, *, key: str, taught: str = "auto") -> None:
    """The mask of a dataset under a base model: shown where it was made, else asked for and waited for."""
    api = shell.api().teaching
    found = api.look(ws, dataset, model, max_length, taught=taught)
    if found is not None:
        show(found, key=key)
        return
    job = api.job(ws, dataset, model, max_length, taught=taught)
    if job is not None and not job.status.final:
        guard.fragment(_waiting, run_every=live.POLL_S)(ws, job.id)
        return
    if job is not None and job.failure is not None:
        live.failure(job)
    st.caption("A worker reads every row as this model does, with the function that training uses. What is not here "
               "yet is fetched first.")
    if st.button("See which tokens teach", icon=":material/format_ink_highlighter:", key=f"{key}_ask"):
        with shell.guarded():
            api.ask(ws, dataset, model, max_length, taught=taught)
            st.rerun()


def _waiting(ws: str, job: str) -> None:
    with shell.guarded():
        run, state = live.follow(ws, job)
        if run.status.final:
            st.rerun()
        live.badge(run)
        live.bar(run, state)


def of_dataset(ws: str, dataset: Dataset) -> None:
    """On the page of a dataset for language models: the mask under a base model and a length."""
    if dataset.task.labelled:
        return
    st.header("Which tokens teach", help=word("taught token"))
    models = {m.id: m.name for m in shell.api().models.bundled() if dataset.task in m.tasks}
    if not models:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = str(st.selectbox("Base model", list(models), format_func=models.__getitem__, key="teaching_model",
                                 width=260, help=word("base model")))
        length = int(st.number_input("Text length", 8, 32768, USUAL_LENGTH, 32, key="teaching_length", width=150,
                                     help="Tokens read of each row; what lies beyond is cut."))
    with shell.guarded():
        panel(ws, dataset.id, model, length, key=f"teaching_{dataset.id}_{model}_{length}")


def of_plan(ws: str, dataset: Dataset, recipes: Sequence[Recipe]) -> None:
    """On the Train page: the mask of what is planned, folded away; nothing for a dataset that is not here yet."""
    if dataset.task.labelled or not recipes or shell.api().data.find(ws, dataset.id) is None:
        return
    plans = dict.fromkeys((recipe.max_length, recipe.taught) for recipe in recipes)
    drawer = st.expander("Which tokens teach", icon=":material/format_ink_highlighter:", key="teaching_drawer",
                         on_change="rerun")
    if not drawer.open:
        return
    with drawer, shell.guarded():
        length, taught = next(iter(plans))
        if len(plans) > 1:
            length, taught = st.segmented_control(
                "As planned", list(plans), default=(length, taught), required=True, key="teaching_plan",
                format_func=lambda plan: f"{plan[0]:,} tokens, {plan[1]}") or (length, taught)
        panel(ws, dataset.id, recipes[0].base_model, length, taught=taught, key=f"teaching_{length}_{taught}")


def of_run(ws: str, run: Run) -> None:
    """What a run is taught, folded away; nothing for a run that has not looked at its rows."""
    found = shell.api().teaching.of_run(ws, run.id)
    if found is None:
        return
    drawer = st.expander("Which tokens teach", icon=":material/format_ink_highlighter:", key=f"teaching_{run.id}",
                         on_change="rerun")
    if drawer.open:
        with drawer, shell.guarded():
            st.caption("Made by the function that training uses, of the rows that this run trains on.")
            show(found, key=f"teaching_{run.id}")


def show(found: Mapping[str, Any], *, key: str) -> None:
    """Everything of one survey (`teaching.json`): counts in all, what the format does, lengths, and rows to choose."""
    totals, limit = found["totals"], int(found["max_length"])
    _totals(totals)
    _silent(totals, found.get("row_ids_without_taught") or ())
    if rows := found.get("rows"):
        _row(rows, key=key)
    _format(found["format"], chat=found.get("shape", Shape.CHAT) == Shape.CHAT)
    if (drawn := found.get("lengths")) and sum(drawn["counts"]):
        charts.show(lengths.histogram(drawn["edges"], drawn["counts"], limit=limit, cut=int(totals["rows_cut"]),
                                      rows=int(totals["rows"])), key=f"{key}_lengths")


def _totals(totals: Mapping[str, int]) -> None:
    every = totals["taught"] + totals["context"] + totals["cut"]
    tokens = [("Taught", totals["taught"], word("taught token")), ("Context", totals["context"], "Read, not learned."),
              ("Cut", totals["cut"], "Tokens beyond the length, which the model never sees.")]
    with st.container(horizontal=True, gap="small"):
        for name, n, help in tokens:
            st.metric(f"{name} tokens", f"{count(n)} ({share(n, every)})", width=165, help=help)
        st.metric("Taught a row", f"{totals['taught'] / max(1, totals['rows']):,.1f}", width=110,
                  help="Taught tokens a row, on average.")
        st.metric("Rows cut", f"{totals['rows_cut']:,} of {totals['rows']:,}", width=150,
                  help="Rows that are longer than the length.")


def _silent(totals: Mapping[str, int], row_ids: Sequence[int]) -> None:
    """Rows that teach nothing, by name; all of them: nothing can be trained."""
    n = int(totals["rows_without_taught"])
    if not totals["taught"]:
        shell.problem("No token of these rows teaches anything, so no run can start.",
                      "Every row is context or lies beyond the length.",
                      "Look at a row below: choose a longer text length, other columns, or a model whose chat template "
                      "marks the answers.")
    elif n:
        named = ", ".join(f"{row:,}" for row in row_ids[:NAMED])
        more = f" and {n - min(n, NAMED):,} more" if n > min(len(row_ids), NAMED) else ""
        st.warning(f"{n:,} {'row teaches' if n == 1 else 'rows teach'} nothing: row{'s' * (n > 1)} {named}{more}.",
                   icon=":material/warning:")


def _format(format: Mapping[str, Any], *, chat: bool) -> None:
    """How the model writes a row, and what was noticed about that."""
    if chat:
        how = "a plain format of Thaw's, as the model has no chat template" if format.get("plain") else \
            "the model's own chat template"
        st.caption(f":material/chat: Written as **{shell.escape(str(format['name']))}**: {how}.",
                   help=word("chat template"))
    for note in format.get("notes") or ():
        st.caption(f":material/info: {shell.escape(str(note))}")


def _row(rows: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """One row, chosen from those that were kept."""
    def named(at: int) -> str:
        row = rows[at]
        parts = [f"{row[kind]:,} {kind}" for kind in token_text.KINDS if row[kind]]
        return f"Row {row['row_id']:,}: {', '.join(parts) or 'empty'}"

    at = int(st.selectbox("Row", range(len(rows)), format_func=named, key=f"{key}_row",
                          help="The first rows of the training split, then those in which least is taught or most is "
                               "cut.") or 0)
    token_text.show(rows[at]["pieces"], label=named(at), key=f"{key}_text")
    if reason := rows[at].get("reason"):
        st.caption(f":material/warning: {shell.escape(str(reason))}")
