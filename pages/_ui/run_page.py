"""Runs: the run that the address names, or else all of them."""

from __future__ import annotations

import streamlit as st

from core.domain.run import JobKind
from pages._ui import run_actions, run_detail, run_list, shell


def page(ws: str) -> None:
    """Drawn at `/runs` and at `/run` alike: the browser's Back button meets the one address with the query of the other."""
    run_id = st.query_params.get("run")
    if run_id is None:
        _all(ws)
        return
    shell.link("runs", "All runs", icon=":material/arrow_back:")
    run = shell.api().run(ws, run_id)
    run_detail.siblings(ws, run)
    st.header(shell.escape(run.name))
    run_actions.bar(ws, run)
    run_detail.panel(ws, run)
    run_detail.recipe(run)


def _all(ws: str) -> None:
    st.title("Runs")
    st.caption("The queue and every run of this workspace. Runs go on when you close this page.")
    if not shell.api().runs(ws, kind=JobKind.TRAIN):
        shell.empty("No runs yet. Choose a dataset, a model and methods to start some.", page="train", label="Go to Train")
        return
    run_list.everything(ws)
