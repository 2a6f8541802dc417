"""One experiment, or a choice of runs across experiments: the runs as they go, and below them their results."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.run import JobKind, Run
from pages._ui import shell, start
from pages._ui.experiment import actions, answer, before, results, rows
from pages._ui.runs import run_list


def one(ws: str) -> None:
    """The experiment that the address names."""
    id = shell.opened("experiment").get("experiment")
    if id is None:
        choice(ws)
        return
    shell.link("runs", "All experiments", icon=":material/arrow_back:")
    experiment = shell.api().experiments.get(ws, id)
    members = shell.api().experiments.runs(ws, id)
    shell.title(experiment.name)
    actions.bar(ws, experiment, members)
    if all(run.status.final for run in members):
        actions.next_steps(members)
    answer.panel(ws, id, members)
    rows.panel(ws, rows.Group(experiment=id), members)
    there = before.beside(ws, id)
    before.panel(there)
    if any(shell.api().runs.has_result(run) for run in members):
        st.header("Results", anchor=results.ANCHOR, divider="gray")
        results.draw(ws, members, results.choose(ws, [*there, *members], key=f"choice_{id}"))


def choice(ws: str) -> None:
    """The runs that the address names, of whatever experiments; without any, those of the newest experiment."""
    shell.title("Compare")
    every = shell.api().runs.all(ws, kind=JobKind.TRAIN)
    if not every:
        start.empty(ws, "Nothing to compare yet. One press starts the first comparison; each run appears here as soon "
                        "as it is done.")
        return
    newest, asked = _newest(every), st.query_params.get("runs", "").split(",")
    ids = results.choose(ws, newest, key="choice")
    waiting = [run.id for run in every if run.id in asked] or [run.id for run in newest if set(ids) <= _ids(newest)]
    members = [run for run in reversed(every)
               if run.id in ids or (run.id in waiting and not shell.api().runs.has_result(run))]
    named = run_list.titles(ws)
    with st.container(horizontal=True, gap="small"):
        for experiment in dict.fromkeys(run.experiment for run in members):
            if experiment is not None and experiment in named:
                shell.link("experiment", shell.escape(named[experiment]), icon=":material/science:",
                           experiment=experiment)
    group = rows.Group(experiment=None, ids=tuple(run.id for run in members))
    over = bool(ids) and all(run.status.final for run in members)
    if not over:
        rows.panel(ws, group, members)
    if ids:
        st.header("Results", anchor=results.ANCHOR, divider="gray")
        results.draw(ws, members, ids)
    if over:
        with st.expander("The runs, one by one", icon=":material/list:"):
            rows.panel(ws, group, members)


def _ids(runs: Sequence[Run]) -> set[str]:
    return {run.id for run in runs}


def _newest(every: Sequence[Run]) -> list[Run]:
    """Of the newest experiment with a result; of the newest one where none has any."""
    groups = run_list.groups(every)
    finished = (group for group in groups if any(shell.api().runs.has_result(run) for run in group))
    return next(finished, groups[0])
