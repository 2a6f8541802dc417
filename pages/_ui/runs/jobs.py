"""The short jobs of a workspace beside its runs: fetching, importing, features. A small list on the Runs page."""

from __future__ import annotations

import streamlit as st

from core.domain.run import JobKind, Run, Status
from core.planning import names
from core.plots.numbers import duration, percent
from pages._ui import guard, live, shell

SHOWN = 6
"""Jobs that have ended; all that have not are shown."""
WORDS = {JobKind.PREPARE: "fetch", JobKind.IMPORT: "import", JobKind.FEATURES: "features",
         JobKind.EXPORT: "export", JobKind.STRENGTH: "strength",
         JobKind.PREDICT: "predict", JobKind.TRIAL: "one step"}


def live_section(ws: str) -> None:
    """The same by itself, polled while something is under way."""
    busy = any(not job.status.final for job in shell.api().runs.all(ws))
    guard.fragment(section, run_every=live.POLL_S if busy else None)(ws)


def section(ws: str) -> None:
    """Jobs that are waiting or running, then the last that ended; nothing where there are none."""
    every = shell.api().runs.all(ws)
    jobs = [job for job in every if job.kind in WORDS and not job.damage]
    if not jobs:
        return
    active = [job for job in jobs if not job.status.final]
    ended = [job for job in jobs if job.status.final][:SHOWN]
    with st.expander(f"Other jobs: {len(active)} under way" if active else "Other jobs", icon=":material/checklist:",
                     expanded=bool(active)):
        for job in (*active, *ended):
            _row(ws, job, names.of_job(job, every))


def _row(ws: str, job: Run, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(shell.escape(name), width="content")
        live.badge(job)
        if job.status in (Status.RUNNING, Status.STOPPING):
            _, state = live.follow(ws, job.id)
            done, total = state.progress.get("done"), state.progress.get("total")
            st.caption(state.phase + (f", {percent(done / total)}" if done and total else ""))
        elif job.failure:
            st.caption(shell.escape(job.failure.what))
        elif job.started and job.finished:
            st.caption(duration(job.finished - job.started))
        if not job.status.final and st.button("Stop", key=f"stop_job_{job.id}", icon=":material/stop:",
                                              disabled=job.status is Status.STOPPING):
            shell.api().runs.stop(ws, job.id)
            st.rerun()
