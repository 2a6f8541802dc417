"""Try one step: a real step of a chosen recipe by a worker, what it took beside what was planned."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.domain.one_step import OneStep
from core.domain.recipe import Recipe
from core.domain.run import Run, Status
from core.plots.numbers import about, count, percent, size
from core.unforeseen import UNFORESEEN
from pages._ui import guard, live, shell
from pages._ui.words import word

USUAL = 0.15
"""A difference of memory up to which the plan counts as right."""


def panel(ws: str, recipes: Mapping[str, Recipe]) -> None:
    """A button that has one step taken, for each of these recipes (by the label of its method), and what came of it."""
    stepping = {label: recipe for label, recipe in recipes.items() if shell.api().trials.has_steps(recipe.method)}
    if not stepping:
        return
    st.header("Try one step", help="A worker loads the model, takes one optimiser step on the longest rows, twice, "
                                   "and keeps nothing of it: the second time is measured.")
    label = next(iter(stepping))
    if len(stepping) > 1:
        label = st.segmented_control("Method to try", list(stepping), default=label, required=True,
                                     key="try_method") or label
    with shell.guarded():
        _one(ws, stepping[label])


def _one(ws: str, recipe: Recipe) -> None:
    trials = shell.api().trials
    job, found = trials.job(ws, recipe), trials.look(ws, recipe)
    if job is not None and not job.status.final:
        guard.fragment(_waiting, run_every=live.POLL_S)(ws, job.id)
        return
    if found is not None:
        _shown(found)
    elif job is not None:
        _ended(job)
    else:
        st.caption("The estimates above are formulas. This measures what the largest step of this very recipe takes on "
                   "this machine: for a small model in about a minute.")
    if st.button("Try again" if job is not None else "Try one step", icon=":material/speed:", key="try_step"):
        trials.ask(ws, recipe)
        st.rerun()


def _waiting(ws: str, job: str) -> None:
    with shell.guarded():
        run, state = live.follow(ws, job)
        if run.status.final:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            live.badge(run)
            if st.button("Stop", icon=":material/stop:", key="stop_step", disabled=run.status is Status.STOPPING):
                shell.api().trials.stop(ws, job)
                st.rerun()
        live.bar(run, state)


def _ended(job: Run) -> None:
    if job.failure is None:
        st.caption("The step was stopped.")
        return
    unforeseen = job.failure.why.startswith(UNFORESEEN)
    shell.problem(job.failure.what, "" if unforeseen else job.failure.why, job.failure.remedy)
    if unforeseen:
        with st.expander("In the program's own words", icon=":material/terminal:"):
            st.code(job.failure.why, language=None, wrap_lines=True)


def _shown(found: OneStep) -> None:
    off = found.peak_memory_bytes / max(1, found.estimated_memory_bytes) - 1
    with st.container(horizontal=True, gap="small"):
        st.metric("Peak memory", size(found.peak_memory_bytes), f"planned {size(found.estimated_memory_bytes)}",
                  delta_color="off", delta_arrow="off", width=165, help=word("memory"))
        st.metric("A step", _seconds(found.step_seconds), f"planned {_seconds(found.estimated_step_seconds)}",
                  delta_color="off", delta_arrow="off", width=165,
                  help="Measured: the step of the longest rows. Planned: a mean step.")
        st.metric("Whole run", about(found.seconds), f"planned {about(found.estimated_seconds)}",
                  delta_color="off", delta_arrow="off", width=190,
                  help="Steps at this pace, those of shorter rows by what they read; what comes before and after them "
                       "as planned.")
        if found.taught is not None:
            st.metric("Taught tokens", count(found.taught), f"of {count(found.tokens)} read", delta_color="off",
                      delta_arrow="off", width=165, help=word("taught token"))
    words = "as planned" if abs(off) <= USUAL else f"{percent(abs(off))} {'more' if off > 0 else 'less'} than planned"
    st.caption(f"One step of {found.rows:,} rows in {found.precision} on {shell.escape(found.device)}: memory {words}. "
               f"The run takes {found.steps:,} step{'s' * (found.steps != 1)}.")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:,.0f} s"
