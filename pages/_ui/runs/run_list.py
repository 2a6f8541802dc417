"""Runs grouped by the experiment they belong to: state, progress, test score, and a way in."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from core.domain.run import JobKind, Phase, Result, Run, Status
from core.metrics import primary
from core.planning import names
from core.planning.schedule import Stretch
from core.plots.numbers import duration, measured
from pages._ui import guard, live, shell
from pages._ui.runs import jobs, tally

PAGE = 8
"""Experiments shown before "Show older"."""


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of one experiment together, newest experiment first, runs in the order they were submitted."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.experiment or run.id, []).insert(0, run)
    return list(found.values())


def recent(ws: str, *, limit: int) -> None:
    """The newest experiments in brief, for the home page."""
    guard.fragment(_recent, run_every=live.POLL_S * 2 if busy(ws) else None)(ws, limit)


def _recent(ws: str, limit: int) -> None:
    with shell.guarded():
        runs = shell.api().runs.all(ws, kind=JobKind.TRAIN)
        named = titles(ws)
        if not runs:
            st.caption("No runs yet. They appear here as soon as the first comparison above is started.")
        for members in groups(runs)[:limit]:
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                name = shell.escape(named.get(members[0].experiment, names.one(members[0])))
                st.markdown(f"**{name}** · {tally.tally(members)} · {age(members[0].created)}")
                open_link(members)


def open_link(members: Sequence[Run]) -> None:
    """To the page of the experiment; of a run by itself, to its own."""
    if members[0].experiment is not None:
        shell.link("experiment", "Open", icon=":material/arrow_forward:", experiment=members[0].experiment)
    else:
        shell.link("run", "Open", icon=":material/arrow_forward:", run=members[0].id)


def busy(ws: str) -> bool:
    """Whether anything is queued or running."""
    return any(not r.status.final for r in shell.api().runs.all(ws))


def everything(ws: str) -> None:
    """All experiments with their runs, live while something is under way."""
    guard.fragment(_everything, run_every=live.POLL_S if busy(ws) else None)(ws)


def _everything(ws: str) -> None:
    _damaged(ws)
    with shell.guarded():
        every = groups(shell.api().runs.all(ws, kind=JobKind.TRAIN))
        named = titles(ws)
        shown = int(st.session_state.get("experiments_shown", PAGE))
        for members in every[:shown]:
            _experiment(ws, members, named.get(members[0].experiment, names.one(members[0])))
        if len(every) > shown and st.button(f"Show older ({len(every) - shown} more)", icon=":material/expand_more:",
                                            key="older"):
            st.session_state["experiments_shown"] = shown + PAGE
            st.rerun(scope="fragment")
        jobs.section(ws)


def _damaged(ws: str) -> None:
    """Entries of the queue that cannot be read: named, and deleted with one click."""
    for run in shell.api().runs.damaged(ws):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/broken_image: **{shell.escape(run.name)}** cannot be read: "
                        f"{shell.escape(run.damage)}.")
            if not run.status.final or run.status is Status.FAILED:
                live.badge(run)
            if st.button("Delete", icon=":material/delete:", key=f"delete_damaged_{run.id}"):
                with shell.guarded():
                    shell.api().runs.delete(ws, run.id)
                    st.rerun()


def titles(ws: str) -> dict[str | None, str]:
    """Experiment id -> its name."""
    return {e.id: e.name for e in shell.api().experiments.all(ws)}


def age(created: float) -> str:
    """`just now`, `12 min ago`, `3 h ago`, `2 days ago`."""
    seconds = time.time() - created
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 86400 * 1.5 else f"{seconds / 86400:.0f} days ago"


def _experiment(ws: str, members: Sequence[Run], name: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.escape(name)}** · {tally.tally(members)} · {age(members[0].created)}")
            open_link(members)
        called, outlook = names.short(members), shell.api().experiments.outlook(ws, members)
        for run in members:
            _row(ws, run, called[run.id], outlook.runs.get(run.id))


def _row(ws: str, run: Run, name: str, when: Stretch | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        shell.link("run", shell.escape(name), icon=":material/chevron_right:", width=220, help=names.whole(run),
                   run=run.id)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
            _said(ws, run, when)


def _said(ws: str, run: Run, when: Stretch | None) -> None:
    """State and score, or state and what it is doing: on a phone they stay on one line."""
    live.badge(run)
    if run.status is Status.QUEUED:
        st.caption(tally.starts(when))
    if run.status in (Status.RUNNING, Status.STOPPING):
        _, state = live.follow(ws, run.id)
        step, total = state.step.get("step"), state.step.get("total_steps")
        trains = state.phase == Phase.TRAINING and step and total
        st.caption(", ".join(part for part in (
            state.phase, f"step {step:,} of {total:,}" if trains else "", tally.left(when)) if part))
    elif run.status in (Status.DONE, Status.STOPPED) and (result := shell.api().runs.result(ws, run.id)):
        st.caption(f"{_score(result)} · {duration(result.seconds)}")
    elif run.status.final:
        st.caption(shell.escape(tally.why(run)))
    if damage := shell.api().runs.damage(ws, run.id):
        st.caption(f":material/broken_image: damaged: {shell.escape(', '.join(damage))}")


def _score(result: Result) -> str:
    """The metric that decides, on the test rows."""
    scores = result.metrics.get("test", {})
    metric = primary(scores)
    if metric is None:
        return "no test score (no test row)"
    found = scores[metric.name]
    return f"{metric.on('test')} {measured(found.value, found.low, found.high)}"
