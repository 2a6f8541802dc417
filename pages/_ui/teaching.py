"""Which tokens of a dataset teach a model: the mask that training uses, looked at before, while and after it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.domain.dataset import Shape
from core.domain.run import Run
from core.plots import lengths
from core.plots.numbers import count, share
from pages._ui import charts, shell, token_text
from pages._ui.words import word

NAMED = 12
"""Rows that teach nothing which are named; the others are counted."""


def of_run(ws: str, run: Run) -> None:
    """What a run is taught, folded away; nothing for a run that has not looked at its rows."""
    found = shell.api().runs.teaching(ws, run.id)
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
