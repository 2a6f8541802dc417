"""Runs: all of them, or the one that the address names."""

from __future__ import annotations

import streamlit as st

from core.domain.run import JobKind
from pages._ui import share, shell, start
from pages._ui.runs import actions, detail, jobs, run_list, take_home


def one(ws: str) -> None:
    """The run that the address names."""
    run_id = shell.opened("run").get("run")
    if run_id is None:
        everything(ws)
        return
    run = shell.api().runs.get(ws, run_id)
    named = run_list.titles(ws)
    if run.experiment is not None and run.experiment in named:
        shell.link("experiment", f"The experiment {shell.escape(named[run.experiment])}", icon=":material/arrow_back:",
                   experiment=run.experiment)
    else:
        shell.link("runs", "All runs", icon=":material/arrow_back:")
    detail.heading(ws, run)
    detail.siblings(ws, run)
    actions.bar(ws, run)
    if run.status.final and run.recipe and not shell.recorded() and shell.api().take_home.size_bytes(ws, run.id):
        with st.container(horizontal=True, gap="medium"):
            shell.link("try_it", "Try it on your own input", icon=":material/chat:", run=run.id)
            if not shell.api().strength.state(ws, run.id).reason:
                shell.link("strength", "Turn what it learned up and down", icon=":material/tune:", run=run.id)
    detail.damage(ws, run)
    detail.panel(ws, run)
    detail.rows(ws, run)
    take_home.section(ws, run)
    if shell.api().runs.has_result(run):
        share.popover(ws, [run.id])
    detail.recipe(run)


def everything(ws: str) -> None:
    """All runs of the workspace."""
    shell.title("Runs")
    st.caption("The queue and every run of this workspace. Runs go on when you close this page.")
    if not shell.api().runs.all(ws, kind=JobKind.TRAIN) and not shell.api().runs.damaged(ws):
        start.empty(ws, "No runs yet. One press starts the first comparison.")
        jobs.live_section(ws)
        share.importing(ws)
        return
    run_list.everything(ws)
    share.importing(ws)
