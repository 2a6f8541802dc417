"""The Features page while there are no features yet: they are extracted, waited for, or cannot be had."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.analysis import SECOND_ROWS, Availability
from core.domain.run import JobKind, Run, Status
from core.domain.side import Side
from core.planning import names
from pages._ui import guard, live, shell

Known = Mapping[str, tuple[Run, Availability]]
"""Id of a run -> the run, and what there is of its features."""


def ready(ws: str, known: Known, labels: Mapping[str, str], a: Side, b: Side, rows: int, second: str = "") -> bool:
    """Whether both sides are on disk (second: at the rows of that second dataset); else the way to get them."""
    missing = [id for id in (b.run, a.run) if not known[id][1].ready]
    if not missing:
        return True
    run, found = known[missing[0]]
    label = shell.escape(labels[run.id])
    if found.reason and run.status.final:
        shell.problem(f"{labels[run.id]} has nothing to compare.", found.reason, found.remedy)
    elif found.reason:
        st.markdown(f":material/local_fire_department: **{label}** is still {run.status.value}. Its features can be "
                    "compared as soon as it is done; this page goes on by itself.")
        guard.fragment(_wait, run_every=live.POLL_S)(ws, run.id)
        shell.link("run", "Watch it", icon=":material/visibility:", run=run.id)
    elif job := found.job or _begin(ws, known, run, rows, second):
        dataset = shell.api().data.find(ws, second) if second else None
        rows_of = f" at up to {SECOND_ROWS} rows of {shell.escape(dataset.name)}" if dataset else ""
        st.markdown(f":material/hourglass_top: Getting the features of **{label}**{rows_of}: the same rows go through "
                    "the base model and the tuned model once each, about as long as two evaluations, and both are "
                    "kept. This page goes on by itself.")
        guard.fragment(_follow, run_every=live.POLL_S)(ws, job)
    return False


def _begin(ws: str, known: Known, run: Run, rows: int, second: str) -> str | None:
    """Request the features of this run, and after it of the others of its experiment; None while a failed try waits for
    a person."""
    last = _last_job(ws, run, rows, second)
    if last is not None:  # it has ended, and yet the features are not there
        if last.status is not Status.DONE:
            live.failure(last)
        words = {Status.DONE: "were extracted, but the cache has let them go",
                 Status.STOPPED: "were not extracted: that was stopped"}
        st.markdown(f":material/scatter_plot: The features of **{shell.escape(names.one(run))}** "
                    f"{words.get(last.status, 'could not be extracted')}.")
        if not st.button("Extract features", type="primary", icon=":material/play_arrow:", key="extract_again"):
            return None
        wanted = [run.id]
    else:
        wanted = [run.id, *_of_same_experiment(known, run)]
    return shell.api().features.request(ws, wanted, rows=rows, second=second)


def _last_job(ws: str, run: Run, rows: int, second: str) -> Run | None:
    """The newest job that was to extract these features."""
    for job in shell.api().runs.all(ws, kind=JobKind.FEATURES):
        told = job.payload
        if run.folder in told.get("runs", ()) and told.get("rows") == rows and told.get("beside", "") == second:
            return job
    return None


def _of_same_experiment(known: Known, run: Run) -> list[str]:
    """Ids of its other runs whose features could be extracted."""
    return [other.id for other, found in known.values() if other.experiment == run.experiment and other.id != run.id
            and not (found.ready or found.reason or found.job)]


def _follow(ws: str, job: str) -> None:
    with shell.guarded():
        run, story = live.follow(ws, job)
        if run.status.final:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            live.badge(run)
            if st.button("Stop", icon=":material/stop:", key="stop_features", disabled=run.status is Status.STOPPING):
                shell.api().runs.stop(ws, job)
                st.rerun(scope="fragment")
        live.bar(run, story)


def _wait(ws: str, run_id: str) -> None:
    with shell.guarded():
        run, story = live.follow(ws, run_id)
        if run.status.final:
            st.rerun()
        live.bar(run, story)
